"""Shake-Shake."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "shake_shake": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=1800,
            learning_rate=0.2,
            momentum=0.9,
            nesterov=True,
            schedule="cosine",
            weight_decay=0.001,
            augment="pad_crop_flip",
        ),
        source="Gastaldi 2017 (arXiv:1705.07485), section 2.1: 1800 epochs, batch 128, rate 0.2, one cosine to 0. L2 "
        "1e-4 and Nesterov momentum 0.9 as fb.resnet.torch, on which the author's code is built.",
        networks="Shake-Shake on CIFAR-10",
        reported="26 2x96d: 2.86 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
    "shake_shake_cutout": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=1800,
            learning_rate=0.2,
            momentum=0.9,
            nesterov=True,
            schedule="cosine",
            weight_decay=0.001,
            augment="pad_crop + flip + cutout(0.5)",
        ),
        source="DeVries & Taylor 2017 (arXiv:1708.04552), section 4: Gastaldi's training (arXiv:1705.07485) with "
        "cutout "
        "of 16 of 32 pixels.",
        networks="Shake-Shake on CIFAR-10, with cutout",
        reported="26 2x96d: 2.56 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

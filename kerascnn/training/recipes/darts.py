"""DARTS."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "darts": Recipe(
        TrainConfig(
            batch_size=96,
            epochs=600,
            learning_rate=0.025,
            momentum=0.9,
            nesterov=False,
            clip_norm=5.0,
            schedule="cosine",
            weight_decay=0.003,
            augment="pad_crop + flip + cutout(0.5)",
        ),
        source="Liu, Simonyan, Yang 2018 (arXiv:1806.09055), section 3.2 and appendix A, and quark0/darts "
        "(cnn/train.py): 600 epochs, batch 96, rate 0.025, momentum 0.9, one cosine to 0, L2 3e-4, gradients clipped "
        "at 5, cutout of 16 pixels, drop-path growing to 0.2, an auxiliary head with 0.4.",
        networks="DARTS on CIFAR-10",
        reported="2.76 % on CIFAR-10 (second order, mean of 10 runs)",
        options={"drop_path_rate": 0.2, "auxiliary_heads": True},
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

"""PyramidNet."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "pyramidnet": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=300,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            schedule="step",
            milestones=(0.5, 0.75),
            decay_rate=0.1,
            weight_decay=0.001,
            augment="pad_crop_flip",
        ),
        source="Han, Kim, Kim 2016 (arXiv:1610.02915), section 4.1: 300 epochs, batch 128, rate 0.1 (0.5 for "
        "CIFAR-100), "
        "divided by 10 after 150 and 225, Nesterov momentum 0.9, L2 1e-4, pad-crop and flip.",
        networks="PyramidNet on CIFAR",
        reported="alpha = 270, 110 layers: 3.73 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

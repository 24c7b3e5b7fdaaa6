"""Stochastic depth."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "stochastic_depth": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=500,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            schedule="step",
            milestones=(0.5, 0.75),
            decay_rate=0.1,
            weight_decay=0.001,
            augment="pad_crop_flip",
        ),
        source="Huang et al. 2016 (arXiv:1603.09382), section 4: batch 128, 500 epochs, rate 0.1, divided by 10 after "
        "250 and 375, Nesterov momentum 0.9, L2 1e-4, pad-crop and flip; survival falls linearly to 0.5.",
        networks="ResNets of stochastic depth on CIFAR",
        reported="ResNet-110: 5.25 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

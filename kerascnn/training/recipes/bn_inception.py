"""Inception with batch normalization."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "bn_inception": Recipe(
        TrainConfig(
            batch_size=32,
            epochs=150,
            learning_rate=0.045,
            momentum=0.9,
            nesterov=False,
            schedule="every",
            decay_every=1.3333333333333333,
            decay_rate=0.96,
            weight_decay=0.0004,
            augment="random_resized_crop",
        ),
        source="Ioffe & Szegedy 2015 (arXiv:1502.03167), section 4.2.2, BN-x30: rate 0.045 for batches of 32, "
        "momentum, "
        "4 % every 8 epochs made six times as fast, L2 a fifth of GoogLeNet's; 6 million steps, that is 150 "
        "epochs, to 74.8 %. Momentum 0.9 as GoogLeNet.",
        networks="BN-Inception on ImageNet",
        reported="top-1 25.2 % (BN-x30, 1 crop)",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}

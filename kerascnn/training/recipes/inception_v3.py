"""Inception v3 and v4, Inception-ResNet."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "inception_v3": Recipe(
        TrainConfig(
            batch_size=32,
            epochs=100,
            optimizer="rmsprop_tf",
            learning_rate=0.045,
            momentum=0.9,
            nesterov=False,
            epsilon=1.0,
            beta_2=0.9,
            clip_norm=2.0,
            ema=0.9999,
            schedule="every",
            decay_every=2.0,
            decay_rate=0.94,
            l2=4e-05,
            label_smoothing=0.1,
            augment="random_resized_crop",
        ),
        source="Szegedy et al. 2015 (arXiv:1512.00567), section 8: RMSProp with decay 0.9 and epsilon 1, rate "
        "0.045 for "
        "batches of 32, times 0.94 every two epochs, gradients clipped at 2.0, 100 epochs, averaged weights; "
        "labels smoothed by 0.1 (section 7); auxiliary head. Szegedy et al. 2016 (arXiv:1602.07261), section 4, "
        "trained v4 and Inception-ResNet alike. Momentum 0.9 and L2 4e-5 are those of the authors' code (TF- "
        "Slim). Departure: they had 50 replicas whose steps were not synchronized.",
        networks="Inception v3 and v4, Inception-ResNet",
        reported="top-1 21.2, top-5 5.6 % (v3, 1 crop)",
        options={"auxiliary_heads": True},
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}

"""VGG."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "vgg": Recipe(
        TrainConfig(
            batch_size=256,
            epochs=74,
            learning_rate=0.01,
            momentum=0.9,
            nesterov=False,
            schedule="step",
            milestones=(0.25, 0.5, 0.75),
            decay_rate=0.1,
            weight_decay=0.005,
            augment="crop + flip + pca_noise",
        ),
        source="Simonyan & Zisserman 2014 (arXiv:1409.1556), section 3.1: batch 256, momentum 0.9, L2 5e-4, rate "
        "0.01, "
        "divided by 10 three times when the validation accuracy stalled, 74 epochs; crops, flips, color shifts. "
        "Departures: it falls at each quarter; one scale, no start from a shallower net.",
        networks="VGG without batch norm, on ImageNet",
        reported="VGG-16: top-1 27.0, top-5 8.8 % (1 net, scale jitter)",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}

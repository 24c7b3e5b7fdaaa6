"""ZFNet."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "zfnet": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=70,
            learning_rate=0.01,
            momentum=0.9,
            nesterov=False,
            schedule="step",
            milestones=(0.25, 0.5, 0.75),
            decay_rate=0.1,
            weight_decay=0.005,
            augment="crop + flip",
        ),
        source="Zeiler & Fergus 2014 (arXiv:1311.2901), section 3: batch 128, rate 0.01, momentum 0.9, annealed "
        "by hand "
        "when the validation error stalled, 70 epochs, crops and flips. Departures: it falls at each quarter; the "
        "paper names no weight decay, 5e-4 is AlexNet's, on whose training theirs is built; filters are not "
        "renormalized.",
        networks="ZFNet on ImageNet",
        reported="top-1 38.4, top-5 16.5 % (1 net, 10 crops)",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}

"""AlexNet."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "alexnet": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=90,
            learning_rate=0.01,
            momentum=0.9,
            nesterov=False,
            schedule="step",
            milestones=(0.25, 0.5, 0.75),
            decay_rate=0.1,
            weight_decay=0.005,
            augment="crop + flip + pca_noise",
        ),
        source="Krizhevsky, Sutskever, Hinton 2012 (doi.org/10.1145/3065386), sections 4.1 and 5: batch 128, "
        "momentum 0.9, L2 5e-4, rate "
        "0.01, divided by 10 three times, about 90 passes; crops of 224 from 256, flips, noise along the "
        "principal components of the colors. Departure: they divided when the validation error stalled, here it "
        "is at each quarter of the run.",
        networks="AlexNet on ImageNet",
        reported="top-1 40.7, top-5 18.2 % (1 net, 10 crops)",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}

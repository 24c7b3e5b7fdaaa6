"""AlexNet, ZFNet and VGG: the first networks on ImageNet, trained alike.

Each of the papers lowers the rate by hand, where the error on held-out images stalls; here it falls at each quarter of
the run.
"""

import dataclasses

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_ALEXNET = TrainConfig(
    batch_size=128,
    epochs=90,
    learning_rate=0.01,
    momentum=0.9,
    nesterov=False,
    schedule="step",
    milestones=(0.25, 0.5, 0.75),
    decay_rate=0.1,
    weight_decay=5e-3,  # L2 5e-4
    augment="crop + flip + pca_noise",
)

RECIPES = {
    "alexnet": Recipe(
        _ALEXNET,
        source="Krizhevsky, Sutskever, Hinton 2012 (doi.org/10.1145/3065386), sections 4.1 and 5: batch 128, "
        "momentum 0.9, L2 5e-4, rate 0.01, divided by 10 three times, about 90 passes; crops of 224 from 256, flips, "
        "noise along the principal components of the colors. Departure: they divided when the validation error "
        "stalled, here it is at each quarter of the run.",
        networks="AlexNet on ImageNet",
        reported="top-1 40.7, top-5 18.2 % (1 net, 10 crops)",
        small_images="cifar_plain",
        fine_tuning="imagenet_plain",
    ),
    "zfnet": Recipe(
        dataclasses.replace(_ALEXNET, epochs=70, augment="crop + flip"),
        source="Zeiler & Fergus 2014 (arXiv:1311.2901), section 3: batch 128, rate 0.01, momentum 0.9, annealed by "
        "hand when the validation error stalled, 70 epochs, crops and flips. Departures: it falls at each quarter; "
        "the paper names no weight decay, 5e-4 is AlexNet's, on whose training theirs is built; filters are not "
        "renormalized.",
        networks="ZFNet on ImageNet",
        reported="top-1 38.4, top-5 16.5 % (1 net, 10 crops)",
        small_images="cifar_plain",
        fine_tuning="imagenet_plain",
    ),
    "vgg": Recipe(
        dataclasses.replace(_ALEXNET, batch_size=256, epochs=74),
        source="Simonyan & Zisserman 2014 (arXiv:1409.1556), section 3.1: batch 256, momentum 0.9, L2 5e-4, rate "
        "0.01, divided by 10 three times when the validation accuracy stalled, 74 epochs; crops, flips, color shifts. "
        "Departures: it falls at each quarter; one scale; the start from net A is asked for, by "
        "--start_from RUN --start_layers shallow.",
        networks="VGG without batch norm, on ImageNet",
        reported="VGG-16: top-1 27.0, top-5 8.8 % (1 net, trained and tested at a shorter side of 256, table 3)",
        small_images="cifar_plain",
        fine_tuning="imagenet_plain",
    ),
}

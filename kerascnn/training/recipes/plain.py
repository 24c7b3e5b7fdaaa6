"""Convolutional networks without batch norm, which diverge at the rates that batch norm allows.

Their first gradients may also be ten times as long as later ones: one such step can close a layer's ReLUs for all
images, and then nothing is learned. So gradients are clipped.
"""

import dataclasses

from kerascnn.training.recipes.cifar import RECIPES as _CIFAR
from kerascnn.training.recipes.imagenet import RECIPES as _IMAGENET
from kerascnn.training.recipes.recipe import Recipe

_RATE = "Rate 0.01 of the networks before batch norm (Krizhevsky et al. 2012, doi.org/10.1145/3065386, section 5; "
_RATE += (
    "Simonyan & Zisserman 2014, arXiv:1409.1556, section 3.1), gradients clipped at a norm of 1 (Pascanu, Mikolov, "
)
_RATE += "Bengio 2012, arXiv:1211.5063, section 3.2)"

RECIPES = {
    "cifar_plain": Recipe(
        dataclasses.replace(_CIFAR["cifar"].config, learning_rate=0.01, clip_norm=1.0),
        source=f"{_RATE}; everything else as in cifar, which see.",
        networks="networks without batch norm for images of up to 64 pixels",
    ),
    "imagenet_plain": Recipe(
        dataclasses.replace(_IMAGENET["imagenet"].config, learning_rate=0.01, clip_norm=1.0),
        source=f"{_RATE}; everything else as in imagenet, which see.",
        networks="networks without batch norm for ImageNet",
        small_images="cifar_plain",
    ),
}

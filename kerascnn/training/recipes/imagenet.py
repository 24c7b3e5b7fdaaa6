"""Convolutional networks on ImageNet, from 2016 to 2019."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "imagenet": Recipe(
        TrainConfig(
            batch_size=256,
            epochs=90,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            schedule="cosine",
            warmup_epochs=5.0,
            weight_decay=1e-3,  # L2 1e-4
            augment="random_resized_crop",
        ),
        source="fb.resnet.torch (Gross & Wilber 2016; opts.lua, train.lua): batch 256, rate 0.1, Nesterov momentum "
        "0.9, L2 1e-4, 90 epochs, random area crops and flips. Instead of its steps five epochs of warm-up (Goyal et "
        "al. 2017, arXiv:1706.02677, section 2.2) and one cosine (He et al. 2019, arXiv:1812.01187, table 6: +0.75 % "
        "over steps for ResNet-50-D). Departure: without its jitter and noise of colors.",
        networks="convolutional networks for ImageNet",
        small_images="cifar",
    )
}

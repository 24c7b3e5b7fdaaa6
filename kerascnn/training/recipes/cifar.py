"""Residual networks for small images, from 2016 on."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "cifar": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=15,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            schedule="cosine",
            warmup_epochs=1.0,
            weight_decay=5e-3,  # L2 5e-4
            augment="pad_crop_flip",
        ),
        source="Zagoruyko & Komodakis 2016 (arXiv:1605.07146): batch 128, peak rate 0.1, Nesterov momentum 0.9, L2 "
        "5e-4, pad-crop (black, theirs is mirrored) and flip. One cosine (Loshchilov & Hutter 2017, "
        "arXiv:1608.03983) instead of their steps and 15 epochs instead of 200, because a short run gains most from "
        "a rate that falls to zero; one epoch of warm-up (Goyal et al. 2017, arXiv:1706.02677), because the first "
        "steps at 0.1 are the unstable ones.",
        networks="residual networks for images of up to 64 pixels",
    )
}

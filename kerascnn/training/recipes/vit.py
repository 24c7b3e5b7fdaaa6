"""Vision transformers and MLP mixers."""

import dataclasses

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_VIT = TrainConfig(
    batch_size=256,
    epochs=300,
    optimizer="adam",
    learning_rate=2.5e-4,
    nesterov=False,
    schedule="cosine",
    warmup_epochs=5.0,
    weight_decay=0.05,
    label_smoothing=0.1,
    augment="random_resized_crop",
)

RECIPES = {
    "vit": Recipe(
        _VIT,
        source="Dosovitskiy et al. 2020 (arXiv:2010.11929, table 3): from scratch on ImageNet 300 epochs of Adam "
        "at batch 4096, peak rate 3e-3, weight decay 0.3, cosine, warm-up of 10,000 steps. Smaller batches follow "
        "Touvron et al. 2020 (DeiT, arXiv:2012.12877, table 9): rate 5e-4 per 512 images, decay 0.05, five epochs of "
        "warm-up, labels smoothed by 0.1, but without their RandAugment, erasing, mixup, cutmix and stochastic "
        "depth, which `pit` has. Decay is decoupled in both (Loshchilov & Hutter, arXiv:1711.05101). Departures: no "
        "dropout, and gradients are not clipped at 1, as the first were.",
        networks="vision transformers and MLP mixers",
        small_images="vit_cifar",
    ),
    "vit_cifar": Recipe(
        dataclasses.replace(_VIT, augment="pad_crop_flip"),
        source="As vit, after Touvron et al. 2020 (DeiT, arXiv:2012.12877, table 9), but for the augmentation of "
        "small images, four pixels of padding, crop and flip (He et al. 2015, arXiv:1512.03385, section 4.2): after a "
        "few epochs on enlarged parts of images of 28 pixels a network does not know whole ones.",
        networks="vision transformers and MLP mixers for images of up to 64 pixels",
    ),
}

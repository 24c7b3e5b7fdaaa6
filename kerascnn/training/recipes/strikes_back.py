"""ResNet strikes back: A1, A2 and A3."""

import dataclasses

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_SHARED = TrainConfig(
    batch_size=2048,
    optimizer="lamb",
    nesterov=False,
    schedule="cosine",
    warmup_epochs=5.0,
    loss="binary",
    clip_norm=1.0,
)
RECIPES = {
    "a1": Recipe(
        dataclasses.replace(
            _SHARED,
            epochs=600,
            learning_rate=0.005,
            weight_decay=0.01,
            label_smoothing=0.1,
            augment="resized_crop + flip + randaugment(2, 7, 0.5, 0.5, increasing, bilinear, mean) + "
            "mixup_or_cutmix(0.2, 1.0)",
        ),
        source="Wightman, Touvron, Jégou 2021 (arXiv:2110.00476), table 2, A1: LAMB, batch 2048, rate 5e-3, "
        "decay 0.01, "
        "cosine, 5 epochs of warm-up, 600 epochs, RandAugment 7 / 0.5, mixup 0.2, cutmix 1.0, one of the two for "
        "a batch, binary cross-entropy, labels smoothed by 0.1, stochastic depth 0.05. Departures: no repeated "
        "augmentation; gradients are clipped at 1 as timm's LAMB does.",
        networks="ResNet-50 and other convolutional networks, long",
        reported="ResNet-50: top-1 80.4 %",
        options={"drop_path_rate": 0.05},
        small_images="cifar",
        fine_tuning="imagenet",
    ),
    "a2": Recipe(
        dataclasses.replace(
            _SHARED,
            epochs=300,
            learning_rate=0.005,
            weight_decay=0.02,
            augment="resized_crop + flip + randaugment(2, 7, 0.5, 0.5, increasing, bilinear, mean) + "
            "mixup_or_cutmix(0.1, 1.0)",
        ),
        source="Wightman, Touvron, Jégou 2021 (arXiv:2110.00476), table 2, A2: LAMB, batch 2048, rate 5e-3, "
        "decay 0.02, "
        "cosine, 5 epochs of warm-up, 300 epochs, RandAugment 7 / 0.5, mixup 0.1, cutmix 1.0, one of the two for "
        "a batch, binary cross-entropy, stochastic depth 0.05. Departures: no repeated augmentation; gradients "
        "are clipped at 1 as timm's LAMB does.",
        networks="ResNet-50 and other convolutional networks",
        reported="ResNet-50: top-1 79.8 %",
        options={"drop_path_rate": 0.05},
        small_images="cifar",
        fine_tuning="imagenet",
    ),
    "a3": Recipe(
        dataclasses.replace(
            _SHARED,
            epochs=100,
            learning_rate=0.008,
            weight_decay=0.02,
            augment="resized_crop + flip + randaugment(2, 6, 0.5, 0.5, increasing, bilinear, mean) + "
            "mixup_or_cutmix(0.1, 1.0)",
        ),
        source="Wightman, Touvron, Jégou 2021 (arXiv:2110.00476), table 2, A3: LAMB, batch 2048, rate 8e-3, "
        "decay 0.02, "
        "cosine, 5 epochs of warm-up, 100 epochs, RandAugment 6 / 0.5, mixup 0.1, cutmix 1.0, one of the two for "
        "a batch, binary cross-entropy. Departures: no repeated augmentation; they trained at 160 pixels "
        "(--image-size 160) and measured at 224; gradients are clipped at 1 as timm's LAMB does.",
        networks="ResNet-50 and other convolutional networks, short",
        reported="ResNet-50: top-1 78.1 %",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}

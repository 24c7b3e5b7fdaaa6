"""ResNet strikes back: A1, A2 and A3."""

import dataclasses

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_SHARED = TrainConfig(
    batch_size=2048,
    epochs=300,
    optimizer="lamb",
    learning_rate=5e-3,
    weight_decay=0.02,
    nesterov=False,
    schedule="cosine",
    warmup_epochs=5.0,
    loss="binary",
    label_threshold=0.002,  # any share of an image that is half a level of 255 or more
    clip_norm=1.0,
)
_LOSS = (
    "binary cross-entropy in which the classes of both images that are mixed are there, whatever their shares (section "
    "3.1)"
)


def _changes(magnitude: int, mixup: float) -> str:
    return (
        f"resized_crop + flip + randaugment(2, {magnitude}, 0.5, 0.5, increasing, bilinear, mean) + "
        f"mixup_or_cutmix({mixup}, 1.0)"
    )


RECIPES = {
    "a1": Recipe(
        dataclasses.replace(_SHARED, epochs=600, weight_decay=0.01, label_smoothing=0.1, augment=_changes(7, 0.2)),
        source="Wightman, Touvron, Jégou 2021 (arXiv:2110.00476), table 2, A1: LAMB, batch 2048, rate 5e-3, decay "
        "0.01, cosine, 5 epochs of warm-up, 600 epochs, RandAugment 7 / 0.5, mixup 0.2, cutmix 1.0, one of the two for "
        f"a batch, {_LOSS}, labels smoothed by 0.1, stochastic depth 0.05. Departures: no repeated augmentation; "
        "gradients are clipped at 1 as timm's LAMB does.",
        networks="ResNet-50 and other convolutional networks, long",
        reported="ResNet-50: top-1 80.4 %",
        options={"drop_path_rate": 0.05},
        small_images="cifar",
        fine_tuning="imagenet",
    ),
    "a2": Recipe(
        dataclasses.replace(_SHARED, augment=_changes(7, 0.1)),
        source="Wightman, Touvron, Jégou 2021 (arXiv:2110.00476), table 2, A2: LAMB, batch 2048, rate 5e-3, decay "
        "0.02, cosine, 5 epochs of warm-up, 300 epochs, RandAugment 7 / 0.5, mixup 0.1, cutmix 1.0, one of the two for "
        f"a batch, {_LOSS}, stochastic depth 0.05. Departures: no repeated augmentation; gradients are clipped at 1 as "
        "timm's LAMB does.",
        networks="ResNet-50 and other convolutional networks",
        reported="ResNet-50: top-1 79.8 %",
        options={"drop_path_rate": 0.05},
        small_images="cifar",
        fine_tuning="imagenet",
    ),
    "a3": Recipe(
        dataclasses.replace(_SHARED, epochs=100, learning_rate=8e-3, augment=_changes(6, 0.1)),
        source="Wightman, Touvron, Jégou 2021 (arXiv:2110.00476), table 2, A3: LAMB, batch 2048, rate 8e-3, decay "
        "0.02, cosine, 5 epochs of warm-up, 100 epochs, RandAugment 6 / 0.5, mixup 0.1, cutmix 1.0, one of the two for "
        f"a batch, {_LOSS}. Departures: they trained at 160 pixels (--image-size 160) and measured at 224; gradients "
        "are clipped at 1 as timm's LAMB does.",
        networks="ResNet-50 and other convolutional networks, short",
        reported="ResNet-50: top-1 78.1 %",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}

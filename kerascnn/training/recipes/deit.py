"""PiT and Swin: transformers on ImageNet alone, trained as DeiT."""

import dataclasses

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_DEIT = TrainConfig(
    batch_size=256,
    epochs=300,
    optimizer="adamw",
    learning_rate=2.5e-4,  # 1e-3 for batches of 1024
    nesterov=False,
    schedule="cosine",
    warmup_epochs=5.0,
    weight_decay=0.05,
    label_smoothing=0.1,
    augment="resized_crop + flip + randaugment(2, 9, 0.5, 0.5, increasing, bilinear, mean) + random_erasing(0.25) + "
    "mixup_or_cutmix",
)

RECIPES = {
    "pit": Recipe(
        _DEIT,
        source="Heo et al. 2021 (arXiv:2103.16302), section 4.1, train as DeiT: Touvron et al. 2020 "
        "(arXiv:2012.12877), table 9, and facebookresearch/deit (main.py): AdamW, 300 epochs, rate 5e-4 per 512 "
        "images, decay 0.05, five epochs of warm-up, cosine, RandAugment 9 / 0.5, random erasing 0.25, mixup 0.8, "
        "cutmix 1.0, labels smoothed by 0.1, stochastic depth 0.1. Departures: batches of 256 where theirs were 1024; "
        "no repeated augmentation; the rate falls to 0, theirs to 1e-5, with ten epochs more at it.",
        networks="PiT, DeiT and other transformers on ImageNet alone",
        reported="PiT-S: top-1 19.1 %",
        options={"drop_path_rate": 0.1},
        small_images="vit_cifar",
        fine_tuning="vit",
    ),
    "swin": Recipe(
        dataclasses.replace(_DEIT, warmup_epochs=20.0, clip_norm=5.0),
        source="Liu et al. 2021 (arXiv:2103.14030), appendix A2.1, and microsoft/Swin-Transformer (config.py): as DeiT "
        "(rate 5e-4 per 512 images, decay 0.05, 300 epochs, the same changes of images), with 20 epochs of warm-up, "
        "gradients clipped at 5 (their code), stochastic depth 0.2 (T). Departures: batches of 256 where theirs were "
        "1024; S and B had stochastic depth 0.3 and 0.5 (--drop-path-rate); the rate falls to 0, theirs to 1e-2 of "
        "its peak.",
        networks="Swin on ImageNet",
        reported="Swin-T: top-1 18.7 %",
        options={"drop_path_rate": 0.2},
        small_images="vit_cifar",
        fine_tuning="vit",
    ),
}

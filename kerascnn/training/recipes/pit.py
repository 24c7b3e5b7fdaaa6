"""PiT."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "pit": Recipe(
        TrainConfig(
            batch_size=256,
            learning_rate=0.00025,
            warmup_epochs=5.0,
            weight_decay=0.05,
            epochs=300,
            optimizer="adamw",
            nesterov=False,
            schedule="cosine",
            label_smoothing=0.1,
            augment="resized_crop + flip + randaugment(2, 9, 0.5, 0.5, increasing, bilinear, mean) + "
            "random_erasing(0.25) + mixup_or_cutmix",
        ),
        source="Heo et al. 2021 (arXiv:2103.16302), section 4.1, train as DeiT: Touvron et al. 2020 "
        "(arXiv:2012.12877), "
        "table 9: AdamW, 300 epochs, rate 1e-3 for batches of 1024, decay 0.05, five epochs of warm-up, cosine, "
        "RandAugment, random erasing, mixup, cutmix, labels smoothed by 0.1, stochastic depth 0.1. Departures: "
        "batches of 256, and with them 2.5e-4; no repeated augmentation.",
        networks="PiT, DeiT and other transformers on ImageNet alone",
        reported="PiT-S: top-1 19.1 %",
        options={"drop_path_rate": 0.1},
        fine_tuning="vit",
    ),
}

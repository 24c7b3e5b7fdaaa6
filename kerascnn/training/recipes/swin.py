"""Swin."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "swin": Recipe(
        TrainConfig(
            batch_size=256,
            learning_rate=0.00025,
            clip_norm=5.0,
            warmup_epochs=20.0,
            weight_decay=0.05,
            epochs=300,
            optimizer="adamw",
            nesterov=False,
            schedule="cosine",
            label_smoothing=0.1,
            augment="resized_crop + flip + randaugment(2, 9, 0.5, 0.5, increasing, bilinear, mean) + "
            "random_erasing(0.25) + mixup_or_cutmix",
        ),
        source="Liu et al. 2021 (arXiv:2103.14030), appendix A2.1: AdamW, 300 epochs, cosine, 20 epochs of "
        "warm-up, rate "
        "1e-3 for batches of 1024, decay 0.05, gradients clipped at 5 (their code), RandAugment, mixup, cutmix, "
        "random erasing, stochastic depth 0.2 (T). Departures: batches of 256, and with them 2.5e-4; S and B had "
        "stochastic depth 0.3 and 0.5 (--drop-path-rate).",
        networks="Swin on ImageNet",
        reported="Swin-T: top-1 18.7 %",
        options={"drop_path_rate": 0.2},
        fine_tuning="vit",
    ),
}

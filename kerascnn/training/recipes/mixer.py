"""MLP-Mixer."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "mixer": Recipe(
        TrainConfig(
            batch_size=256,
            epochs=300,
            optimizer="adamw",
            learning_rate=6.25e-05,
            nesterov=False,
            clip_norm=1.0,
            schedule="poly",
            power=1.0,
            warmup_epochs=32.0,
            weight_decay=0.1,
            augment="resized_crop + flip + randaugment(2, 15) + mixup(0.5)",
        ),
        source="Tolstikhin et al. 2021 (arXiv:2105.01601), section 3 and the supplement, on ImageNet alone, and "
        "the authors' configuration (google-research/big_vision, configs/mlp_mixer_i1k.py): Adam, rate 1e-3 for "
        "batches of 4096, 10,000 steps of warm-up (32 epochs), a linear fall, decay 0.1 (1e-4 of the weights per "
        "step at the peak), gradients clipped at 1, two changes of RandAugment of magnitude 15, mixup 0.5, "
        "stochastic depth 0.1, 300 epochs. Departures: batches of 256, and with them 6.25e-5; 15 is of 30 levels "
        "here, where their changes of level 10 are as strong as those of 30 here; the loss is of a softmax, where "
        "that configuration has one of sigmoids; the rate falls to 0, theirs to 1e-5.",
        networks="MLP-Mixer on ImageNet",
        reported="Mixer-B/16: top-1 23.56 % (ImageNet alone)",
        options={"drop_path_rate": 0.1},
        small_images="vit_cifar",
        fine_tuning="vit",
    ),
}

"""EfficientNet."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "efficientnet": Recipe(
        TrainConfig(
            batch_size=256,
            epochs=350,
            optimizer="rmsprop_tf",
            learning_rate=0.016,
            momentum=0.9,
            nesterov=False,
            epsilon=0.001,
            beta_2=0.9,
            ema=0.9999,
            schedule="every",
            decay_every=2.4,
            decay_rate=0.97,
            warmup_epochs=5.0,
            l2=1e-05,
            label_smoothing=0.1,
            augment="resized_crop + flip + autoaugment(v0)",
        ),
        source="Tan & Le 2019 (arXiv:1905.11946), section 5.2: RMSProp with decay and momentum 0.9, L2 1e-5, rate "
        "0.256, times 0.97 every 2.4 epochs, AutoAugment, stochastic depth with survival 0.8, dropout by size. From "
        "the authors' code (tensorflow/tpu, models/official/efficientnet/main.py and utils.py): rate 0.016 per 256 "
        "images, which is 0.256 for 4096 (Tan & Le 2021, arXiv:2104.00298, section 5.1), 350 epochs, 5 of warm-up, "
        "epsilon 1e-3, averages of 0.9999, labels smoothed by 0.1, the policy v0. Departure: batches of 256, where "
        "their code has 2048.",
        networks="EfficientNet, EfficientNet-Lite",
        reported="B0: top-1 22.9, top-5 6.7 % (with AutoAugment)",
        options={"drop_path_rate": 0.2},
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}

"""Wide residual networks."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "wrn": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=200,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            schedule="step",
            milestones=(0.3, 0.6, 0.8),
            decay_rate=0.2,
            weight_decay=0.005,
            augment="pad_crop(0.125, reflect) + flip",
        ),
        source="Zagoruyko & Komodakis 2016 (arXiv:1605.07146), section 3, and szagoruyko/wide-residual-networks "
        "(scripts/train_cifar.sh, train.lua): Nesterov momentum 0.9, batch 128, rate 0.1, times 0.2 after 60, 120 "
        "and 160 of 200 epochs, L2 5e-4, four mirrored pixels around, a window, flips.",
        networks="Wide ResNets on CIFAR",
        reported="WRN-28-10: 4.00 % on CIFAR-10, 19.25 % on CIFAR-100",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

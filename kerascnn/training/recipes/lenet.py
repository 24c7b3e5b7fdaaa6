"""Plain small networks without batch norm."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "lenet": Recipe(
        TrainConfig(
            batch_size=64,
            epochs=25,
            learning_rate=0.02,
            momentum=0.9,
            nesterov=True,
            schedule="cosine",
            warmup_epochs=0.5,
            weight_decay=5e-3,  # L2 5e-4, Krizhevsky et al. 2012 (AlexNet)
            augment="none",
        ),
        source="LeCun et al. 1998 (doi.org/10.1109/5.726791) trained LeNet-5 for 20 passes with falling rates; the "
        "values here were chosen on Fashion-MNIST. Without batch norm a rate of 0.1 is too high. L2 5e-4 as "
        "Krizhevsky et al. 2012 (AlexNet).",
        networks="plain small networks without batch norm",
    ),
    "lenet_1998": Recipe(
        TrainConfig(
            batch_size=64,
            epochs=20,
            learning_rate=0.01,
            momentum=0.9,
            nesterov=True,
            clip_norm=1.0,
            schedule="cosine",
            warmup_epochs=0.5,
            augment="none",
        ),
        source="LeCun et al. 1998 (doi.org/10.1109/5.726791), section III.B: 20 passes with falling rates, which a "
        "diagonal estimate of the Hessian divides for each weight (here: one rate for all, with momentum). Scores that "
        "are squared distances to 84 numbers make large gradients, which are clipped: without that it diverges.",
        networks="LeNet-5 as it was in 1998",
    ),
}

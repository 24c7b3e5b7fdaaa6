"""FractalNet."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "fractalnet": Recipe(
        TrainConfig(
            batch_size=100,
            epochs=400,
            learning_rate=0.02,
            momentum=0.9,
            nesterov=False,
            schedule="step",
            milestones=(0.5, 0.75, 0.875, 0.9375),
            decay_rate=0.1,
            weight_decay=0.0,
            augment="pad_crop_flip",
        ),
        source="Larsson, Maire, Shakhnarovich 2016 (arXiv:1605.07648), section 4: rate 0.02, momentum 0.9, batch "
        "100, 400 epochs, divided by 10 whenever the epochs that remain are halved; local drop-path of 15 %, dropout "
        "of 0 to 40 % by block, shifts and flips. The paper names no weight decay, and there is none here.",
        networks="FractalNet on CIFAR",
        reported="20 layers with drop-path and dropout: 4.60 % on CIFAR-10",
        options={"drop_path_rate": 0.15},
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

"""SimpleNet and SimpNet on CIFAR."""

import dataclasses

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_FALLS = (100, 190, 306, 390, 440, 540)  # after these epochs, in both releases


def _parts(epochs: int) -> tuple[float, ...]:
    return tuple(fall / epochs for fall in _FALLS)


_SIMPLENET = TrainConfig(
    batch_size=64,
    epochs=700,
    optimizer="adadelta",
    learning_rate=0.1,
    nesterov=False,
    epsilon=1e-3,
    beta_2=0.9,
    schedule="step",
    milestones=_parts(700),
    decay_rate=0.1,
    l2=1e-3,
    augment="pad_crop_flip",
)
_RULE = "AdaDelta with decay 0.9 and epsilon 1e-3, rate 0.1, divided by 10 after 100, 190, 306, 390, 440 and 540"

RECIPES = {
    "simplenet": Recipe(
        _SIMPLENET,
        source=f"Hasanpour et al. 2016 (arXiv:1608.06037), as in Coderx7/SimpleNet_Pytorch (Cifar/main.py): {_RULE} of "
        "700 epochs, batch 64, L2 1e-3, pad-crop and flip. Their files for Caffe have batches of 100, L2 5e-3 and "
        "later falls.",
        networks="SimpleNet on CIFAR",
        reported="95.51 % of CIFAR-10 right",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
    "simpnet": Recipe(
        dataclasses.replace(_SIMPLENET, batch_size=100, epochs=800, milestones=_parts(800), l2=5e-3),
        source=f"Hasanpour et al. 2018 (arXiv:1802.06205), as in Coderx7/SimpNet (SimpNetV2, the solvers for CIFAR-10 "
        f"and train.prototxt, for Caffe): {_RULE} of 800 epochs (50,000 to 270,000 of 400,000 steps), batch 100, L2 "
        "5e-3, pad-crop and flip. Departure: L2 of the last layer too, where Caffe's has none.",
        networks="SimpNet on CIFAR",
        reported="SimpNet of 8.9M parameters: 96.12 % of CIFAR-10 right (95.89 % in their README)",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

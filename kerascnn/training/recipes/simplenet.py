"""SimpleNet and SimpNet on CIFAR."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_CONFIG = TrainConfig(
    batch_size=64,
    epochs=700,
    optimizer="adadelta",
    learning_rate=0.1,
    nesterov=False,
    epsilon=1e-3,
    beta_2=0.9,
    schedule="step",
    milestones=(100 / 700, 190 / 700, 306 / 700, 390 / 700, 440 / 700, 540 / 700),
    decay_rate=0.1,
    l2=1e-3,
    augment="pad_crop_flip",
)
_SOURCE = (
    "AdaDelta with decay 0.9 and epsilon 1e-3, rate 0.1, divided by 10 after 100, 190, 306, 390, 440 and 540 of 700 "
    "epochs, batch 64, L2 1e-3, pad-crop and flip, as in the authors' code (SimpleNet_Pytorch, Cifar/main.py)"
)

RECIPES = {
    "simplenet": Recipe(
        _CONFIG,
        source=f"Hasanpour et al. 2016 (arXiv:1608.06037): {_SOURCE}. Their files for Caffe have L2 5e-3.",
        networks="SimpleNet on CIFAR",
        reported="95.51 % of CIFAR-10 right",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
    "simpnet": Recipe(
        _CONFIG,
        source=f"Hasanpour et al. 2018 (arXiv:1802.06205): {_SOURCE}. Departure: that code trains SimpleNet, the files "
        "for SimpNet are Caffe's and count steps.",
        networks="SimpNet on CIFAR",
        reported="SimpNet of 8.9M parameters: 96.12 % of CIFAR-10 right",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

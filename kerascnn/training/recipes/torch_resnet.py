"""DenseNet, PyramidNet, Shake-Shake and stochastic depth: trained by copies of fb.resnet.torch (Gross & Wilber 2016).

They share its optimizer (train.lua, opts.lua: Nesterov momentum 0.9, L2 1e-4, rate 0.1) and its images of CIFAR (4
pixels of black around, a window, flips); their own are the batch, the epochs and where the rate falls.
"""

import dataclasses

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_TORCH = TrainConfig(
    batch_size=128,
    epochs=300,
    learning_rate=0.1,
    momentum=0.9,
    nesterov=True,
    schedule="step",
    milestones=(0.5, 0.75),
    decay_rate=0.1,
    weight_decay=1e-3,  # L2 1e-4
    augment="pad_crop_flip",
)
_SHAKE_SHAKE = dataclasses.replace(_TORCH, epochs=1800, learning_rate=0.2, schedule="cosine")

RECIPES = {
    "densenet": Recipe(
        dataclasses.replace(_TORCH, batch_size=64),
        source="Huang et al. 2016 (arXiv:1608.06993), section 4.2, and liuzhuang13/DenseNet (README, train.lua): batch "
        "64, 300 epochs, rate 0.1, divided by 10 after 50 % and 75 %, L2 1e-4, Nesterov momentum 0.9, pad-crop and "
        "flip.",
        networks="DenseNet on CIFAR",
        reported="DenseNet-BC (k = 40, 190 layers): 3.46 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
    "densenet_imagenet": Recipe(
        dataclasses.replace(
            _TORCH, batch_size=256, epochs=90, milestones=(1 / 3, 2 / 3), augment="random_resized_crop"
        ),
        source="Huang et al. 2016 (arXiv:1608.06993), section 4.2: batch 256, 90 epochs, rate 0.1, divided by 10 after "
        "30 and 60, L2 1e-4, Nesterov momentum 0.9; random areas and flips as in fb.resnet.torch. Departure: without "
        "its jitter and noise of colors.",
        networks="DenseNet on ImageNet",
        reported="DenseNet-121: top-1 25.02, top-5 7.71 % (1 crop)",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
    "pyramidnet": Recipe(
        _TORCH,
        source="Han, Kim, Kim 2016 (arXiv:1610.02915), section 4.1, and jhkim89/PyramidNet (README): 300 epochs, batch "
        "128, rate 0.1 (0.5 for CIFAR-100), divided by 10 after 150 and 225, Nesterov momentum 0.9, L2 1e-4, pad-crop "
        "and flip.",
        networks="PyramidNet on CIFAR",
        reported="alpha = 270, 110 layers: 3.73 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
    "stochastic_depth": Recipe(
        dataclasses.replace(_TORCH, epochs=500),
        source="Huang et al. 2016 (arXiv:1603.09382), section 4, and yueatsprograms/Stochastic_Depth (main.lua): batch "
        "128, 500 epochs, rate 0.1, divided by 10 after 250 and 375, Nesterov momentum 0.9, L2 1e-4, pad-crop and "
        "flip; survival falls linearly to 0.5.",
        networks="ResNets of stochastic depth on CIFAR",
        reported="ResNet-110: 5.23 % on CIFAR-10 (their README; of the epoch that is best on 5,000 images held out)",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
    "shake_shake": Recipe(
        _SHAKE_SHAKE,
        source="Gastaldi 2017 (arXiv:1705.07485), section 2.1, and xgastaldi/shake-shake (README, opts.lua, "
        "train.lua): 1800 epochs, batch 128, rate 0.2, one cosine to 0, L2 1e-4, Nesterov momentum 0.9.",
        networks="Shake-Shake on CIFAR-10",
        reported="26 2x96d: 2.86 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
    "shake_shake_cutout": Recipe(
        dataclasses.replace(_SHAKE_SHAKE, augment="pad_crop + flip + cutout(0.5)"),
        source="DeVries & Taylor 2017 (arXiv:1708.04552), section 4, and uoguelph-mlrg/Cutout (shake-shake/README): "
        "Gastaldi's training (arXiv:1705.07485) with cutout of 16 of 32 pixels.",
        networks="Shake-Shake on CIFAR-10, with cutout",
        reported="26 2x96d: 2.56 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}

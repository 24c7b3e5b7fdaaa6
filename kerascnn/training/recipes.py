"""Named defaults for `kerascnn train`, one per kind of network; a flag overrides each field. Imports no TensorFlow.

Weight decay is decoupled here (see optimizers.py), so a published L2 coefficient c trained with momentum m is given as
c / (1 - m): the same shrinking of the weights per step once the momentum has settled.
"""

import dataclasses
from typing import Any

from kerascnn._errors import InputError
from kerascnn.training.config import TrainConfig

RECIPES = {
    # Small-image residual nets. Zagoruyko & Komodakis 2016 (arXiv:1605.07146): batch 128, peak rate 0.1, Nesterov
    # momentum 0.9, L2 5e-4, pad-crop and flip. One cosine (Loshchilov & Hutter 2017, arXiv:1608.03983) instead of
    # their steps and 15 epochs instead of 200, because a short run gains most from a rate that falls to zero; one epoch
    # of warm-up (Goyal et al. 2017, arXiv:1706.02677), because the first steps at 0.1 are the unstable ones.
    "cifar": TrainConfig(
        batch_size=128,
        epochs=15,
        learning_rate=0.1,
        momentum=0.9,
        nesterov=True,
        schedule="cosine",
        warmup_epochs=1.0,
        weight_decay=5e-3,  # L2 5e-4
        augment="pad_crop_flip",
    ),
    # Plain small nets without batch norm. LeCun et al. 1998 (doi.org/10.1109/5.726791) trained LeNet-5 for 20 passes
    # with falling rates; the values here were chosen on Fashion-MNIST. Without batch norm a rate of 0.1 is too high.
    "lenet": TrainConfig(
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
    # ImageNet nets. fb.resnet.torch (Gross & Wilber 2016): batch 256, rate 0.1, Nesterov momentum 0.9, L2 1e-4, 90
    # epochs, random area crops and flips. Cosine and five epochs of warm-up as in Goyal et al. and He et al. 2019
    # (arXiv:1812.01187, table 4: +0.75 % over steps for ResNet-50 with label smoothing as well).
    "imagenet": TrainConfig(
        batch_size=256,
        epochs=90,
        learning_rate=0.1,
        momentum=0.9,
        nesterov=True,
        schedule="cosine",
        warmup_epochs=5.0,
        weight_decay=1e-3,  # L2 1e-4
        augment="random_resized_crop",
    ),
    # Vision transformers and MLP mixers. Dosovitskiy et al. 2020 (arXiv:2010.11929, table 3): from scratch on ImageNet
    # 300 epochs of Adam at batch 4096, peak rate 3e-3, weight decay 0.3, cosine, warm-up of 10,000 steps. Smaller
    # batches follow Touvron et al. 2020 (DeiT, arXiv:2012.12877, table 9): rate 5e-4 per 512 images, decay 0.05, five
    # epochs of warm-up, labels smoothed by 0.1. Decay is decoupled in both (Loshchilov & Hutter, arXiv:1711.05101).
    "vit": TrainConfig(
        batch_size=256,
        epochs=300,
        optimizer="adam",
        learning_rate=2.5e-4,
        nesterov=False,
        schedule="cosine",
        warmup_epochs=5.0,
        weight_decay=0.05,
        label_smoothing=0.1,
        augment="random_resized_crop",
    ),
    # Segmentation. Chen et al. 2017 (arXiv:1706.05587), section 4: momentum 0.9, a rate that falls as the poly rule of
    # power 0.9, random scales from 0.5 to 2 and flips. Their batch of 16 and rate of 0.007 are for a backbone trained
    # on ImageNet; from scratch on small sets, batches of 8 at 0.05 with Nesterov's momentum and a warm-up learn faster
    # (tried on the shapes of `kerascnn.data`). L2 1e-4 as for the ResNets that they start from.
    "segmentation": TrainConfig(
        batch_size=8,
        epochs=50,
        learning_rate=0.05,
        momentum=0.9,
        nesterov=True,
        schedule="poly",
        warmup_epochs=1.0,
        weight_decay=1e-3,
        augment="scale_crop_flip",
    ),
}

# Sets whose classes change when mirrored (a flipped 2 is no digit), so no flip by default.
UNMIRRORED = ("digits", "mnist", "emnist", "kmnist", "svhn_cropped")
SMALL_IMAGE = 64  # pixels; up to here an ImageNet network is trained like a CIFAR network


def choose(recipe: str, image_size: int, task: str = "classification") -> str:
    """Which recipe fits: that of the network, or "cifar" when an ImageNet network is given small images.

    Args:
        recipe: the network's own, `ModelInfo.recipe`.
        image_size: shorter side of the network's input, pixels.
        task: what the network is for, `ModelInfo.task`.

    Returns:
        A name in `RECIPES`.
    """
    if task == "segmentation":
        return "segmentation"
    return "cifar" if recipe == "imagenet" and image_size <= SMALL_IMAGE else recipe


def resolve(recipe: str, data: str = "", **overrides: Any) -> TrainConfig:
    """The recipe with some fields replaced.

    Args:
        recipe: a name in `RECIPES`.
        data: the data set's name; decides whether images may be mirrored by default.
        **overrides: fields of `TrainConfig`. A warm-up that is not given is cut to a tenth of given `epochs`.

    Returns:
        The configuration of the run.

    Raises:
        InputError: an unknown recipe or field, or a value outside its range.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe must be one of {', '.join(RECIPES)}. Received: {recipe}")
    defaults = RECIPES[recipe]
    unknown = set(overrides) - {field.name for field in dataclasses.fields(TrainConfig)}
    if unknown:
        raise InputError(f"TrainConfig has no field of this name. Received: {', '.join(sorted(unknown))}")
    fallback: dict[str, Any] = {}
    if "epochs" in overrides:
        fallback["warmup_epochs"] = max(0.0, min(defaults.warmup_epochs, overrides["epochs"] / 10))
    if overrides.get("optimizer", defaults.optimizer) != defaults.optimizer:
        fallback.update({"learning_rate": 1e-3, "weight_decay": 1e-2} if overrides["optimizer"] == "adam" else {})
    if overrides.get("momentum") == 0:
        fallback["nesterov"] = False
    if data.split("/")[0].split(":")[0] in UNMIRRORED:
        fallback["augment"] = "none"
    return dataclasses.replace(defaults, **{**fallback, **overrides})

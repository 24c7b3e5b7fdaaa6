"""What is done to pixels before a network sees them: one record a network, for training, prediction and export."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kerascnn import _check
from kerascnn._errors import InputError

_INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
_FITS = ("crop", "pad")
_LARGEST = 1e6  # of a mean or deviation, in units of the full pixel range


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Constants of one network's input: `(pixel / 255 - mean) / std` per channel, after fitting the image to size."""

    mean: tuple[float, ...]  # per channel, in units of the full pixel range
    std: tuple[float, ...]  # per channel, likewise
    crop_fraction: float = 0.875  # fit="crop": size / length of the shorter side after resizing
    interpolation: str = "bilinear"  # bilinear | bicubic | nearest
    fit: str = "crop"  # crop: resize the shorter side, center crop; pad: whole-factor enlargement, zero border

    def __post_init__(self):
        if len(self.mean) != len(self.std) or not self.mean:
            raise InputError(f"mean and std must have one value per channel. Received: {self.mean} and {self.std}")
        for name, values in (("mean", self.mean), ("std", self.std)):  # also from a file that may hold anything
            for value in values:
                _check.real(f"each {name}", value, -_LARGEST, _LARGEST)
        if min(self.std) <= 0:
            raise InputError(f"std must be positive. Received: {self.std}")
        _check.real("crop_fraction", self.crop_fraction)
        if not 0 < self.crop_fraction <= 1:
            raise InputError(f"crop_fraction must be in (0, 1]. Received: {self.crop_fraction}")
        if self.interpolation not in _INTERPOLATIONS:
            raise InputError(f"interpolation must be one of {_INTERPOLATIONS}. Received: {self.interpolation!r}")
        if self.fit not in _FITS:
            raise InputError(f"fit must be one of {_FITS}. Received: {self.fit!r}")

    def for_channels(self, channels: int) -> "Preprocessing":
        """The same constants for another number of channels: each becomes the mean over the given channels."""
        if channels == len(self.mean):
            return self
        mean, std = (sum(values) / len(values) for values in (self.mean, self.std))
        return dataclasses.replace(self, mean=(mean,) * channels, std=(std,) * channels)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {**dataclasses.asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of `to_dict`; refuses unknown or missing names."""
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise InputError(f"Preprocessing needs exactly {sorted(names)}. Received: {sorted(values)}")
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})


# Mean and standard deviation over the ImageNet training set, as used by every published PyTorch recipe.
IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
# The same constants for networks that class every pixel, so that none is cut off before.
SEGMENTATION = dataclasses.replace(IMAGENET, crop_fraction=1.0)
# To [-1, 1]: the networks that TensorFlow's research models and keras.applications scale so.
INCEPTION = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
# Over the CIFAR-10 training set.
CIFAR = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616), crop_fraction=1.0, fit="pad")
# Over the MNIST training set.
MNIST = Preprocessing(mean=(0.1307,), std=(0.3081,), crop_fraction=1.0, fit="pad")
# LeNet-5: background -0.1, foreground 1.175 (LeCun et al. 1998, section II.B), so pixel/255 * 1.275 - 0.1.
LENET = Preprocessing(mean=(0.1 / 1.275,), std=(1 / 1.275,), crop_fraction=1.0, fit="pad")

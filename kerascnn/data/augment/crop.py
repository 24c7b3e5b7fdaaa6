"""Random windows of the network's size."""

import dataclasses

import tensorflow as tf

from kerascnn.data.augment import images
from kerascnn.data.augment.operation import Operation, choice, number
from kerascnn.data.preprocessing import change_channels, resize


@dataclasses.dataclass(frozen=True)
class Crop(Operation):
    """Takes a random window of an image, and its mask, fitted `scale` times larger (Krizhevsky et al. 2012, section
    4.1: 256 pixels for 224)."""

    name = "crop"
    tasks = ("classification", "segmentation")
    sizes = True
    scale: float = number(8 / 7, 1.0, 16.0)

    def enlargement(self):
        return self.scale

    def image(self, image, seed, target):
        return images.random_crop(image, seed, *target.shape[:2])

    pair = image


@dataclasses.dataclass(frozen=True)
class PadCrop(Operation):
    """Surrounds an image by black and takes a random window of its size (He et al. 2015, arXiv:1512.03385, section 4.2:
    4 pixels of 32); or by itself, mirrored (Zagoruyko & Komodakis 2016, arXiv:1605.07146, section 3)."""

    name = "pad_crop"
    part: float = number(1 / 8, 0.0, 1.0, above=True)
    mode: str = choice("zero", ("zero", "reflect"))

    def image(self, image, seed, target):
        side = min(target.shape[:2])
        padding = max(1, round(side * self.part))
        if self.mode == "reflect":  # an image has no more than this to mirror
            padding = min(padding, side - 1)
        return images.pad_and_crop(image, seed, padding, self.mode)


@dataclasses.dataclass(frozen=True)
class ResizedCrop(Operation):
    """Resizes a window of random area, a part of the image's from `smallest` to `largest`, and of an aspect ratio,
    width / height, from `narrowest` to `widest` (Szegedy et al. 2015, arXiv:1409.4842, section 6)."""

    name = "resized_crop"
    sizes = True
    fitted = False
    windowed = True
    smallest: float = number(0.08, 0.0, 1.0, above=True)
    largest: float = number(1.0, 0.0, 1.0, above=True)
    narrowest: float = number(3 / 4, 0.01, 100.0)
    widest: float = number(4 / 3, 0.01, 100.0)

    def __post_init__(self):
        super().__post_init__()
        self.check_order("smallest", "largest")
        self.check_order("narrowest", "widest")

    def window(self, height, width, seed):
        return images.draw_window(height, width, seed, (self.smallest, self.largest), (self.narrowest, self.widest))

    def resized(self, window, target):
        height, width, channels = target.shape
        window = change_channels(window, channels)
        window = resize(window, height, width, target.preprocessing.interpolation)
        return tf.ensure_shape(window, target.shape)

    def image(self, image, seed, target):
        height, width, channels = target.shape
        return images.random_resized_crop(
            change_channels(image, channels), seed, height, width, (self.smallest, self.largest),
            (self.narrowest, self.widest), target.preprocessing.interpolation,
        )  # fmt: skip


OPERATIONS = (Crop, PadCrop, ResizedCrop)

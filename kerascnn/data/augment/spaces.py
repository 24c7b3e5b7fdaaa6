"""What the levels of learned and random policies mean: the changes that there are, and the amount of each at a level.

A level is a part of the largest, from 0 to 1. The names are those of the papers. Sources: Cubuk et al. 2018,
AutoAugment (arXiv:1805.09501), table 6; Cubuk et al. 2019, RandAugment (arXiv:1909.13719); Mueller and Hutter 2021,
TrivialAugment (arXiv:2103.10158), table 1 (wide); Hendrycks et al. 2019, AugMix (arXiv:1912.02781). Where these leave
a range open, it is torchvision's; `Increasing` and `Tpu` are timm's and the TPU code's of EfficientNet.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from kerascnn.data.augment import colors, warps

# Name -> (image, amount, interpolation, fill) -> image.
CHANGES: dict[str, Callable] = {
    "Identity": lambda image, amount, *how: image,
    "ShearX": lambda image, amount, *how: warps.shear_x(image, amount, *how),
    "ShearY": lambda image, amount, *how: warps.shear_y(image, amount, *how),
    "TranslateX": lambda image, amount, *how: warps.translate_x(image, amount, *how),
    "TranslateY": lambda image, amount, *how: warps.translate_y(image, amount, *how),
    "Rotate": lambda image, amount, *how: warps.rotate(image, amount, *how),
    "Brightness": lambda image, amount, *how: colors.brightness(image, amount),
    "Color": lambda image, amount, *how: colors.color(image, amount),
    "Contrast": lambda image, amount, *how: colors.contrast(image, amount),
    "Sharpness": lambda image, amount, *how: colors.sharpness(image, amount),
    "Posterize": lambda image, amount, *how: colors.posterize(image, amount),
    "Solarize": lambda image, amount, *how: colors.solarize(image, amount),
    "SolarizeAdd": lambda image, amount, *how: colors.solarize_add(image, amount),
    "AutoContrast": lambda image, amount, *how: colors.autocontrast(image),
    "Equalize": lambda image, amount, *how: colors.equalize(image),
    "Invert": lambda image, amount, *how: colors.invert(image),
}
ENHANCED = ("Brightness", "Color", "Contrast", "Sharpness")
_SHAPES = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
_OTHERS = (*ENHANCED, "Posterize", "Solarize", "AutoContrast", "Equalize")


@dataclasses.dataclass(frozen=True)
class Space:
    """Changes with their largest amounts, as torchvision has them."""

    names: tuple[str, ...] = ("Identity", *_SHAPES, *_OTHERS)
    shear: float = 0.3
    shift: float = 150 / 331  # part of the width or height; above 1: pixels
    degrees: float = 30.0
    strength: float = 0.9  # of a factor's distance from 1
    bits: tuple[int, int] = (8, 4)  # at the lowest and at the highest level

    def amount(self, name: str, level: tf.Tensor, sign: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
        """The amount of a change.

        Args:
            name: of the change.
            level: 0 to 1.
            sign: 1 or -1: in which direction, where there are two.
            size: (height, width) in pixels.

        Returns:
            float32 [], what `CHANGES[name]` takes.
        """
        if name in ENHANCED:
            return self.factor(level, sign)
        if name in ("TranslateX", "TranslateY"):
            return sign * self.pixels(level, float(size[name == "TranslateX"]))
        one = {
            "ShearX": lambda: sign * self.shear * level,
            "ShearY": lambda: sign * self.shear * level,
            "Rotate": lambda: sign * self.degrees * level,
            "Posterize": lambda: self.kept_bits(level),
            "Solarize": lambda: self.threshold(level),
            "SolarizeAdd": lambda: tf.floor(110.0 * level + _NEARLY),
        }.get(name)
        return tf.zeros_like(level) if one is None else one()

    def factor(self, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
        """Of brightness, color, contrast and sharpness."""
        return 1.0 + sign * self.strength * level

    def pixels(self, level: tf.Tensor, size: float) -> tf.Tensor:
        """By how many an image of that width or height is shifted."""
        return tf.floor((self.shift if self.shift > 1 else self.shift * size) * level + _NEARLY)

    def kept_bits(self, level: tf.Tensor) -> tf.Tensor:
        """Of posterize."""
        most, fewest = self.bits
        return most - tf.round((most - fewest) * level)

    def threshold(self, level: tf.Tensor) -> tf.Tensor:
        """Of solarize."""
        return 255.0 * (1.0 - level)


_NEARLY = 1e-4  # what is a whole number but for rounding is not cut down to the one before


@dataclasses.dataclass(frozen=True)
class Increasing(Space):
    """As timm: every change grows with the level, and no factor is below 0.1."""

    names: tuple[str, ...] = (
        "AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "SolarizeAdd", "Color", "Contrast",
        "Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY",
    )  # fmt: skip
    shift: float = 0.45

    def factor(self, level, sign):
        return tf.maximum(0.1, super().factor(level, sign))

    def pixels(self, level, size):
        return self.shift * size * level

    def kept_bits(self, level):
        return 4.0 - tf.floor(4.0 * level + _NEARLY)

    def threshold(self, level):
        return 256.0 - tf.floor(256.0 * level + _NEARLY)


@dataclasses.dataclass(frozen=True)
class Tpu(Increasing):
    """As in the TPU code of EfficientNet: some changes shrink with the level."""

    def factor(self, level, sign):
        return 0.1 + 1.8 * level

    def kept_bits(self, level):
        return tf.floor(4.0 * level + _NEARLY)

    def threshold(self, level):
        return tf.floor(256.0 * level + _NEARLY)


AUTO = Space((*_SHAPES, *_OTHERS, "Invert"))
RANDOM = Space()
WIDE = Space(shear=0.99, shift=32.0, degrees=135.0, strength=0.99, bits=(8, 2))
MIXED = Space((*_SHAPES, *_OTHERS, "Identity"), shift=1 / 3, bits=(4, 0))  # without the last, which pads short chains
INCREASING = Increasing()
TPU = Tpu()


def changer(space: Space, image: tf.Tensor, interpolation: str, fill: tuple) -> Callable:
    """A function that does one change of a space, chosen in the graph.

    Args:
        space: the changes.
        image: uint8 [height, width, channels], sizes known: what will be changed is like it.
        interpolation: "nearest" or "bilinear", of changes of place.
        fill: what comes from outside of the image, one value a channel.

    Returns:
        A function (image, number of the change, level, sign) -> image.
    """
    size = tuple(image.shape[:2])
    specs = [tf.TensorSpec(image.shape, tf.uint8), tf.TensorSpec([], tf.int32), *2 * [tf.TensorSpec([])]]

    # Called for every change of an image: traced once, and kept a function, or the graph would grow with each call.
    @tf.function(input_signature=specs, autograph=False, experimental_attributes={"_noinline": True})
    def change(image, number, level, sign):
        def branch(name):
            return lambda: CHANGES[name](image, space.amount(name, level, sign, size), interpolation, fill)

        return tf.ensure_shape(tf.switch_case(number, [branch(name) for name in space.names]), image.shape)

    return change

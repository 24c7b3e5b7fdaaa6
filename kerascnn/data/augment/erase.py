"""Covering a part of an image."""

import dataclasses
import math

import tensorflow as tf

from kerascnn.data.augment.images import as_batch, inside_boxes, split_seed
from kerascnn.data.augment.operation import Operation, choice, number

_TRIALS = 10


def _filled(images, inside, seed, fill, target):
    """Images [n, height, width, channels], covered where `inside` [n, height, width].

    "mean" is the network's, so that it sees zeros; "color" one random color an image, "noise" one a pixel, both normal
    with the network's mean and deviation, so that it sees a standard normal distribution.
    """
    channels = images.shape[-1]
    constants = target.preprocessing.for_channels(channels)
    mean, std = (tf.constant([255.0 * value for value in values]) for values in (constants.mean, constants.std))
    cover = {"black": tf.zeros([channels]), "gray": tf.fill([channels], 128.0), "mean": mean}.get(fill)
    if cover is None:
        shape = tf.shape(images)
        shape = shape if fill == "noise" else tf.stack([shape[0], 1, 1, shape[3]])
        cover = mean + std * tf.random.stateless_normal(shape, seed)
    elif fill != "mean" and images.dtype == tf.uint8:
        return tf.where(inside[..., None], tf.cast(cover, tf.uint8), images)
    return tf.where(inside[..., None], cover, tf.cast(images, tf.float32))


@dataclasses.dataclass(frozen=True)
class Cutout(Operation):
    """Covers a square of `part` of the shorter side; its center is any pixel, what lies outside is cut off (DeVries and
    Taylor 2017, arXiv:1708.04552, section 3.2: 16 of 32 pixels on CIFAR-10, covered by zeros after normalization)."""

    name = "cutout"
    part: float = number(0.5, 0.0, 1.0, above=True)
    probability: float = number(1.0, 0.0, 1.0)
    fill: str = choice("mean", ("mean", "black", "gray", "color", "noise"))

    def image(self, image, seed, target):
        side = max(1, round(self.part * min(target.shape[:2])))

        def change(images):
            first, second = split_seed(seed, 2)
            shape = tf.shape(images)
            draws = tf.random.stateless_uniform([3, shape[0]], first)
            starts = [
                tf.cast(draws[axis] * tf.cast(shape[1 + axis], tf.float32), tf.int32) - side // 2 for axis in range(2)
            ]
            sides = tf.where(draws[2] < self.probability, side, 0)
            inside = inside_boxes(images, starts, [start + sides for start in starts])
            return _filled(images, inside, second, self.fill, target)

        return as_batch(image, change)


@dataclasses.dataclass(frozen=True)
class RandomErasing(Operation):
    """Covers a box of random area, a part of the image's from `smallest` to `largest`, and of an aspect ratio from
    `flattest` to its inverse (Zhong et al. 2017, arXiv:1708.04896, algorithm 1; ratios are uniform on a logarithmic
    scale as in torchvision and timm). Of ten boxes the first that fits is taken."""

    name = "random_erasing"
    probability: float = number(0.25, 0.0, 1.0)
    smallest: float = number(0.02, 0.0, 1.0, above=True)
    largest: float = number(1 / 3, 0.0, 1.0, above=True)
    flattest: float = number(0.3, 0.0, 1.0, above=True)
    fill: str = choice("noise", ("mean", "black", "gray", "color", "noise"))

    def __post_init__(self):
        super().__post_init__()
        self.check_order("smallest", "largest")

    def image(self, image, seed, target):
        def change(images):
            first, second, third = split_seed(seed, 3)
            shape = tf.shape(images)
            size = tf.cast(shape[1:3], tf.float32)
            draws = tf.random.stateless_uniform([2, shape[0], _TRIALS], first)
            place = tf.random.stateless_uniform([3, shape[0]], second)
            area = (self.smallest + (self.largest - self.smallest) * draws[0]) * size[0] * size[1]
            ratio = tf.exp(math.log(self.flattest) * (1.0 - 2.0 * draws[1]))
            tall, wide = tf.round(tf.sqrt(area * ratio)), tf.round(tf.sqrt(area / ratio))
            fits = (tall < size[0]) & (wide < size[1]) & (tall >= 1.0) & (wide >= 1.0)
            chosen = tf.argmax(fits, axis=1)
            done = tf.reduce_any(fits, axis=1) & (place[0] < self.probability)
            tall, wide = (tf.where(done, tf.gather(side, chosen, batch_dims=1), 0.0) for side in (tall, wide))
            starts, ends = [], []
            for axis, side in enumerate((tall, wide)):
                starts.append(tf.cast(place[1 + axis] * (size[axis] - side + 1.0), tf.int32))
                ends.append(starts[-1] + tf.cast(side, tf.int32))
            return _filled(images, inside_boxes(images, starts, ends), third, self.fill, target)

        return as_batch(image, change)


OPERATIONS = (Cutout, RandomErasing)

"""Mixtures of the images of a batch, and of their labels; one mixing weight a batch."""

import dataclasses

import tensorflow as tf

from kerascnn.data.augment.images import split_seed
from kerascnn.data.augment.operation import Operation, number


def draw_beta(alpha: float, shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """Draws from Beta(alpha, alpha), as X / (X + Y) of two gamma variables.

    They are drawn as logarithms, `log X = log Gamma(alpha + 1) + log(U) / alpha` (Marsaglia and Tsang 2000,
    doi.org/10.1145/358407.358414, section 6), because for a small alpha both are smaller than the smallest number.

    Args:
        alpha: > 0.
        shape: of the result.
        seed: two integers.

    Returns:
        float32, within [0, 1].
    """

    first, second = split_seed(seed, 2)
    return tf.cast(tf.sigmoid(_log_gamma(alpha, shape, first) - _log_gamma(alpha, shape, second)), tf.float32)


def draw_dirichlet(alpha: float, size: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws from Dirichlet(alpha, ..., alpha), in the same way.

    Args:
        alpha: > 0.
        size: how many numbers.
        seed: two integers.

    Returns:
        float32 [size], with the sum 1.
    """
    return tf.cast(tf.nn.softmax(_log_gamma(alpha, [size], seed)), tf.float32)


def _log_gamma(alpha, shape, seed):
    first, second = split_seed(seed, 2)
    larger = tf.random.stateless_gamma(shape, first, alpha + 1.0, dtype=tf.float64)
    uniform = 1.0 - tf.random.stateless_uniform(shape, second, dtype=tf.float64)  # never 0
    return tf.math.log(larger) + tf.math.log(uniform) / alpha


def _partners(count, seed):
    """The image with which each is mixed: a random order of the batch."""
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed)


@dataclasses.dataclass(frozen=True)
class Mixup(Operation):
    """`w x_i + (1 - w) x_j` and the same of the labels, j a random order of the batch, w ~ Beta(alpha, alpha) (Zhang et
    al. 2017, arXiv:1710.09412)."""

    name = "mixup"
    mixes = True
    alpha: float = number(0.2, 0.0, 1000.0, above=True)

    def mix(self, images, labels, seed):
        first, second = split_seed(seed, 2)
        weight, partners = draw_beta(self.alpha, [], first), _partners(tf.shape(images)[0], second)
        images, labels = (weight * values + (1.0 - weight) * tf.gather(values, partners) for values in (images, labels))
        return images, labels


@dataclasses.dataclass(frozen=True)
class CutMix(Operation):
    """Puts a box of image j into image i at the same place; labels are mixed by the areas that are seen (Yun et al.
    2019, arXiv:1905.04899, section 3.1 and algorithm A1).

    The box has the image's aspect ratio and 1 - w of its area, w ~ Beta(alpha, alpha), its center is uniform, and what
    lies outside is cut off. All images of a batch get the same box.
    """

    name = "cutmix"
    mixes = True
    alpha: float = number(1.0, 0.0, 1000.0, above=True)

    def mix(self, images, labels, seed):
        first, second, third = split_seed(seed, 3)
        partners = _partners(tf.shape(images)[0], second)
        side = tf.sqrt(1.0 - draw_beta(self.alpha, [], first))
        center = tf.random.stateless_uniform([2], third)
        inside = []  # of the box: the rows, the columns
        for axis in range(2):
            size = tf.shape(images)[1 + axis]
            bounds = tf.clip_by_value(center[axis] + side * tf.constant([-0.5, 0.5]), 0.0, 1.0)
            low, high = tf.unstack(tf.cast(tf.round(bounds * tf.cast(size, tf.float32)), tf.int32))
            place = tf.range(size)
            inside.append((place >= low) & (place < high))
        box = inside[0][:, None] & inside[1][None, :]
        share = tf.reduce_mean(tf.cast(box, tf.float32))
        images = tf.where(box[:, :, None], tf.gather(images, partners), images)
        return images, (1.0 - share) * labels + share * tf.gather(labels, partners)


OPERATIONS = (Mixup, CutMix)

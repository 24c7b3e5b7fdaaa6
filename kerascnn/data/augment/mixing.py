"""Mixtures of the images of a batch, and of their labels."""

import dataclasses

import tensorflow as tf

from kerascnn.data.augment.images import inside_boxes, split_seed
from kerascnn.data.augment.operation import Operation, choice, number

PER = ("batch", "image", "pair")  # for what a weight is drawn


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


def _partners(count, seed, per):
    """The image with which each is mixed: a random order of the batch; for pairs, in which each is the partner of the
    other, the batch from its end."""
    if per == "pair":
        return tf.range(count - 1, -1, -1)
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed)


def _weights(alpha, count, seed, per):
    """[count] or [1]: of each image, the same for both of a pair, or of all."""
    if per == "batch":
        return draw_beta(alpha, [], seed)[None]
    weights = draw_beta(alpha, [count], seed)
    return _both(weights) if per == "pair" else weights


def _both(values):
    """Numbers [count, ...], the second half the first from its end: the same for both of a pair."""
    place = tf.range(tf.shape(values)[0])
    return tf.gather(values, tf.minimum(place, place[::-1]))


def mix_linearly(images, labels, weights, partners):
    """`w x_i + (1 - w) x_j`, and the same of the labels.

    Args:
        images: float32 [batch, height, width, channels].
        labels: float32 [batch, classes].
        weights: float32 [batch] or [1], the w.
        partners: int32 [batch], the j.

    Returns:
        Images and labels.
    """
    mixed = []
    for values in map(tf.convert_to_tensor, (images, labels)):
        shares = tf.reshape(weights, [-1] + [1] * (values.shape.rank - 1))
        mixed.append(shares * values + (1.0 - shares) * tf.gather(values, partners))
    return tuple(mixed)


def paste_boxes(images, labels, weights, partners, centers):
    """Puts a box of image j into image i at the same place, and mixes the labels by the areas that are seen.

    Args:
        images: float32 [batch, height, width, channels].
        labels: float32 [batch, classes].
        weights: float32 [batch] or [1]: what is left of image i before boxes are cut off at its edges.
        partners: int32 [batch], the j.
        centers: float32 [batch or 1, 2], within [0, 1].

    Returns:
        Images and labels.
    """
    side = tf.sqrt(1.0 - weights)
    starts, ends = [], []
    for axis in range(2):
        size = tf.shape(images)[1 + axis]
        bounds = tf.clip_by_value(centers[:, axis, None] + side[:, None] * tf.constant([-0.5, 0.5]), 0.0, 1.0)
        low, high = tf.unstack(tf.cast(tf.round(bounds * tf.cast(size, tf.float32)), tf.int32), axis=1)
        starts.append(low)
        ends.append(high)
    box = inside_boxes(images, starts, ends)
    share = tf.reduce_mean(tf.cast(box, tf.float32), axis=(1, 2))[:, None]
    images = tf.where(box[..., None], tf.gather(images, partners), images)
    return images, (1.0 - share) * labels + share * tf.gather(labels, partners)


@dataclasses.dataclass(frozen=True)
class Mixup(Operation):
    """`w x_i + (1 - w) x_j` and the same of the labels, w ~ Beta(alpha, alpha) (Zhang et al. 2017, arXiv:1710.09412).

    One w for the batch, for each image (`per` image) or for both images of a pair; j is a random order of the batch,
    for pairs the batch from its end.
    """

    name = "mixup"
    mixes = True
    alpha: float = number(0.2, 0.0, 1000.0, above=True)
    per: str = choice("batch", PER)

    def mix(self, images, labels, seed):
        first, second = split_seed(seed, 2)
        size = tf.shape(images)[0]
        weights = _weights(self.alpha, size, first, self.per)
        return mix_linearly(images, labels, weights, _partners(size, second, self.per))


@dataclasses.dataclass(frozen=True)
class CutMix(Operation):
    """Puts a box of image j into image i at the same place; labels are mixed by the areas that are seen (Yun et al.
    2019, arXiv:1905.04899, section 3.1 and algorithm A1).

    The box has the image's aspect ratio and 1 - w of its area, w ~ Beta(alpha, alpha), its center is uniform, and what
    lies outside is cut off. All images of a batch get the same box, or each image (`per` image) or pair one of its own.
    """

    name = "cutmix"
    mixes = True
    alpha: float = number(1.0, 0.0, 1000.0, above=True)
    per: str = choice("batch", PER)

    def mix(self, images, labels, seed):
        first, second, third = split_seed(seed, 3)
        size = tf.shape(images)[0]
        weights = _weights(self.alpha, size, first, self.per)
        if self.per == "batch":
            centers = tf.random.stateless_uniform([2], third)[None]
        else:
            centers = tf.random.stateless_uniform([size, 2], third)
            centers = _both(centers) if self.per == "pair" else centers
        return paste_boxes(images, labels, weights, _partners(size, second, self.per), centers)


@dataclasses.dataclass(frozen=True)
class MixupOrCutMix(Operation):
    """`cutmix` with probability `switch`, `mixup` otherwise, and neither with probability 1 - `probability`; each batch
    draws (Touvron et al. 2020, DeiT, arXiv:2012.12877, table 9; Wightman et al. 2021, arXiv:2110.00476, table 2)."""

    name = "mixup_or_cutmix"
    mixes = True
    mixup: float = number(0.8, 0.0, 1000.0, above=True)
    cutmix: float = number(1.0, 0.0, 1000.0, above=True)
    switch: float = number(0.5, 0.0, 1.0)
    probability: float = number(1.0, 0.0, 1.0)
    per: str = choice("batch", PER)

    def mix(self, images, labels, seed):
        first, second = split_seed(seed, 2)
        draws = tf.random.stateless_uniform([2], first)
        linear, boxes = Mixup(self.mixup, self.per), CutMix(self.cutmix, self.per)
        return tf.cond(
            draws[0] < self.probability,
            lambda: tf.cond(
                draws[1] < self.switch,
                lambda: boxes.mix(images, labels, second),
                lambda: linear.mix(images, labels, second),
            ),
            lambda: (images, labels),
        )


OPERATIONS = (Mixup, CutMix, MixupOrCutMix)

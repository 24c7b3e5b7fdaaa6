"""AugMix."""

import dataclasses

import tensorflow as tf

from kerascnn.data.augment import colors, spaces, warps
from kerascnn.data.augment.automatic import FILLS, Automatic, draw_change
from kerascnn.data.augment.images import split_seed
from kerascnn.data.augment.mixing import draw_beta, draw_dirichlet
from kerascnn.data.augment.operation import choice, count, number

_DEEPEST = 3


@dataclasses.dataclass(frozen=True)
class AugMix(Automatic):
    """`m x + (1 - m) sum_i w_i c_i(x)`, c_i a chain of random changes, w ~ Dirichlet(alpha), m ~ Beta(alpha, alpha)
    (Hendrycks et al. 2019, arXiv:1912.02781, algorithm 1); without the consistency loss.

    Levels are the `severity` lowest of ten; `depth` changes a chain, 0: 1 to 3 at random. Cut down to whole values.
    """

    name = "augmix"
    severity: int = count(3, 1, 10)
    width: int = count(3, 1, 10)
    depth: int = count(0, 0, 10)
    alpha: float = number(1.0, 0.0, 1000.0, above=True)
    interpolation: str = choice("nearest", warps.INTERPOLATIONS)
    fill: str = choice("black", FILLS)

    def image(self, image, seed, target):
        image, space = colors.as_bytes(image), spaces.MIXED
        change = self.changer(image, space, target)
        last = len(space.names) - 1  # no change
        longest = self.depth or _DEEPEST
        first, second, third, fourth = split_seed(seed, 4)
        draws = tf.random.stateless_uniform([self.width, longest, 4], first)
        depths = tf.random.stateless_uniform([self.width], second, 1, _DEEPEST + 1, tf.int32)
        own = draw_beta(self.alpha, [], third)
        weights = (1.0 - own) * draw_dirichlet(self.alpha, self.width, fourth)
        chains = []
        for chain in range(self.width):
            steps = []
            for place in range(longest):
                draw = draws[chain, place]
                index, sign = draw_change(draw, last)
                if not self.depth:
                    index = tf.where(place < depths[chain], index, last)
                steps.append((index, tf.floor(draw[3] * self.severity) / 9.0, sign))
            chains.append(steps)
        return mixture(image, change, chains, own, tf.unstack(weights))


def mixture(image: tf.Tensor, change, chains, own: tf.Tensor, weights) -> tf.Tensor:
    """The mean of an image and of what chains of changes make of it, cut down to whole values.

    Args:
        image: uint8 [height, width, channels].
        change: a function (image, number of the change, level, sign) -> image, see `spaces.changer`.
        chains: for each chain, what `change` takes for each of its steps.
        own: the weight of the image itself.
        weights: that of each chain.

    Returns:
        uint8 [height, width, channels].
    """
    mixed = own * tf.cast(image, tf.float32)
    for steps, weight in zip(chains, weights, strict=True):
        changed = image
        for step in steps:
            changed = change(changed, *step)
        mixed += weight * tf.cast(changed, tf.float32)
    # What is a whole number but for rounding is not cut down to the one before.
    return tf.cast(tf.clip_by_value(mixed + 1e-3, 0.0, 255.0), tf.uint8)


OPERATIONS = (AugMix,)

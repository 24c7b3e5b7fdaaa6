"""Policies of random changes: AutoAugment, RandAugment, TrivialAugment."""

import dataclasses

import tensorflow as tf

from kerascnn.data.augment import colors, spaces, warps
from kerascnn.data.augment.operation import Operation, choice, count, number
from kerascnn.data.augment.policies import POLICIES

FILLS = ("black", "gray", "mean")


def fill_values(fill: str, target) -> tuple[int, ...]:
    """What comes from outside of an image, one value a channel.

    Args:
        fill: "black", "gray" (128) or "mean" (of the network's preprocessing).
        target: the network's.
    """
    channels = target.shape[2]
    if fill == "mean":
        return tuple(round(255 * value) for value in target.preprocessing.for_channels(channels).mean)
    return (128 if fill == "gray" else 0,) * channels


@dataclasses.dataclass(frozen=True)
class Automatic(Operation):
    """A row of draws is four uniform numbers: which change, whether, the direction, the level."""

    batched = False

    def changer(self, image, space, target):
        """What does one change of a space to images like this one, see `spaces.changer`."""
        return spaces.changer(space, image, self.interpolation, fill_values(self.fill, target))


def draw_change(draw: tf.Tensor, changes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The number of a change, and a sign, from four uniform numbers.

    Args:
        draw: float32 [4].
        changes: how many there are.
    """
    return tf.cast(draw[0] * changes, tf.int32), tf.where(draw[2] < 0.5, -1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class AutoAugment(Automatic):
    """Does one of 25 learned sub-policies of two changes (Cubuk et al. 2018, arXiv:1805.09501), see `policies`."""

    name = "autoaugment"
    policy: str = choice("imagenet", POLICIES)
    interpolation: str = choice("nearest", warps.INTERPOLATIONS)
    fill: str = choice("black", FILLS)

    def image(self, image, seed, target):
        image, policy = colors.as_bytes(image), POLICIES[self.policy]
        change = self.changer(image, policy.space, target)
        draws = tf.random.stateless_uniform([3, 4], seed)
        row = tf.cast(draws[2, 0] * len(policy.rows), tf.int32)
        signs = [draw_change(draws[place], 1)[1] for place in range(2)]
        return sub_policy(image, policy, change, row, (draws[0, 1], draws[1, 1]), signs)


def sub_policy(image: tf.Tensor, policy, change, row: tf.Tensor, draws, signs) -> tf.Tensor:
    """Does the two changes of one row of a policy, each with its probability.

    Args:
        image: uint8 [height, width, channels].
        policy: one of `POLICIES`.
        change: a function (image, number of the change, level, sign) -> image, see `spaces.changer`.
        row: int32 [], which.
        draws: uniform numbers; a change is done where its own is below its probability.
        signs: the directions of the two, 1 or -1.

    Returns:
        uint8 [height, width, channels].
    """
    for place in range(2):
        steps = [pair[place] for pair in policy.rows]
        index, part, level = (
            tf.constant(values)[row]
            for values in (
                [policy.space.names.index(step.name) for step in steps],
                [step.probability for step in steps],
                [step.level / policy.top for step in steps],
            )
        )
        image = tf.cond(
            draws[place] < part,
            lambda image=image, given=(index, level, signs[place]): change(image, *given),
            lambda image=image: image,
        )
    return image


@dataclasses.dataclass(frozen=True)
class RandAugment(Automatic):
    """Does `count` random changes of level `magnitude` (Cubuk et al. 2019, arXiv:1909.13719).

    Space "standard" is torchvision's, of levels 0 to 30; "increasing" is timm's, of levels 0 to 10, where each change
    is done with probability 1/2 (`rand-m9-mstd0.5-inc1` is `randaugment(2, 9, 0.5, 0.5, increasing, bilinear, mean)`).
    A level is drawn from a normal distribution of deviation `std` around `magnitude`, cut off at the ends.
    """

    name = "randaugment"
    count: int = count(2, 1, 20)
    magnitude: float = number(9.0, 0.0, 30.0)
    std: float = number(0.0, 0.0, 100.0)
    probability: float = number(1.0, 0.0, 1.0)
    space: str = choice("standard", ("standard", "increasing"))
    interpolation: str = choice("nearest", warps.INTERPOLATIONS)
    fill: str = choice("black", FILLS)

    def __post_init__(self):
        super().__post_init__()
        if self.magnitude > self._top:
            raise self.refuse("magnitude", f"at most {self._top} in space {self.space}")

    @property
    def _top(self):
        return 30 if self.space == "standard" else 10

    def image(self, image, seed, target):
        image, space = colors.as_bytes(image), spaces.RANDOM if self.space == "standard" else spaces.INCREASING
        change = self.changer(image, space, target)
        draws = tf.random.stateless_uniform([self.count, 4], seed)
        for place in range(self.count):
            draw = draws[place]
            index, sign = draw_change(draw, len(space.names))
            level = tf.constant(self.magnitude)
            if self.std:
                level = level + self.std * tf.math.ndtri(tf.clip_by_value(draw[3], 1e-7, 1 - 1e-7))
            level = tf.clip_by_value(level / self._top, 0.0, 1.0)
            if self.probability == 1.0:
                image = change(image, index, level, sign)
            else:
                image = tf.cond(
                    draw[1] < self.probability,
                    lambda image=image, given=(index, level, sign): change(image, *given),
                    lambda image=image: image,
                )
        return image


@dataclasses.dataclass(frozen=True)
class TrivialAugment(Automatic):
    """Does one random change of a random level (Mueller and Hutter 2021, arXiv:2103.10158, the wide space)."""

    name = "trivialaugment"
    interpolation: str = choice("nearest", warps.INTERPOLATIONS)
    fill: str = choice("black", FILLS)

    def image(self, image, seed, target):
        image, space = colors.as_bytes(image), spaces.WIDE
        draw = tf.random.stateless_uniform([4], seed)
        index, sign = draw_change(draw, len(space.names))
        level = tf.floor(draw[3] * 31.0) / 30.0
        return self.changer(image, space, target)(image, index, level, sign)


OPERATIONS = (AutoAugment, RandAugment, TrivialAugment)

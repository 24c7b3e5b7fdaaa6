"""What an operation of an augmentation is: a name, arguments with defaults, and what it does to images."""

import dataclasses
from collections.abc import Collection
from typing import Any, ClassVar

import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.masks import unstack


def number(default: float, low: float, high: float, *, above: bool = False) -> Any:
    """A field of an operation: an argument.

    Args:
        default: its value where the text has none.
        low, high: the bounds.
        above: `low` is not allowed itself.
    """
    bounds = {"low": low, "high": high, "above": above}
    return dataclasses.field(default=default, metadata={"check": (_check.real, bounds)})


def count(default: int, low: int, high: int) -> Any:
    """A field of an operation: a whole number.

    Args:
        default: its value where the text has none.
        low, high: the bounds.
    """
    return dataclasses.field(default=default, metadata={"check": (_check.whole, {"low": low, "high": high})})


def choice(default: str, choices: Collection[str]) -> Any:
    """A field of an operation: a word.

    Args:
        default: its value where the text has none.
        choices: the words that are allowed.
    """
    return dataclasses.field(default=default, metadata={"check": (_check.one_of, {"choices": tuple(choices)})})


@dataclasses.dataclass(frozen=True)
class Target:
    """What an operation needs to know of the network."""

    shape: tuple[int, int, int]  # (height, width, channels) of its input
    preprocessing: Preprocessing


@dataclasses.dataclass(frozen=True)
class Operation:
    """One random change. Its arguments are its fields, made by `number`, `count` or `choice`, in the order in which a
    text gives them.

    A class derived from it is a dataclass (frozen) with a `name`, and has `image`, `pair` or `mix`, by what it is for.

    Raises:
        InputError: an argument is out of its range.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    sizes: ClassVar[bool] = False  # it chooses the size at which it takes the image
    fitted: ClassVar[bool] = True  # it takes the image fitted; otherwise as it is
    windowed: ClassVar[bool] = False  # it takes a window of the image alone, by `window` and `resized`
    batched: ClassVar[bool] = True  # it takes batches, with a draw for each image, as well as one image
    mixes: ClassVar[bool] = False  # it takes a batch with its labels, by `mix`

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check, bounds = field.metadata["check"]
            value = check(f"{field.name} of {self.name}", getattr(self, field.name), **bounds)
            object.__setattr__(self, field.name, value)

    def check_order(self, smallest: str, largest: str) -> None:
        """Refuses two arguments of which the first is larger.

        Args:
            smallest, largest: their names.

        Raises:
            InputError: it is.
        """
        low, high = getattr(self, smallest), getattr(self, largest)
        if low > high:
            raise self.refuse(smallest, f"at most {largest}={high:g}")

    def refuse(self, argument: str, rule: str) -> InputError:
        """The error for an argument that cannot be used with the others.

        Args:
            argument: its name.
            rule: what it must be.
        """
        return _check.refuse(f"{argument} of {self.name}", rule, getattr(self, argument))

    def enlargement(self) -> float:
        """How many times the network's size the fitted image is that it takes."""
        return 1.0

    def image(self, image: tf.Tensor, seed: tf.Tensor, target: Target) -> tf.Tensor:
        """Changes images for classification.

        Args:
            image: [height, width, channels] or [n, height, width, channels], values 0 to 255, uint8 or float32; only
                one image where `fitted` or `batched` is False.
            seed: two integers.
            target: the network's.

        Returns:
            The same rank and number of channels; of the target's height and width.
        """
        raise NotImplementedError

    def window(self, height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Which part of an image `image` takes, so that the rest need not be decoded.

        Args:
            height, width: of the image.
            seed: two integers.

        Returns:
            Top, left, height, width; int32.
        """
        raise NotImplementedError

    def resized(self, window: tf.Tensor, target: Target) -> tf.Tensor:
        """What `image` makes of the window.

        Args:
            window: [height, width, channels], values 0 to 255.
            target: the network's.

        Returns:
            Of the target's shape.
        """
        raise NotImplementedError

    def pair(self, pair: tf.Tensor, seed: tf.Tensor, target: Target) -> tf.Tensor:
        """Changes an image and its mask; by default only the image, as `image` does.

        Args:
            pair: [height, width, channels + 1], the mask as the last channel.
            seed: two integers.
            target: the network's.

        Returns:
            [height, width, channels + 1], uint8 or float32.
        """
        image, mask = unstack(pair)
        image = self.image(image, seed, target)
        return tf.concat([image, tf.cast(mask[..., None], image.dtype)], axis=-1)

    def mix(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mixes the images of a batch, and their labels.

        Args:
            images: float32 [batch, height, width, channels], normalized.
            labels: float32 [batch, classes].
            seed: two integers.

        Returns:
            Images and labels of the same shapes and types.
        """
        raise NotImplementedError

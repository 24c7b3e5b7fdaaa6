"""Where the examples of one split are kept: in memory, in files, or in a stream that can only be read in order.

Three kinds with the same members: `size`, `elements()` (a dataset of (image, label) in a fixed order) and `first(n)`.
The first two, which know how to find an example, also have `images(index)` and `labels`.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import decode_image


def cpu_constant(values: np.ndarray) -> tf.Tensor:
    """A tensor in main memory, where the input pipeline runs, even if there is a GPU; never a part of a graph."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(values)


def check_labels(labels: np.ndarray, classes: int, where: str) -> np.ndarray:
    """The labels as int64; refuses any that is not one of the classes.

    Raises:
        InputError: a label is negative or too large; names the first and its position.
    """
    labels = np.asarray(labels, np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        rule = f"Labels of {where} must be from 0 to {classes - 1}"
        raise InputError(f"{rule}. Received: {labels[wrong[0]]} at position {wrong[0]} ({len(wrong)} such labels)")
    return labels


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples in memory, all of one size."""

    pixels: np.ndarray  # uint8 [n, height, width, channels]
    numbers: np.ndarray  # int64 [n], the class of each

    @property
    def size(self) -> int:
        return len(self.numbers)

    @functools.cached_property
    def labels(self) -> tf.Tensor:
        return cpu_constant(self.numbers)

    @functools.cached_property
    def _tensor(self):
        return cpu_constant(self.pixels)

    def images(self, index: tf.Tensor) -> tf.Tensor:
        """One image for a scalar index, a batch for a vector."""
        return tf.gather(self._tensor, index)

    def elements(self) -> tf.data.Dataset:
        return tf.data.Dataset.range(self.size).map(lambda index: (self.images(index), tf.gather(self.labels, index)))

    def first(self, count: int, seed: int) -> "Arrays":
        return Arrays(self.pixels[:count], self.numbers[:count])


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """One image file per example, of any size."""

    paths: Sequence[str]
    numbers: np.ndarray  # int64 [n]

    @property
    def size(self) -> int:
        return len(self.numbers)

    @functools.cached_property
    def labels(self) -> tf.Tensor:
        return cpu_constant(self.numbers)

    @functools.cached_property
    def _tensor(self):
        return cpu_constant(np.array(self.paths, object))

    def images(self, index: tf.Tensor) -> tf.Tensor:
        """One image for a scalar index."""
        return decode_image(tf.io.read_file(tf.gather(self._tensor, index)))

    def elements(self) -> tf.data.Dataset:
        return tf.data.Dataset.range(self.size).map(
            lambda index: (self.images(index), tf.gather(self.labels, index)), tf.data.AUTOTUNE, deterministic=True
        )

    def first(self, count: int, seed: int) -> "Files":
        """A choice by `seed`, because files are sorted by class."""
        kept = np.sort(np.random.RandomState(seed).permutation(self.size)[:count])
        return Files([self.paths[index] for index in kept], self.numbers[kept])


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """Decoded images of different sizes, end to end in one piece of memory."""

    pixels: tf.Tensor  # uint8, flat
    bounds: tf.Tensor  # int64 [n + 1]: where each image begins, and where the last ends
    shapes: tf.Tensor  # int64 [n, 3]
    labels: tf.Tensor  # int64 [n]
    channels: int

    @property
    def size(self) -> int:
        return self.labels.shape[0]

    @classmethod
    def pack(cls, images: Sequence[np.ndarray], labels: np.ndarray) -> "Packed":
        """Copies images [height, width, channels] into one piece."""
        shapes = np.array([image.shape for image in images], np.int64)
        bounds = np.concatenate([[0], np.cumsum(np.prod(shapes, axis=1))])
        pixels = cpu_constant(np.concatenate([image.reshape(-1) for image in images]))
        return cls(pixels, cpu_constant(bounds), cpu_constant(shapes), cpu_constant(labels), images[0].shape[2])

    def images(self, index: tf.Tensor) -> tf.Tensor:
        """One image for a scalar index."""
        image = tf.reshape(self.pixels[self.bounds[index] : self.bounds[index + 1]], self.shapes[index])
        return tf.ensure_shape(image, [None, None, self.channels])


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """Examples that come in an order of their own, such as those of a TFDS builder."""

    read: Callable[[], tf.data.Dataset]  # encoded (image, label) in a fixed order
    decode: Callable[[tf.Tensor], tf.Tensor]  # encoded image -> uint8 [height, width, channels]
    size: int

    def elements(self) -> tf.data.Dataset:
        return self.read().map(lambda image, label: (self.decode(image), label), tf.data.AUTOTUNE, deterministic=True)

    def first(self, count: int, seed: int) -> "Stream":
        return Stream(lambda: self.read().take(count), self.decode, min(count, self.size))


Split = Arrays | Files | Stream

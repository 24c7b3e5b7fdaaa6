"""Where the examples of one split are kept: in memory, in files, or in a stream that can only be read in order.

Three kinds with the same members: `size`, `names` (of the examples, which tell to what part they belong; see `parts`),
`elements()` (a dataset of (image, label) in a fixed order), `select(positions)` and `first(n)`. The first two, which
know how to find an example, also have `images(index)` and `labels`.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.decoding.decode import decode_window
from kerascnn.data.preprocessing import decode_image


def cpu_constant(values: np.ndarray) -> tf.Tensor:
    """A tensor in main memory, where the input pipeline runs, even if there is a GPU; never a part of a graph."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(values)


def path_array(paths: Sequence[str]) -> np.ndarray:
    """Paths as bytes, as the file system has them: they need not be UTF-8."""
    return np.array([os.fsencode(path) for path in paths], object)


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


def names_of(ids: Sequence[str] | None, size: int) -> Sequence[str]:
    """The names of the examples of a split: those given, or their positions as text."""
    return [str(position) for position in range(size)] if ids is None else ids


def pick(values: Sequence, positions: np.ndarray) -> list:
    """The values at some positions."""
    return [values[position] for position in positions]


def filtered(read: Callable[[], tf.data.Dataset], size: int, positions: np.ndarray) -> Callable[[], tf.data.Dataset]:
    """Reads the examples of a stream at some positions only, in the stream's order."""
    kept = np.zeros([size], bool)
    kept[positions] = True

    def read_some():
        wanted = cpu_constant(kept)
        chosen = read().take(size).enumerate().filter(lambda position, _: tf.gather(wanted, position))
        examples = chosen.map(lambda _, example: example)
        return examples.apply(tf.data.experimental.assert_cardinality(len(positions)))

    return read_some


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples in memory, all of one size."""

    pixels: np.ndarray  # uint8 [n, height, width, channels]
    numbers: np.ndarray  # int64 [n], the class of each
    ids: Sequence[str] | None = None  # names; None: their positions

    @property
    def size(self) -> int:
        return len(self.numbers)

    @property
    def names(self) -> Sequence[str]:
        return names_of(self.ids, self.size)

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

    def select(self, positions: np.ndarray) -> "Arrays":
        return Arrays(self.pixels[positions], self.numbers[positions], pick(self.names, positions))

    def first(self, count: int, seed: int) -> "Arrays":
        return self.select(np.arange(min(count, self.size)))


class Below(Sequence):
    """Paths below one folder, which is not repeated in the memory for each of a million files.

    Args:
        folder: above all of them.
        names: their paths from there.
    """

    def __init__(self, folder: str | os.PathLike, names: Sequence[str]):
        self.folder = os.path.join(os.fspath(folder), "")
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, place):
        if isinstance(place, slice):
            return [self.folder + name for name in self.names[place]]
        return self.folder + self.names[place]


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """One image file per example, of any size."""

    paths: Sequence[str]  # perhaps `Below`
    numbers: np.ndarray  # int64 [n]
    ids: Sequence[str] | None = None  # names, those of `paths` where they are `Below` a folder; None: the paths

    @property
    def size(self) -> int:
        return len(self.numbers)

    @property
    def names(self) -> Sequence[str]:
        return self.paths if self.ids is None else self.ids

    @functools.cached_property
    def labels(self) -> tf.Tensor:
        return cpu_constant(self.numbers)

    @functools.cached_property
    def _tensor(self):
        return cpu_constant(path_array(self.paths.names if isinstance(self.paths, Below) else self.paths))

    def _read(self, index):
        path = tf.gather(self._tensor, index)
        if isinstance(self.paths, Below):
            path = tf.strings.join([os.fsencode(self.paths.folder), path])
        return tf.io.read_file(path)

    def images(self, index: tf.Tensor) -> tf.Tensor:
        """One image for a scalar index."""
        return decode_image(self._read(index))

    def windows(self, index: tf.Tensor, choose: Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]]) -> tf.Tensor:
        """A part of one image for a scalar index; see `decoding.decode.decode_window`."""
        return decode_window(self._read(index), choose)

    def elements(self) -> tf.data.Dataset:
        return tf.data.Dataset.range(self.size).map(
            lambda index: (self.images(index), tf.gather(self.labels, index)), tf.data.AUTOTUNE, deterministic=True
        )

    def select(self, positions: np.ndarray) -> "Files":
        names, below = pick(self.names, positions), isinstance(self.paths, Below)
        paths = Below(self.paths.folder, names) if below else pick(self.paths, positions)
        return Files(paths, self.numbers[positions], names)

    def first(self, count: int, seed: int) -> "Files":
        """A choice by `seed`, because files are sorted by class."""
        return self.select(np.sort(np.random.RandomState(seed).permutation(self.size)[:count]))


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
    ids: Sequence[str] | None = None  # names; None: their positions
    # (encoded image, choose) -> a part of it, as `decoding.decode.decode_window`; None: images are decoded whole.
    window: Callable[[tf.Tensor, Callable], tf.Tensor] | None = None

    @property
    def names(self) -> Sequence[str]:
        return names_of(self.ids, self.size)

    def epochs(self) -> Callable[[tf.Tensor], tf.data.Dataset]:
        """A function of two integers, drawn for an epoch, that gives what `read` does, in another order if it can."""
        stream = self.read()
        return lambda seed: stream

    def check(self):
        """Refuses what is damaged; here nothing can be told before it is read."""

    def elements(self) -> tf.data.Dataset:
        return self.read().map(lambda image, label: (self.decode(image), label), tf.data.AUTOTUNE, deterministic=True)

    def select(self, positions: np.ndarray) -> "Stream":
        read = filtered(self.read, self.size, positions)
        return Stream(read, self.decode, len(positions), pick(self.names, positions), self.window)

    def first(self, count: int, seed: int) -> "Stream":
        count = min(count, self.size)
        return Stream(lambda: self.read().take(count), self.decode, count, self.names[:count], self.window)


Split = Arrays | Files | Stream

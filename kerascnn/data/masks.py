"""Where the examples of one split of a segmentation set are: each an image and a mask of class numbers.

Three kinds, as in `splits`, with the same members: `size`, `names`, `elements()` (a dataset of (image, mask) in a fixed
order), `pairs(index)` (of the first two), `select(positions)`, `first(n)` and `check()`. A pair is one uint8 tensor
[height, width, channels + 1] whose last channel is the mask, so that whatever is done to an image's geometry is done to
its mask.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.decoding._contents import check_size, reason, unsigned
from kerascnn.data.preprocessing import decode_image, read_contents, read_image
from kerascnn.data.splits import cpu_constant, filtered, names_of, path_array, pick

IGNORE = 255  # in a mask: this pixel counts neither in the loss nor in a measure
_BLOCK = 256  # files checked before the first error among them is reported

_SIGNATURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"  # 16 bytes; then width, height, depth, color, three more, checksum
_WIDTH, _HEIGHT, _DEPTH, _COLOR, _CRC, _AFTER = 16, 20, 24, 25, 29, 33  # places in the file
_GRAY, _PALETTE = 0, 3
# A checksum of the header is linear in its bits: turning the color from 3 to 0 changes it by the same bits each time.
_TURNED = zlib.crc32(b"IHDR" + bytes(13)) ^ zlib.crc32(b"IHDR" + bytes([0] * 9 + [_PALETTE] + [0] * 3))


def decode_mask(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a PNG of class numbers: gray or with a palette, 1 to 8 bits a pixel.

    TensorFlow's decoder replaces numbers by the colors of a palette, and spreads fewer than 8 bits over 0 to 255. So
    the header is changed to say gray, and the spreading is undone.

    Args:
        contents: the encoded file, a scalar string tensor.

    Returns:
        uint8 [height, width]: the numbers as they are in the file.

    Raises:
        tf.errors.InvalidArgumentError: not such a PNG, or damaged.
    """
    header = tf.io.decode_raw(tf.strings.substr(contents, 0, _AFTER), tf.uint8)
    is_png = tf.strings.substr(contents, 0, len(_SIGNATURE)) == _SIGNATURE
    with tf.control_dependencies([tf.debugging.Assert(is_png & (tf.size(header) == _AFTER), ["no PNG file"])]):
        depth, color = tf.cast(header[_DEPTH], tf.int32), header[_COLOR]
    readable = (depth <= 8) & ((color == _GRAY) | (color == _PALETTE))
    checks = [
        tf.debugging.Assert(readable, ["no PNG of class numbers"]),
        check_size(unsigned(contents, _HEIGHT, 4, big=True), unsigned(contents, _WIDTH, 4, big=True)),
    ]
    with tf.control_dependencies(checks):
        turned = tf.bitwise.bitwise_xor(header[_CRC:], tf.constant(list(_TURNED.to_bytes(4, "big")), tf.uint8))
    single_bytes = tf.constant([bytes([value]) for value in range(256)])
    parts = [
        tf.strings.substr(contents, 0, _COLOR),
        tf.constant(bytes([_GRAY])),
        tf.strings.substr(contents, _COLOR + 1, _CRC - _COLOR - 1),
        tf.strings.reduce_join(tf.gather(single_bytes, tf.cast(turned, tf.int32))),
        tf.strings.substr(contents, _AFTER, 2**30),
    ]
    gray = tf.where(color == _PALETTE, tf.strings.join(parts), contents)
    spread = tf.cast(255 // (2**depth - 1), tf.uint8)
    return tf.io.decode_png(gray, channels=1)[..., 0] // spread


def read_mask(path: str) -> np.ndarray:
    """Reads one mask eagerly.

    Args:
        path: a PNG file.

    Returns:
        uint8 [height, width].

    Raises:
        InputError: there is no such file, or it is not a whole PNG of class numbers.
    """
    contents = read_contents(path, "mask")
    try:
        with tf.device("CPU:0"):
            return decode_mask(tf.constant(contents)).numpy()
    except (tf.errors.OpError, ValueError) as error:
        known = "A mask must be a whole PNG of class numbers, grayscale or with a palette, at most 8 bits a pixel"
        rule = reason(str(error)) or known
        raise InputError(f"{rule}. Received: {path}") from error


def check_mask(mask: np.ndarray, classes: int, where: str) -> np.ndarray:
    """The mask itself; refuses numbers that are neither a class nor IGNORE.

    Raises:
        InputError: names the largest number and where it is.
    """
    wrong = mask[(mask >= classes) & (mask != IGNORE)]
    if wrong.size:
        rule = f"A mask must hold class numbers from 0 to {classes - 1}, or {IGNORE} where there is none"
        raise InputError(f"{rule}. Received: {wrong.max()} in {where}")
    return mask


def stack(image: tf.Tensor, mask: tf.Tensor, classes: int) -> tf.Tensor:
    """One pair [height, width, channels + 1] of an image and its mask, which must fit (else an OpError)."""
    fits = tf.reduce_all(tf.shape(image)[:2] == tf.shape(mask))
    known = tf.reduce_all((mask < classes) | (mask == IGNORE))
    checks = [
        tf.debugging.Assert(fits, ["the mask is not of its image's size"]),
        tf.debugging.Assert(known, ["the mask holds no class numbers"]),
    ]
    with tf.control_dependencies(checks):
        return tf.concat([image, mask[..., None]], axis=-1)


def unstack(pairs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(images, masks) of pairs."""
    return pairs[..., :-1], pairs[..., -1]


@dataclasses.dataclass(frozen=True, eq=False)
class PairArrays:
    """Examples in memory, all of one size."""

    pixels: np.ndarray  # uint8 [n, height, width, channels]
    masks: np.ndarray  # uint8 [n, height, width]
    classes: int
    ids: Sequence[str] | None = None  # names; None: their positions

    @property
    def size(self) -> int:
        return len(self.masks)

    @property
    def names(self) -> Sequence[str]:
        return names_of(self.ids, self.size)

    @functools.cached_property
    def _tensor(self):
        return cpu_constant(np.concatenate([self.pixels, self.masks[..., None]], axis=-1))

    def pairs(self, index: tf.Tensor) -> tf.Tensor:
        """One pair for a scalar index, a batch for a vector."""
        return tf.gather(self._tensor, index)

    def elements(self) -> tf.data.Dataset:
        return tf.data.Dataset.range(self.size).map(lambda index: unstack(self.pairs(index)))

    def select(self, positions: np.ndarray) -> "PairArrays":
        return PairArrays(self.pixels[positions], self.masks[positions], self.classes, pick(self.names, positions))

    def first(self, count: int, seed: int) -> "PairArrays":
        return self.select(np.arange(min(count, self.size)))

    def check(self, mapped: Callable = map) -> None:
        check_mask(self.masks, self.classes, "the masks in memory")


@dataclasses.dataclass(frozen=True, eq=False)
class PairFiles:
    """Two image files per example, of any size."""

    images: Sequence[str]
    masks: Sequence[str]
    classes: int
    ids: Sequence[str] | None = None  # names: the images' paths below the set's folder, with "/"; None: the paths

    @property
    def size(self) -> int:
        return len(self.images)

    @property
    def names(self) -> Sequence[str]:
        return self.images if self.ids is None else self.ids

    @functools.cached_property
    def _paths(self):
        return tuple(cpu_constant(path_array(paths)) for paths in (self.images, self.masks))

    def pairs(self, index: tf.Tensor) -> tf.Tensor:
        """One pair for a scalar index."""
        image, mask = (tf.io.read_file(tf.gather(paths, index)) for paths in self._paths)
        return stack(decode_image(image), decode_mask(mask), self.classes)

    def elements(self) -> tf.data.Dataset:
        indices = tf.data.Dataset.range(self.size)
        return indices.map(lambda index: unstack(self.pairs(index)), tf.data.AUTOTUNE, deterministic=True)

    def select(self, positions: np.ndarray) -> "PairFiles":
        images, masks, names = (pick(values, positions) for values in (self.images, self.masks, self.names))
        return PairFiles(images, masks, self.classes, names)

    def first(self, count: int, seed: int) -> "PairFiles":
        """A choice by `seed`, because names often begin with what is seen."""
        return self.select(np.sort(np.random.RandomState(seed).permutation(self.size)[:count]))

    def check(self, mapped: Callable = map) -> None:
        for start in range(0, self.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            list(mapped(self._check_one, self.images[block], self.masks[block]))

    def _check_one(self, image_path, mask_path):
        size, mask = read_image(image_path).shape[:2], read_mask(mask_path)
        if tuple(size) != mask.shape:
            rule = "A mask must be of its image's size"
            raise InputError(f"{rule}. Received: image {tuple(size)}, mask {mask.shape} in {mask_path}")
        check_mask(mask, self.classes, mask_path)


@dataclasses.dataclass(frozen=True, eq=False)
class PairStream:
    """Examples that come in an order of their own, such as those of a TFDS builder."""

    read: Callable[[], tf.data.Dataset]  # encoded (image, mask) in a fixed order
    decode: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # encoded (image, mask) -> pair
    size: int
    ids: Sequence[str] | None = None  # names; None: their positions

    @property
    def names(self) -> Sequence[str]:
        return names_of(self.ids, self.size)

    def elements(self) -> tf.data.Dataset:
        return self.read().map(lambda *files: unstack(self.decode(*files)), tf.data.AUTOTUNE, deterministic=True)

    def select(self, positions: np.ndarray) -> "PairStream":
        read = filtered(self.read, self.size, positions)
        return PairStream(read, self.decode, len(positions), pick(self.names, positions))

    def first(self, count: int, seed: int) -> "PairStream":
        count = min(count, self.size)
        return PairStream(lambda: self.read().take(count), self.decode, count, self.names[:count])

    def check(self, mapped: Callable = map) -> None:
        position = 0
        try:
            for _ in self.elements():
                position += 1
        except tf.errors.OpError as error:
            rule = "Each image must be whole and have a mask of its size that holds the numbers of the classes"
            raise InputError(f"{rule}. Received: another at position {position}") from error


Split = PairArrays | PairFiles | PairStream

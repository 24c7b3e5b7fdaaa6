"""The images of a one-shot search: the training part alone, divided in two, in batches that follow from a seed."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn import _check, data
from kerascnn._errors import InputError

AUGMENTS = ("none", "pad_crop", "pad_crop_flip")


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """Images in memory.

    Args:
        pixels: uint8 [n, height, width, channels].
        labels: int64 [n].
    """

    pixels: np.ndarray
    labels: np.ndarray

    def batches(self, size: int, seed: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """One pass in random order; what does not fill a batch is left out.

        Args:
            size: of a batch, or all images where there are fewer.
            seed: whole numbers from which the order follows.

        Yields:
            Pixels and labels.
        """
        order = np.random.default_rng(seed).permutation(len(self.labels))
        size = min(size, len(order))
        for first in range(0, len(order) - size + 1, size):
            chosen = order[first : first + size]
            yield self.pixels[chosen], self.labels[chosen]


@dataclasses.dataclass(frozen=True)
class Prepare:
    """Pixels to what a network reads: normalized, and in training changed at random.

    Args:
        mean, std: of each channel, in pixels.
        augment: one of `AUGMENTS`.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: str = "none"

    def __call__(self, pixels: Any, seed: Any = None) -> tf.Tensor:
        """Normalizes.

        Args:
            pixels: uint8 [n, height, width, channels].
            seed: two whole numbers: changes the images at random; None: they are as they are.

        Returns:
            float32 of the same shape.
        """
        x = tf.convert_to_tensor(pixels)
        if seed is not None and self.augment != "none":
            one, two = tf.unstack(tf.random.split(tf.convert_to_tensor(seed, tf.int32), 2))
            x = data.pad_and_crop(x, one, max(1, x.shape[1] // 8))
            x = data.random_flip(x, two) if self.augment == "pad_crop_flip" else x
        return (tf.cast(x, tf.float32) - tf.constant(self.mean)) / tf.constant(self.std)


def halves(source: data.Source, share: float, augment: str, seed: int) -> tuple[Images, Images, Prepare]:
    """Divides the training part of a set; no image of its validation and test parts is seen.

    Args:
        source: labeled images of one size.
        share: of each class that goes to the first of the two.
        augment: one of `AUGMENTS`; "pad_crop_flip" does not mirror where `source.mirrored` is False.
        seed: of the division.

    Returns:
        The first part, the second, and what is done to their pixels: the constants are those of the first.

    Raises:
        InputError: the images have labels of another kind or differ in size, or a part is empty.
    """
    _check.one_of("augment", augment, AUGMENTS)
    _check.real("share", share, 0.0, 1.0, above=True, below=True)
    _check.whole("seed", seed, 0)
    if source.task != "classification" or None in source.image_shape:
        raise _check.refuse("source", "labeled images of one size", source)
    images, labels = _loaded(source)
    rng, first, second = np.random.default_rng((seed, 0)), [], []
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        end = round(share * len(places))
        first.append(places[:end])
        second.append(places[end:])
    parts = [np.sort(np.concatenate(places)) for places in (first, second)]
    if not all(len(part) for part in parts):
        raise InputError(f"Both parts of the training set must have images. Received: {[len(p) for p in parts]}")
    one, two = (Images(images[part], labels[part]) for part in parts)
    pixels = one.pixels.astype("float32")
    mean, std = pixels.mean((0, 1, 2)), np.maximum(pixels.std((0, 1, 2)), 1.0)
    augment = "pad_crop" if augment == "pad_crop_flip" and not source.mirrored else augment
    return one, two, Prepare(tuple(map(float, mean)), tuple(map(float, std)), augment)


def _loaded(source: data.Source) -> tuple[np.ndarray, np.ndarray]:
    split = source.split("train")
    if hasattr(split, "pixels"):
        return np.asarray(split.pixels), np.asarray(split.numbers)
    pairs = [(image.numpy(), int(label)) for image, label in source.dataset("train")]
    return np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs], np.int64)

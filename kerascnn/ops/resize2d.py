"""Resizing images of bytes, antialiased, in one pass."""

from typing import Any

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native

INTERPOLATIONS = ("bilinear", "bicubic")
_MOST = 2**24  # pixels along an axis that float32 can count


def resize2d(image: Any, size: Any, interpolation: str = "bilinear") -> tf.Tensor:
    """Resizes images of bytes with half-pixel centers and, where they shrink, an antialiasing filter.

    y = round(R x C) with the interpolating kernel k along either axis: R[i, j] = k((j + 1/2 - s) / f) / sum, where
    s = (i + 1/2) / r, f = max(1 / r, 1) and r = out / in. k is the triangle ("bilinear") or Keys' cubic with a = -1/2
    ("bicubic"). Pillow does the same, but rounds and cuts off between the axes, too. What is halfway between two bytes
    goes to the even one, what lies outside of 0 to 255 to the nearer end. Not differentiable.

    Which implementation runs: this package's kernel, on the CPU also where there is a GPU; plain TensorFlow
    (`reference`) where the library is absent or switched off, under XLA, and in graphs that are exported. Both give the
    same bytes.

    Args:
        image: uint8 [height, width, channels] or [batch, height, width, channels], no size of them 0; sizes may be
            unknown, the rank may not.
        size: height and width, at least 1: two whole numbers, or an integer tensor of two.
        interpolation: "bilinear" or "bicubic".

    Returns:
        uint8 of the same rank, at that size.

    Raises:
        InputError: an argument breaks one of these rules.

    Source: the kernels: Keys: Cubic convolution interpolation for digital image processing, 1981; that a shrinking
    image needs the wider kernel: Parmar, Zhang, Zhu: On aliased resizing and surprising subtleties in GAN evaluation,
    2022, arXiv:2104.11222.

    Example:

        import numpy as np

        from kerascnn import ops

        print(ops.resize2d(np.zeros((480, 640, 3), "uint8"), (224, 224)).shape)  # (224, 224, 3)
    """
    _native.mode()  # refuses a word in KERASCNN_NATIVE that says nothing, whichever implementation runs
    image, size = _checked(image, size, interpolation)
    if not _native.usable(host=True):
        return _resized(image, size, interpolation)
    return _native.library().kerascnn_resize2d(x=image, size=size, interpolation=interpolation)


def reference(image: Any, size: Any, interpolation: str = "bilinear") -> tf.Tensor:
    """The same in plain TensorFlow.

    Takes and returns what `resize2d` does.
    """
    return _resized(*_checked(image, size, interpolation), interpolation)


def _resized(image: tf.Tensor, size: tf.Tensor, interpolation: str) -> tf.Tensor:
    resized = tf.image.resize(image, size, interpolation, antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8)


def _checked(image, size, interpolation) -> tuple[tf.Tensor, tf.Tensor]:
    if interpolation not in INTERPOLATIONS:
        raise InputError(f'`interpolation` must be "bilinear" or "bicubic". Received: {interpolation!r}')
    image = tf.convert_to_tensor(image)
    if image.dtype != tf.uint8 or image.shape.rank not in (3, 4):
        raise InputError(
            "`image` must be uint8 [height, width, channels] or [batch, height, width, channels]. "
            f"Received: dtype={image.dtype.name}, shape={image.shape}"
        )
    if 0 in image.shape:
        raise InputError(f"An image must have pixels to be resized. Received: shape={image.shape}")
    rule = f"`size` must be a height and a width, whole numbers from 1 to {_MOST}"
    try:
        size = tf.convert_to_tensor(size)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{rule}. Received: {size!r}") from error
    known = tf.get_static_value(size)
    fits = size.dtype.is_integer and size.shape.is_compatible_with([2])
    if not fits or (known is not None and not ((known >= 1) & (known <= _MOST)).all()):
        raise InputError(f"{rule}. Received: {size if known is None else known}")
    return image, tf.cast(size, tf.int32)

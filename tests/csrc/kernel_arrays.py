"""Numbers of every type as the kernels take them, and convolution by plain loops: what the kernel tests share."""

import itertools

import numpy as np
import pytest

kernels = pytest.importorskip("kerascnn._kernels", exc_type=ImportError, reason="the native module is not built here")


def stored(values, dtype):
    """What the kernels take, and the same numbers in float64. Nothing gives nothing."""
    if values is None:
        return None, None
    if dtype == "bfloat16":
        bits = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    else:
        bits = values.astype(dtype)
        bits = bits.view(np.uint16) if dtype == "float16" else bits
    return bits, widened(bits, dtype)


def widened(array, dtype):
    """The numbers that the kernels returned, in float64."""
    if dtype == "bfloat16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        return array.view(np.float16).astype(np.float64) if dtype == "float16" else array.astype(np.float64)


def convolve(x, w, dy, window, suffix, threads):
    """y, dx, dw of the conv2d kernels."""
    return (
        getattr(kernels, "conv2d_forward" + suffix)(x, w, *window, n_threads=threads),
        getattr(kernels, "conv2d_input_gradient" + suffix)(x.shape, w, dy, *window, n_threads=threads),
        getattr(kernels, "conv2d_filter_gradient" + suffix)(x, w.shape, dy, *window, n_threads=threads),
    )


def loops(x, w, strides, padding, dilations, dy=None):
    """y, or (dx, dw) when `dy` is given, tap by tap in float64."""
    top, bottom, left, right = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    kernel_height, kernel_width, depth, filters = w.shape
    groups = x.shape[3] // depth
    spans = [(w.shape[i] - 1) * dilations[i] + 1 for i in (0, 1)]
    height, width = (max(0, (padded.shape[1 + i] - spans[i]) // strides[i] + 1) for i in (0, 1))
    y = np.zeros((x.shape[0], height, width, groups, filters // groups))
    dx, dw = np.zeros_like(padded), np.zeros((kernel_height, kernel_width, depth, groups, filters // groups))
    grouped = w.reshape(dw.shape)
    if height and width:
        for a, b in itertools.product(range(kernel_height), range(kernel_width)):
            rows = slice(a * dilations[0], a * dilations[0] + (height - 1) * strides[0] + 1, strides[0])
            columns = slice(b * dilations[1], b * dilations[1] + (width - 1) * strides[1] + 1, strides[1])
            tap = padded[:, rows, columns].reshape(x.shape[0], height, width, groups, depth)
            y += np.einsum("nhwgc,cgo->nhwgo", tap, grouped[a, b])
            if dy is not None:
                split = dy.reshape(y.shape)
                dw[a, b] = np.einsum("nhwgc,nhwgo->cgo", tap, split)
                dx[:, rows, columns] += np.einsum("nhwgo,cgo->nhwgc", split, grouped[a, b]).reshape(
                    x.shape[0], height, width, x.shape[3]
                )
    if dy is None:
        return y.reshape(x.shape[0], height, width, filters)
    return dx[:, top : top + x.shape[1], left : left + x.shape[2]], dw.reshape(w.shape)

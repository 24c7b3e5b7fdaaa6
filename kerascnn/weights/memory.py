"""Arrays that are views of files, looked at and copied piece by piece, so that few of their pages are in memory."""

import mmap
from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

_PIECE = 2**21  # bytes
_ALIGNED = 64  # bytes; TensorFlow takes over memory that begins at a multiple


def is_finite(array: np.ndarray) -> bool:
    """Whether no number of an array is NaN, infinite or too large for a float32."""
    with np.errstate(over="ignore"):
        return array.dtype.kind != "f" or all(
            np.isfinite(array[piece].astype(np.float32, copy=False)).all() for piece in _pieces(array)
        )


def own(array: np.ndarray, dtype: npt.DTypeLike = None) -> np.ndarray:
    """An aligned array in the order of C that shares nothing with a file: a copy, or the array if it is one already.

    Args:
        array: of any order, which may be a view of a mapped file.
        dtype: of the result; None: the array's own.

    Returns:
        The same numbers.
    """
    dtype = np.dtype(array.dtype if dtype is None else dtype)
    aligned = array.flags.c_contiguous and array.flags.writeable and array.ctypes.data % _ALIGNED == 0
    if aligned and array.dtype == dtype and _file(array) is None:
        return array
    size = array.size * dtype.itemsize
    room = np.empty(size + _ALIGNED, np.uint8)
    start = -room.ctypes.data % _ALIGNED
    copy = room[start : start + size].view(dtype).reshape(array.shape)
    for piece in _pieces(array):
        copy[piece] = array[piece]
    return copy


def assign(variable: keras.Variable, array: np.ndarray) -> None:
    """Gives a variable the numbers of an array, in a copy that becomes the variable's memory."""
    copy = own(array, variable.dtype)
    if copy.nbytes < _PIECE:
        variable.assign(copy)
    else:
        variable.assign(tf.experimental.dlpack.from_dlpack(copy.__dlpack__()))


def _pieces(array: np.ndarray) -> Iterator[tuple]:
    """Indices of the pieces of an array, in the order in which they lie in a file; after each its pages are let go."""
    if array.nbytes <= _PIECE:
        yield (...,)
    else:
        axis = max(range(array.ndim), key=lambda axis: abs(array.strides[axis]))
        step = max(1, _PIECE * array.shape[axis] // array.nbytes)
        for start in range(0, array.shape[axis], step):
            yield (slice(None),) * axis + (slice(start, start + step),)
            _let_go(array)
    _let_go(array)


def _let_go(array: np.ndarray) -> None:
    """Says that the pages of a file are not needed now; they come back where they are read."""
    file = _file(array)
    if file is not None:
        file.madvise(mmap.MADV_DONTNEED)


def _file(array: np.ndarray) -> mmap.mmap | None:
    """The mapped file that an array is a view of."""
    owner = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    return owner if isinstance(owner, mmap.mmap) else None

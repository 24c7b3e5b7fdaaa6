"""NumPy memory offered as DLPack or as a CUDA array, with guards around it, for the functions that take `out`."""

import ctypes

import ml_dtypes
import numpy as np

GUARD = 64  # bytes kept free before and after
DTYPES = ("float32", "float64", "bfloat16", "float16")


def dtype_of(name: str) -> np.dtype:
    """The NumPy dtype of that name, bfloat16 included."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def tolerance(dtype: np.dtype) -> float:
    """Half a unit in the last place relative to 1, times four."""
    return 2 * float(ml_dtypes.finfo(dtype).eps)


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("dimensions", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
    ]  # fmt: skip


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Buffer:
    """A copy of `values` in memory of its own, `offset` elements from a 64-byte boundary."""

    def __init__(self, values, dtype: str | np.dtype, offset: int = 0, strides=None, device_type: int = 1):
        values = np.asarray(values)
        dtype = dtype_of(dtype) if isinstance(dtype, str) else dtype
        self.memory = np.full(values.size * dtype.itemsize + 4 * GUARD, 0xA5, np.uint8)
        begin = -self.memory.ctypes.data % GUARD + GUARD + offset * dtype.itemsize
        self.inside = slice(begin, begin + values.size * dtype.itemsize)
        self.array = self.memory[self.inside].view(dtype).reshape(values.shape)
        self.array[...] = values.astype(dtype)
        self.strides, self.device_type = strides, device_type
        self.exported = []  # what capsules point to: an array may be passed more than once

    def guards_hold(self) -> bool:
        """Whether nothing was written outside the array."""
        begin, end = self.inside.start, self.inside.stop
        return bool((self.memory[:begin] == 0xA5).all() and (self.memory[end:] == 0xA5).all())

    def __dlpack_device__(self):
        return self.device_type, 0

    def __dlpack__(self, stream=None):
        array = self.array
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        strides = self.strides and (ctypes.c_int64 * array.ndim)(*self.strides)
        code = 4 if array.dtype == dtype_of("bfloat16") else {"f": 2, "i": 0, "u": 1}[array.dtype.kind]
        tensor = _Tensor(array.ctypes.data, self.device_type, 0, array.ndim, code, array.itemsize * 8, 1,
                         shape, strides, 0, None, None)  # fmt: skip
        self.exported.append((tensor, shape, strides))
        return _new_capsule(ctypes.addressof(tensor), b"dltensor", None)


class CudaArray:
    """A NumPy array that says it is on a CUDA device."""

    def __init__(self, array: np.ndarray, read_only: bool = False, strides=None):
        self.array = array
        self.__cuda_array_interface__ = {
            "version": 3, "shape": array.shape, "typestr": array.dtype.str, "strides": strides, "stream": None,
            "data": (array.ctypes.data, read_only),
        }  # fmt: skip

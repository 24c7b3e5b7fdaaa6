"""Tensors as a pickle describes them: a storage, an offset, a shape and strides; and the arrays that they are."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerascnn._errors import InputError
from kerascnn.weights.guard import Unsafe, shown
from kerascnn.weights.pth.pickles import INERT, Name, Names, Refused, sound_key

_NUMPY = {  # PyTorch's types that weights have -> NumPy's; bfloat16 is the upper half of a float32
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "int64": "i8", "int32": "i4", "int16": "i2",
    "int8": "i1", "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1", "bool": "?",
}  # fmt: skip
_OTHER = {  # bytes of one element of the types that are refused, if a weight has them
    "complex32": 4, "complex64": 8, "complex128": 16, "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1,
    "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
}  # fmt: skip
_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}  # fmt: skip
_STORAGE_NAMES = {f"{module}.{name}": kind for module in ("torch", "torch.cuda") for name, kind in _STORAGES.items()}
_UNTYPED = ("torch.storage.UntypedStorage", "torch.UntypedStorage")
_MOST_AXES = 32
_LISTED = 6
_LARGEST = 2**62


@dataclasses.dataclass(frozen=True)
class Storage:
    """A run of numbers, or of bytes where `kind` is None, that tensors are views of."""

    key: str
    kind: str | None
    count: int

    def itemsize(self) -> int:
        """Bytes of one element."""
        return 1 if self.kind is None else itemsize(self.kind)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides in elements."""

    storage: Storage
    first: int  # of the storage's elements, in very old files
    kind: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def bytes(self) -> int:
        """What an array of that shape takes."""
        return math.prod(self.shape) * itemsize(self.kind)


@dataclasses.dataclass(frozen=True)
class _Part:
    """A storage that is a part of another one."""

    root: Storage
    first: int
    count: int


def itemsize(kind: str) -> int:
    """Bytes of one element of a type of PyTorch."""
    return _OTHER[kind] if kind in _OTHER else np.dtype(_NUMPY[kind]).itemsize


class Storages:
    """The storages of one file, by their keys."""

    def __init__(self):
        self.found: dict[str, Storage] = {}

    def __call__(self, persistent) -> Storage | _Part:
        """What a persistent id stands for: ("storage", type, key, location, count), in old files with a view of it."""
        if not isinstance(persistent, tuple) or len(persistent) not in (5, 6) or persistent[0] != "storage":
            raise Refused("a persistent id that is no storage")
        _, kind, key, _, count, *view = persistent
        if not isinstance(kind, Name) or not (kind.text in _STORAGE_NAMES or kind.text in _UNTYPED):
            raise Refused("a storage of no known type")
        if not isinstance(key, str) or not is_size(count):
            raise ValueError("a storage whose key is no text or whose size is no number")
        storage = Storage(key, _STORAGE_NAMES.get(kind.text), count)
        if self.found.setdefault(key, storage) != storage:
            raise Unsafe("a storage of two types or sizes")
        if view and view[0] is not None:
            _, first, count = view[0]
            if not is_size(first) or not is_size(count) or first + count > storage.count:
                raise ValueError("a view outside of its storage")
            return _Part(storage, first, count)
        return storage


def _tensor(storage, offset, shape, strides, kind: str | None = None) -> Tensor:
    part = storage if isinstance(storage, _Part) else _Part(storage, 0, getattr(storage, "count", 0))
    root = part.root
    if not isinstance(root, Storage):
        raise ValueError("a tensor without a storage")
    kind = root.kind if kind is None else kind
    if kind is None or (root.kind is not None and kind != root.kind):
        raise ValueError("a tensor of no type, or of another type than its storage")
    if not isinstance(shape, tuple) or not isinstance(strides, tuple) or len(shape) != len(strides):
        raise ValueError("a tensor whose shape and strides do not belong together")
    if len(shape) > _MOST_AXES or not all(map(is_size, (offset, *shape, *strides))):
        raise ValueError("a tensor whose offset, shape or strides are no sizes")
    count = part.count if root.kind is not None else part.count // itemsize(kind)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= count:
        raise ValueError("a tensor that reaches beyond its storage")
    return Tensor(root, part.first + offset, kind, shape, strides)


def is_size(value) -> bool:
    """Whether this is a number of elements, and no boolean."""
    return type(value) is int and 0 <= value < _LARGEST


def _rebuild_v1(arguments: tuple) -> Tensor:
    storage, offset, shape, strides = arguments
    return _tensor(storage, offset, shape, strides)


def _rebuild_v2(arguments: tuple) -> Tensor:
    storage, offset, shape, strides, *more = arguments  # requires_grad, hooks, bits of conjugates and signs
    if len(more) > 2 and more[2]:
        raise Refused("a tensor with a conjugate or negative bit")
    return _tensor(storage, offset, shape, strides)


def _rebuild_v3(arguments: tuple) -> Tensor:
    storage, offset, shape, strides, _, _, kind, *more = arguments
    if more and more[0]:
        raise Refused("a tensor with a conjugate or negative bit")
    name = kind.text.removeprefix("torch.") if isinstance(kind, Name) else None
    if name not in _NUMPY and name not in _OTHER:
        raise ValueError("a tensor of no type")
    return _tensor(storage, offset, shape, strides, name)


def _rebuild_parameter(arguments: tuple):
    if not arguments or not isinstance(arguments[0], Tensor):
        raise ValueError("a parameter without a tensor")
    return arguments[0]


def _rebuild_from_type(arguments: tuple):
    """A tensor with attributes: (function, class, its arguments, attributes)."""
    function, kind, inner, *_ = arguments
    if not isinstance(kind, Name) or kind.text not in _CLASSES or not isinstance(inner, tuple):
        raise Refused("a tensor of a class of its own")
    if not isinstance(function, Name) or function.text not in _REBUILDS:
        raise Refused("a tensor made by an unknown function")
    return _REBUILDS[function.text](inner)


def _ordered(arguments: tuple) -> dict:
    """An ordered dictionary: without arguments, or with its (key, value) pairs, as Python 2 wrote it."""
    if not arguments:
        return {}
    (pairs,) = arguments
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise ValueError("an ordered dictionary of what are no pairs")
    return {sound_key(key): value for key, value in pairs}


def _as_it_is(arguments: tuple):
    """`torch.Size((2, 3))`, `set([1, 2])`, `Counter({1: 2})`: their only argument."""
    return arguments[0] if arguments and isinstance(arguments[0], dict | list | tuple) else INERT


def _inert(_: tuple):
    return INERT


_CLASSES = ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter")
_REBUILDS = {
    "torch._utils._rebuild_tensor": _rebuild_v1,
    "torch._utils._rebuild_tensor_v2": _rebuild_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
}
_NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
NAMES: Names = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": _as_it_is,
    "builtins.set": _as_it_is,
    "__builtin__.set": _as_it_is,
    "torch.Size": _as_it_is,
    **_REBUILDS,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    **dict.fromkeys((*_STORAGE_NAMES, *_UNTYPED, *_CLASSES)),
    **dict.fromkeys(f"torch.{kind}" for kind in (*_NUMPY, *_OTHER)),
    "argparse.Namespace": _inert,
    "torch.device": _inert,
    "_codecs.encode": _inert,  # how protocol 2 writes bytes, as those of NumPy's scalars
    "numpy.dtype": _inert,
    "numpy.ndarray": None,
    **{f"{module}.{name}": _inert for module in _NUMPY_MODULES for name in ("scalar", "_reconstruct")},
}


def check_types(tensors: Mapping[str, Tensor], path) -> None:
    """Refuses types that weights do not have.

    Raises:
        InputError: there are some.
    """
    other = sorted({tensor.kind for tensor in tensors.values()} & _OTHER.keys())
    if other:
        names = [name for name, tensor in tensors.items() if tensor.kind in _OTHER]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        raise InputError(
            f"Weights are real numbers, booleans or bfloat16; convert tensors of other types ({', '.join(other)}: "
            f"{', '.join(names[:_LISTED])}{more}). Received: {shown(path)}"
        )


def to_arrays(tensors: Mapping[str, Tensor], contents: Mapping[str, Any], big_endian: bool) -> dict[str, np.ndarray]:
    """The numbers, without a copy where NumPy has their type.

    Args:
        tensors: by the names of the parameters, of types that `check_types` lets pass.
        contents: key of a storage -> its bytes, as a buffer.
        big_endian: the bytes of a number come in the other order.

    Returns:
        Name -> array; bfloat16 as float32.
    """
    return {name: _array(tensor, contents[tensor.storage.key], big_endian) for name, tensor in tensors.items()}


def _array(tensor: Tensor, content, big_endian: bool) -> np.ndarray:
    dtype = np.dtype(_NUMPY[tensor.kind]).newbyteorder(">" if big_endian else "<")
    if 0 in tensor.shape:
        array = np.empty(tensor.shape, dtype)
    else:
        strides = tuple(stride * dtype.itemsize for stride in tensor.strides)
        array = np.ndarray(tensor.shape, dtype, content, tensor.first * dtype.itemsize, strides)  # checks the bounds
    if not dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
    if tensor.kind == "bfloat16":
        wide = array.astype("u4")
        wide <<= 16
        array = wide.view("f4")
    return array

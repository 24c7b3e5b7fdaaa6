"""Arrays as tensors of gRPC messages, and back, without TensorFlow.

Source: tensorflow/tensorflow, core/framework/tensor.proto.
"""

import math
from typing import Any

import numpy as np

from kerascnn.serving.client.errors import ServerError
from kerascnn.serving.client.records import KINDS, TensorInfo

_STRING = 7
_MOST = 2**28  # values that are not sent, but stand for the last one
_NUMBERS = {name: number for number, (_, name) in KINDS.items()}
# The field that holds the values of a type; the others are in int_val.
_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val", "string": "string_val",
    "uint32": "uint32_val", "uint64": "uint64_val", "float16": "half_val", "bfloat16": "half_val",
}  # fmt: skip


def fill(proto: Any, values: list[bytes] | np.ndarray) -> None:
    """Writes values into an empty tensor.

    Args:
        proto: the tensor.
        values: strings [n], or numbers of any shape.
    """
    if isinstance(values, np.ndarray):
        proto.dtype, shape = _NUMBERS[values.dtype.name], values.shape
        proto.tensor_content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    else:
        proto.dtype, shape = _STRING, (len(values),)
        proto.string_val.extend(values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)


def to_array(proto: Any) -> np.ndarray:
    """The values of a tensor.

    Args:
        proto: the tensor; its values may be fewer than its shape says, the last one then stands for all others.

    Returns:
        The array; strings as an object array of bytes; bfloat16 as float32.

    Raises:
        ServerError: it contradicts itself, or is of a type that no export gives.
    """
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    name = KINDS.get(proto.dtype, ("", ""))[1]
    try:
        if not name or proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
            raise ValueError("its type or shape is not known")
        if name == "string":
            values = np.empty(len(proto.string_val), object)
            values[:] = list(proto.string_val)
        else:
            values = _numbers(proto, name)
        missing = math.prod(shape) - len(values)
        if missing > 0 and (proto.tensor_content or not len(values)):
            raise ValueError(f"{missing} values are missing")
        if missing > _MOST:
            raise ValueError("it has too many values")
        if missing > 0:
            values = np.append(values, np.full(missing, values[-1]))
        return values.reshape(shape)
    except (ValueError, OverflowError, MemoryError) as error:
        rule = f"The server must answer with whole tensors ({error})"
        raise ServerError(f"{rule}. Received: {name or proto.dtype} {list(shape)[:10]}") from error


def _numbers(proto: Any, name: str) -> np.ndarray:
    kind = np.dtype("uint16" if name == "bfloat16" else name)
    if proto.tensor_content:
        values = np.frombuffer(proto.tensor_content, kind.newbyteorder("<")).astype(kind)
    else:
        given = getattr(proto, _FIELDS.get(name, "int_val"))
        if _FIELDS.get(name) == "half_val":  # the bits of each value
            values = np.array(given, np.uint16).view(kind)
        else:
            values = np.array(given, kind)
    return (values.astype(np.uint32) << 16).view(np.float32) if name == "bfloat16" else values


def info(proto: Any) -> TensorInfo:
    """What is told about a tensor in a signature.

    Args:
        proto: a `TensorInfo` message.
    """
    shape = proto.tensor_shape
    sizes = tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    name = KINDS.get(proto.dtype, ("", f"type {proto.dtype}"))[1]
    return TensorInfo(name, None if shape.unknown_rank else sizes)

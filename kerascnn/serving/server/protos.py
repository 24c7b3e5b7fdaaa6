"""Tensors of gRPC messages as arrays, and arrays as tensors with a value for each number, as TensorFlow Serving's.

Source: tensorflow/tensorflow, core/framework/tensor.proto.
"""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from kerascnn.serving.server.status import Refusal, invalid

# The field of a TensorProto that holds the values of a NumPy type.
_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val",
    "uint32": "uint32_val", "uint64": "uint64_val", "object": "string_val",
    "int8": "int_val", "int16": "int_val", "int32": "int_val", "uint8": "int_val", "uint16": "int_val",
}  # fmt: skip
_POINTER = 4  # bytes at least of a value in memory
_SMALL = 2**10


def to_array(name: str, proto: tensor_pb2.TensorProto, most: int) -> np.ndarray:
    """The tensor of an input.

    Args:
        name: of the input, for errors.
        proto: its values may be fewer than its shape says, the last one then stands for all others.
        most: bytes of the array; beyond it is refused, so that a small message takes no large memory.

    Returns:
        The array; strings as an object array of bytes.

    Raises:
        Refusal: the tensor contradicts itself, is too large, or of a type without values.
    """
    try:
        kind = tf.dtypes.as_dtype(proto.dtype)
        if proto.tensor_shape.unknown_rank or any(dim.size < 0 for dim in proto.tensor_shape.dim):
            raise invalid(f"The shape of input {name} must be known. Received: {_shape(proto)}")
        count = math.prod(dim.size for dim in proto.tensor_shape.dim)
        if count * max(kind.size or 0, _POINTER) > most + _SMALL:
            told = f"A tensor must have at most {most:,} bytes"
            raise Refusal("RESOURCE_EXHAUSTED", f"{told}. Received: {_shape(proto)} for input {name}")
        return np.asarray(tf.make_ndarray(proto))
    except Refusal:
        raise
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise invalid(f"Input {name} must be a whole tensor ({reason}). Received: {_shape(proto)}") from error


def _shape(proto: tensor_pb2.TensorProto) -> list[int]:
    return [dim.size for dim in proto.tensor_shape.dim][:10]


def fill(proto: tensor_pb2.TensorProto, array: np.ndarray) -> None:
    """Writes an array into an empty tensor.

    Args:
        proto: the tensor.
        array: of any type that TensorFlow has; strings as an object array of bytes.
    """
    field = _FIELDS.get(array.dtype.name)
    if field is None:
        proto.CopyFrom(tf.make_tensor_proto(array))
        return
    proto.dtype = tf.string.as_datatype_enum if array.dtype == object else tf.as_dtype(array.dtype).as_datatype_enum
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, field).extend(array.reshape(-1).tolist())

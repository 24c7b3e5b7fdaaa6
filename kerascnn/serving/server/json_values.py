"""A JSON value read step by step: what `json_tensors` does not take at once, and the error that says why.

Departure: whole numbers outside the range of int8, uint8 or int16 are refused, which TensorFlow Serving wraps around.

Source: tensorflow/serving, util/json_tensor.cc.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerascnn.serving.server.json_parsing import Named, kind, shown
from kerascnn.serving.server.status import Refusal, invalid

# The types that JSON can say, by their names in TensorFlow Serving.
NUMPY: dict[str, type] = {
    "float": np.float32,
    "double": np.float64,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int32": np.int32,
    "uint32": np.uint32,
    "int64": np.int64,
    "uint64": np.uint64,
    "bool": np.bool_,
    "string": np.object_,
}
MOST_DIMENSIONS = 32  # more than TensorFlow's ops take; NumPy's limit is 64


def is_base64(value: Any) -> bool:
    """Whether it is {"b64": TEXT}, which stands for bytes."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def is_object(value: Any) -> bool:
    """Whether it is an object with the names of inputs."""
    return isinstance(value, dict) and not is_base64(value)


def to_bytes(value: Any) -> bytes:
    """The bytes of a string or of {"b64": TEXT}.

    Raises:
        Refusal: it is neither, or no base64.
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from error
    if not is_base64(value):
        raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = value["b64"]
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        pass
    try:  # spaces are skipped and the padding may be absent, as there
        text = "".join(text.split()).rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape that a nested list has by its first elements."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def array(value: Any, dtype: str) -> np.ndarray:
    """One JSON value as an array, see `json_tensors.array_of`.

    Raises:
        Refusal: see there.
    """
    shape, flat = shape_of(value), []
    if len(shape) > MOST_DIMENSIONS:
        raise invalid(f"Lists must be nested at most {MOST_DIMENSIONS} deep. Received: {len(shape)}")
    _fill(value, 0, shape, dtype, flat)
    if dtype not in NUMPY:
        raise _unsaid(value, dtype)
    values = np.empty(len(flat), NUMPY[dtype])
    values[:] = flat
    return values.reshape(shape)


def rows(instances: list, dtypes: Mapping[str, str], named: bool) -> dict[str, np.ndarray]:
    """The tensors of the row format, instance by instance.

    Args:
        instances: not empty.
        dtypes: the type of each input.
        named: whether the first instance is an object with the names of inputs.

    Raises:
        Refusal: an instance does not fit; the message has its number.
    """
    found: dict[str, list[np.ndarray]] = {}
    for number, item in enumerate(instances):
        if is_object(item) != named:
            got = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {got} at item {number} of input list")
        for name, value in item.items() if named else [(min(dtypes), item)]:
            try:
                _add(name, value, dtypes, found)
            except Refusal as error:
                key = f" key: {name}" if named else ""
                told = f"Failed to process element: {number}{key} of 'instances' list."
                raise invalid(f"{told} Error: {error.code}: {error}") from error
        if named and item.keys() != dtypes.keys():
            told = f"Failed to process element: {number} of 'instances' list. JSON object: {shown(item)}"
            raise invalid(f"{told} keys must be equal to: {','.join(sorted(dtypes))}")
    return {name: np.stack(arrays) for name, arrays in found.items()}


def _add(name: str, value: Any, dtypes: Mapping[str, str], found: dict[str, list[np.ndarray]]) -> None:
    if name not in dtypes:
        raise invalid(f"JSON object: does not have named input: {name}")
    one = array(value, dtypes[name])
    arrays = found.setdefault(name, [])
    if arrays and arrays[0].size != one.size:
        raise invalid(f"Expecting tensor size: {arrays[0].size} but got: {one.size}")
    if arrays and arrays[0].shape != one.shape:
        raise invalid(f"Expecting shape {_brackets(arrays[0].shape)} but got: {_brackets(one.shape)}")
    arrays.append(one)


def _brackets(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _fill(value: Any, level: int, shape: tuple[int, ...], dtype: str, flat: list) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            place = f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}"
            raise invalid(f"JSON Value: {shown(value)} {place}")
        flat.append(_single(value, dtype))
        return
    if level >= rank:
        raise invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _fill(item, level + 1, shape, dtype, flat)


def _single(value: Any, dtype: str) -> Any:
    """One value, checked.

    Raises:
        Refusal: it is not of the type, or JSON has no way to say the type.
    """
    if isinstance(value, dict) and dtype == "string":
        return to_bytes(value)
    if isinstance(value, dict) or (dtype in NUMPY and not _fits(value, dtype)):
        raise invalid(f"JSON Value: {shown(value)} Type: {kind(value)} is not of expected type: {dtype}")
    if dtype not in NUMPY:
        raise _unsaid(value, dtype)
    if dtype in ("float", "double"):
        return decimal(value, dtype)
    return to_bytes(value) if dtype == "string" else value


def _unsaid(value: Any, dtype: str) -> Refusal:
    return Refusal("UNIMPLEMENTED", f"Conversion of JSON Value: {shown(value)} to type: {dtype}")


def _fits(value: Any, dtype: str) -> bool:
    if dtype == "string":
        return isinstance(value, str)
    if dtype == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if dtype in ("float", "double"):
        return isinstance(value, int | float)
    limits = np.iinfo(NUMPY[dtype])
    return isinstance(value, int) and limits.min <= value <= limits.max


def decimal(value: int | float, dtype: str) -> float:
    """A JSON number as a float or double.

    Args:
        value: the number.
        dtype: "float" or "double".

    Raises:
        Refusal: it is a whole number that the type rounds, or too large for it.
    """
    if isinstance(value, Named):
        return float(value)
    whole = isinstance(value, int) and -(2**63) <= value < 2**64  # RapidJSON reads other ones as doubles
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise invalid("JSON Parse error: Number too big to be stored in double.")
    digits = 24 if dtype == "float" else 53
    if (whole and abs(value) >= 2**digits) or abs(number) > float(np.finfo(NUMPY[dtype]).max):
        raise invalid(f"Cannot convert JSON value: {shown(value)} to {dtype} without loss of precision.")
    return number

"""The body of :predict as tensors, in TensorFlow Serving's row format (`instances`) and column format (`inputs`).

An input is first read as a whole (`_at_once`); what that does not take is read value by value in `json_values`, which
says what is wrong with it.

Source: tensorflow/serving, g3doc/api_rest.md and util/json_tensor.cc.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerascnn.serving.server import json_values
from kerascnn.serving.server.json_parsing import parse, shown, signature_name
from kerascnn.serving.server.json_values import is_base64, shape_of
from kerascnn.serving.server.status import Refusal, invalid

_EXACT = {"float": 2**24 - 1, "double": 2**53 - 1}  # up to here every whole number is one of the type's


def predict_request(body: bytes) -> tuple[str, dict[str, Any]]:
    """The signature that a body asks for, and the parsed body.

    Args:
        body: of a :predict request.

    Returns:
        The signature's name, "" for the default one, and the JSON object.

    Raises:
        Refusal: it is no JSON object, or the name no string.
    """
    document = parse(body)
    return signature_name(document), document


def tensors_of(document: Mapping[str, Any], dtypes: Mapping[str, str]) -> tuple[dict[str, np.ndarray], bool]:
    """The tensors in the body of a :predict request.

    Args:
        document: the JSON object.
        dtypes: the type of each input of the signature, as TensorFlow Serving calls it: "float", "string".

    Returns:
        The arrays by name, strings as object arrays of bytes; and whether the row format was used.

    Raises:
        Refusal: a key is missing, or a value does not fit its input.
    """
    if "instances" in document and "inputs" in document:
        rule = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise invalid(f"JSON Value: {shown(document)} {rule}")
    if "inputs" in document:
        return _columns(document["inputs"], dtypes), False
    if "instances" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    instances = document["instances"]
    if not isinstance(instances, list):
        raise invalid(f"JSON Value: {shown(document)} Excepting 'instances' to be an list/array")
    if not instances:
        raise invalid(f"JSON Value: {shown(document)} No values in 'instances' array")
    return _rows(instances, dtypes), True


def _columns(inputs: Any, dtypes: Mapping[str, str]) -> dict[str, np.ndarray]:
    if not isinstance(inputs, dict) or is_base64(inputs):
        if len(dtypes) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        ((name, dtype),) = dtypes.items()
        return {name: array_of(inputs, dtype)}
    arrays = {}
    for name, dtype in sorted(dtypes.items()):
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = array_of(inputs[name], dtype)
    return arrays


def _rows(instances: list, dtypes: Mapping[str, str]) -> dict[str, np.ndarray]:
    if not isinstance(instances[0], dict) and len(dtypes) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = json_values.is_object(instances[0])
    columns = _by_name(instances, dtypes) if named else {min(dtypes): instances}
    if columns is not None:
        arrays = {name: _at_once(column, dtypes[name]) for name, column in columns.items()}
        if all(array is not None for array in arrays.values()):
            return arrays
    return json_values.rows(instances, dtypes, named)


def _by_name(instances: list, dtypes: Mapping[str, str]) -> dict[str, list] | None:
    """The values of each input, where every instance names each of them; else None."""
    names = dtypes.keys()
    if not all(type(item) is dict and item.keys() == names for item in instances):
        return None
    return {name: [item[name] for item in instances] for name in sorted(names)}


def array_of(value: Any, dtype: str) -> np.ndarray:
    """One JSON value, a nested list or not, as an array.

    Args:
        value: as `json_parsing.parse` gives it.
        dtype: as TensorFlow Serving calls it.

    Raises:
        Refusal: the lists are of unequal lengths, or a value is not of the type.
    """
    array = _at_once(value, dtype)
    return json_values.array(value, dtype) if array is None else array


def _at_once(value: Any, dtype: str) -> np.ndarray | None:
    """The array by few calls for all values; None where it takes a closer look: for the error, or for rare values."""
    try:
        shape = shape_of(value)
        if len(shape) > json_values.MOST_DIMENSIONS or dtype not in json_values.NUMPY:
            return None
        flat = [value]
        for length in shape:
            if not all(type(part) is list and len(part) == length for part in flat):
                return None
            flat = list(itertools.chain.from_iterable(flat))
        values = _convert(flat, dtype)
    except (OverflowError, Refusal):
        return None
    return None if values is None else values.reshape(shape)


def _convert(flat: list, dtype: str) -> np.ndarray | None:
    types, numpy_type = set(map(type, flat)), json_values.NUMPY[dtype]
    if dtype == "string":
        if not types <= {str, dict}:
            return None
        values = np.empty(len(flat), object)
        values[:] = [json_values.to_bytes(item) for item in flat]
        return values
    if dtype == "bool":
        return np.array(flat, numpy_type) if types <= {bool} else None
    if dtype not in _EXACT:  # a whole number
        if not types <= {int}:
            return None
        limits = np.iinfo(numpy_type)
        inside = not flat or (min(flat) >= limits.min and max(flat) <= limits.max)
        return np.array(flat, numpy_type) if inside else None
    if not types <= {int, float}:
        return None
    values = np.array(flat, np.float64)
    largest = np.abs(values).max(initial=0.0)
    limit = _EXACT[dtype] if int in types else float(np.finfo(numpy_type).max)
    return values.astype(numpy_type) if largest <= limit else None  # NaN or infinities: None

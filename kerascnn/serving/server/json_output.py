"""Tensors as the JSON of TensorFlow Serving's answers: shortest numbers that read back the same, NaN and Infinity.

Departure: a string that is not UTF-8 has its wrong bytes replaced, where TensorFlow Serving writes no JSON; an output
whose name ends in `_bytes` is in base64, as there.

Source: tensorflow/serving, g3doc/api_rest.md and util/json_tensor.cc.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from kerascnn.serving.server.status import Refusal, invalid

_SINGLE_DIGITS, _DOUBLE_DIGITS = 9, 17  # with so many each number is told from its neighbors
_NAMES = {"float16": "half", "complex64": "complex64", "complex128": "complex128", "bfloat16": "bfloat16"}


def predictions(outputs: Mapping[str, np.ndarray]) -> str:
    """The answer in the row format: {"predictions": [...]}, one element an instance.

    Args:
        outputs: arrays by name, strings as object arrays of bytes.

    Raises:
        Refusal: an output has no first dimension or one of another size, or a type that JSON cannot say.
    """
    _require(outputs)
    sizes: list[int] = []
    for name, array in sorted(outputs.items()):
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if sizes and array.shape[0] != sizes[0]:
            told = f"has inconsistent batch size: {array.shape[0]} expecting: {sizes[0]}"
            raise invalid(f"Tensor name: {name} {told}")
        sizes.append(array.shape[0])
    columns = {name: _rows(name, array) for name, array in sorted(outputs.items())}
    if len(columns) == 1:
        (items,) = columns.values()
    else:
        keys = [json.dumps(name) for name in columns]
        items = ["{" + _members(keys, row) + "}" for row in zip(*columns.values(), strict=True)]
    return '{"predictions": [' + ", ".join(items) + "]}"


def columns(outputs: Mapping[str, np.ndarray]) -> str:
    """The answer in the column format: {"outputs": ...}, one array an output.

    Args:
        outputs: as for `predictions`, of any shapes.

    Raises:
        Refusal: a type that JSON cannot say.
    """
    _require(outputs)
    texts = {json.dumps(name): _rows(name, array[None])[0] for name, array in sorted(outputs.items())}
    if len(texts) == 1:
        (text,) = texts.values()
    else:
        text = "{" + _members(list(texts), list(texts.values())) + "}"
    return '{"outputs": ' + text + "}"


def results(values: Sequence) -> str:
    """The answer to :classify or :regress: {"results": [...]}.

    Args:
        values: for each example its value, or its [label, score] pairs.
    """
    return '{"results": [' + ", ".join(_nested(value) for value in values) + "]}"


def error(message: str) -> str:
    """The body of an error: {"error": "..."}."""
    return json.dumps({"error": message})


def decimals(values: np.ndarray) -> list[str]:
    """Each number of a float32 or float64 array [n] in the fewest digits: six where they suffice, else 9 or 17.

    A whole number keeps a .0, which says that it is no integer.
    """
    single = values.dtype == np.float32
    listed = values.astype(np.float64).tolist()
    texts = [f"{value:.6g}" for value in listed]
    read = np.array(texts, np.float64).astype(values.dtype)
    digits = _SINGLE_DIGITS if single else _DOUBLE_DIGITS
    return [
        _with_point(text if same else f"{value:.{digits}g}", value)
        for text, value, same in zip(texts, listed, (read == values).tolist(), strict=True)
    ]


def _with_point(text: str, value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return text if "." in text or "e" in text else f"{text}.0"


def _require(outputs: Mapping[str, np.ndarray]) -> None:
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")


def _members(keys: Sequence[str], texts: Sequence[str]) -> str:
    return ", ".join(f"{key}: {text}" for key, text in zip(keys, texts, strict=True))


def _rows(name: str, array: np.ndarray) -> list[str]:
    """The text of each element along the first dimension."""
    texts = _texts(name, array)
    shape = array.shape
    for axis in range(array.ndim - 1, 0, -1):
        count, length = math.prod(shape[:axis]), shape[axis]
        texts = ["[" + ", ".join(texts[at * length : (at + 1) * length]) + "]" for at in range(count)]
    return texts


def _texts(name: str, array: np.ndarray) -> list[str]:
    flat = array.reshape(-1)
    if array.dtype.kind in "OS":
        values = [value if isinstance(value, bytes) else str(value).encode() for value in flat.tolist()]
        if name.endswith("_bytes"):
            return [f'{{"b64": "{base64.b64encode(value).decode()}"}}' for value in values]
        return [json.dumps(value.decode(errors="replace"), ensure_ascii=False) for value in values]
    if array.dtype == np.bool_:
        return ["true" if value else "false" for value in flat.tolist()]
    if array.dtype in (np.float32, np.float64):
        return decimals(flat)
    if array.dtype.kind in "iu":
        return [str(value) for value in flat.tolist()]
    name = _NAMES.get(array.dtype.name, array.dtype.name)
    raise Refusal("INVALID_ARGUMENT", f"Failed to write JSON value for tensor type: {name}")


def _nested(value) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_nested, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return decimals(np.array([value], np.float32))[0]

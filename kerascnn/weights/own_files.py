"""Weights of our own networks as `.safetensors`: small, and with nothing that could be executed.

Each variable is an array called "LAYER/NUMBER/NAME", such as "conv1/0/kernel", numbered in the order of its layer.
"""

import os
import re
from collections.abc import Mapping

import keras
import numpy as np
from safetensors.numpy import save

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._files import atomic_write
from kerascnn.surgery.adapters import merged_weights, own_variables, refuse_quantized
from kerascnn.weights.guard import shown

_NAME = re.compile(r"(.+)/(\d{1,3})/([^/]+)")
_DTYPES = ("float32", "float16")


def save_safetensors(model: keras.Model, path: str | os.PathLike, dtype: str = "float32") -> None:
    """Writes the weights of a model, layer by layer, into a file that `weights=` reads.

    Args:
        model: a built model of this package, or any functional one. Low-rank adapters are merged.
        path: the file, which appears when it is complete; it must end in .safetensors.
        dtype: "float32", or "float16", which halves the file: kernels and matrices are rounded to it. Vectors, which
            are few and in which the statistics of batch norms are, stay float32.

    Raises:
        InputError: the model is not built, quantized, or has two layers of one name; the path ends otherwise; or a
            weight is not finite, or too large for float16.
        OSError: the file cannot be written.

    Example:

        kerascnn.weights.save_safetensors(model, "lenet5.safetensors", dtype="float16")
        again = kerascnn.create_model("lenet5", weights="lenet5.safetensors")
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise InputError(f"The model must be a built keras.Model. Received: {model!r}")
    _check.one_of("dtype", dtype, _DTYPES)
    if not isinstance(path, str | os.PathLike) or not os.fspath(path).endswith(".safetensors"):
        raise InputError(f"The path must end in .safetensors. Received: {shown(str(path))}")
    refuse_quantized(model, "Weights are saved")
    arrays: dict[str, np.ndarray] = {}
    for layer in model.layers:
        for number, (variable, value) in enumerate(zip(own_variables(layer), merged_weights(layer), strict=True)):
            name = f"{layer.name}/{number}/{variable.name}"
            if name in arrays:
                raise InputError(f"Layers must differ in name. Received: {layer.name} twice in {model.name}")
            arrays[name] = _rounded(name, np.asarray(value), dtype)
    write_safetensors(path, arrays, {"format": "kerascnn", "network": model.name})


def write_safetensors(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays under their names.

    Args:
        path: the file, which appears when it is complete.
        arrays: name -> array.
        metadata: texts for its header.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(path, "wb") as file:  # the library's own writing leaves files that only their owner may read
        file.write(save(dict(arrays), metadata=dict(metadata or {})))


def as_layers(arrays: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]] | None:
    """The arrays of a file of ours by layer.

    Args:
        arrays: those of a `.safetensors` file.

    Returns:
        Layer -> its variables in their order; None where the file is not of this kind.

    Raises:
        InputError: the variables of a layer are not numbered from 0 on.
    """
    names = {name: match for name in arrays if (match := _NAME.fullmatch(name))}
    if not arrays or len(names) < len(arrays):
        return None
    layers: dict[str, dict[int, np.ndarray]] = {}
    for name, match in names.items():
        layers.setdefault(match[1], {})[int(match[2])] = arrays[name]
    for layer, found in layers.items():
        if sorted(found) != list(range(len(found))):
            raise InputError(
                f"The variables of a layer must be numbered 0, 1, 2, .... Received: {sorted(found)} of {layer}"
            )
    return {layer: [found[number] for number in sorted(found)] for layer, found in layers.items()}


def _rounded(name: str, value: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # which is what is looked for
        kept = value.astype(dtype if value.ndim > 1 and value.dtype.kind == "f" else value.dtype)
    if not np.isfinite(kept).all():
        what = "finite" if not np.isfinite(value).all() else f"within the range of {dtype}"
        raise InputError(f"Weights that are saved must be {what}. Received: {name}")
    return np.ascontiguousarray(kept).reshape(value.shape)

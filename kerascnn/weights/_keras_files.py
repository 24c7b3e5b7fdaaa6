"""The two file formats of Keras 3 that hold weights: `.weights.h5`, and the archive `.keras`."""

import io
import os
import zipfile
from pathlib import Path

import h5py
import numpy as np

from kerascnn._errors import InputError


def read_keras_file(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """Reads the variables of each layer. Nothing in the file is executed, and its model is not built.

    Args:
        path: a `.weights.h5` or `.keras` file written by Keras 3.

    Returns:
        Layer name -> its variables, in the layer's own order; layers without variables are left out.

    Raises:
        InputError: no such file, another format, truncated or damaged.
    """
    path = Path(path)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise InputError(f"Weights are read from .weights.h5 and .keras files. Received: {path}")
    if not path.is_file():
        raise InputError(f"There is no such weights file. Received: {path}")
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                source = io.BytesIO(archive.read("model.weights.h5"))
        else:
            source = path
        with h5py.File(source, "r") as file:
            return _read_layers(file)
    except (OSError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"The weights file cannot be read; it is truncated, damaged or of another format ({_one_line(error)}). "
            f"Received: {path}"
        ) from error


def _read_layers(file: h5py.File) -> dict[str, list[np.ndarray]]:
    if "layers" not in file:
        raise ValueError("no group 'layers'")
    layers: dict[str, list[np.ndarray]] = {}
    for group in file["layers"].values():
        own = group.get("vars")
        name = None if own is None else own.attrs.get("name")
        if name is None:
            raise ValueError("layer names are missing: written by a Keras older than 3.7")
        arrays = [own[key][()] for key in sorted(own, key=int)]
        if arrays:
            layers[str(name)] = arrays
        for key in group:
            if key not in ("vars", "seed_generator"):  # the state of a random layer is not a weight
                layers.update(_read_nested(group[key], f"{name}/{key}"))
    return layers


def _read_nested(group: h5py.Group, name: str) -> dict[str, list[np.ndarray]]:
    """Variables of layers inside a layer; no network here has them, so they end up among the unexpected."""
    found: dict[str, list[np.ndarray]] = {}

    def visit(_, item):
        if isinstance(item, h5py.Dataset):
            found.setdefault(name, []).append(item[()])

    group.visititems(visit)
    return found


def _one_line(error: Exception) -> str:
    return str(error).strip("'\" ").splitlines()[0][:120] if str(error).strip() else type(error).__name__

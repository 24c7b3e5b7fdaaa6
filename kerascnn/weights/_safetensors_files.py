"""`.safetensors` files: a header and raw arrays, nothing that could be executed."""

import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from kerascnn._errors import InputError


def read_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads every array of a file.

    Args:
        path: a `.safetensors` file.

    Returns:
        Name -> array; bfloat16 as float32.

    Raises:
        InputError: no such file, truncated or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no such weights file. Received: {path}")
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dictionary
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"The weights file cannot be read; it is truncated, damaged or of another format ({error}). "
            f"Received: {path}"
        ) from error
    # bfloat16 is no type of NumPy's own; what TensorFlow registers for it converts to float32.
    return {name: array.astype("float32") if array.dtype == "bfloat16" else array for name, array in arrays.items()}

"""`.safetensors` files: a header and raw arrays, nothing that could be executed."""

import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from kerascnn._errors import InputError


def read_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads every array of a file.

    Args:
        path: a `.safetensors` file; its numbers are float16, float32, float64 or integers.

    Returns:
        Name -> array.

    Raises:
        InputError: no such file, truncated or damaged, or numbers of a kind that NumPy lacks (bfloat16).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no such weights file. Received: {path}")
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dictionary
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"The weights file cannot be read; it is truncated, damaged or of another format ({error}). "
            f"Received: {path}"
        ) from error
    except (TypeError, AttributeError, KeyError) as error:  # how bfloat16 and the 8-bit floats end in NumPy
        raise InputError(
            f"Weights must be float16, float32, float64 or integers ({error}). Received: {path}"
        ) from error

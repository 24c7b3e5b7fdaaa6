"""TensorFlow for the command line: loaded late, its absence and its faults said in one line."""

import importlib.util
import sys

from kerascnn._environment import check_environment
from kerascnn._errors import InputError


def load_tensorflow() -> None:
    """Imports TensorFlow and Keras, without TensorFlow's first words (`kerascnn._quiet`).

    Raises:
        InputError: TensorFlow or Keras is not installed or cannot be imported, or set up for another backend.
    """
    check_environment(strict=True)
    for name in ("tensorflow", "keras"):
        if sys.modules.get(name) is None and importlib.util.find_spec(name) is None:
            raise InputError(
                f"kerascnn needs {name}, which is not installed: pip install 'kerascnn[cpu]', or 'kerascnn[gpu]' for "
                f"NVIDIA GPUs. Received: {sys.executable}"
            )
    try:
        import tensorflow  # noqa: F401, I001
        import keras  # noqa: F401
    except ImportError as error:
        raise InputError(f"TensorFlow cannot be imported ({error}). Received: {sys.executable}") from error

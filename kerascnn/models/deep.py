"""A model class for networks whose graphs Keras cannot walk within Python's default recursion limit."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import keras

_LIMIT = 20_000  # Keras walks a functional model with one Python frame per layer in depth; ResNet-1202 has 4,211


@contextlib.contextmanager
def deep_recursion() -> Iterator[None]:
    """Raises Python's recursion limit for a while.

    Returns:
        A context.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@keras.saving.register_keras_serializable(package="kerascnn")
class DeepModel(keras.Model):
    """A functional `keras.Model` that may be thousands of layers deep, also when it is read from a file."""

    def __init__(self, *args: Any, **kwargs: Any):
        with deep_recursion():
            super().__init__(*args, **kwargs)

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> "DeepModel":
        """See `keras.Model.from_config`."""
        with deep_recursion():
            return super().from_config(config, custom_objects=custom_objects)

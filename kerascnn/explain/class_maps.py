"""What the methods share that explain a class by a weighted sum of a layer's maps."""

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.surgery.cut import output_in


def last_map(model: keras.Model) -> keras.layers.Layer:
    """The last layer that gives a map of more than one position: what is pooled or flattened for the head.

    Args:
        model: images [n, height, width, channels] -> scores [n, classes].

    Raises:
        InputError: there is none, or tokens come after it, as in transformers, whose last map is that of the patches.
    """
    for layer in reversed(model.layers):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        shape = getattr(output_in(model, layer), "shape", ())
        if len(shape) == 3:
            break
        if len(shape) == 4 and not all(size == 1 for size in shape[1:3]):
            return layer
    raise InputError(
        f"The network must have maps [n, height, width, channels] before its head; layer names another. "
        f"Received: {model.name}, with tokens or vectors alone"
    )


def combined(seen: np.ndarray, weights: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """ReLU of the weighted sum of maps, and the same enlarged bilinearly.

    Args:
        seen: [n, rows, columns, channels].
        weights: [n, channels].
        size: (height, width).

    Returns:
        float32 [n, rows, columns] and [n, height, width].
    """
    raw = np.maximum(np.einsum("nhwc,nc->nhw", seen.astype("float64"), weights), 0).astype("float32")
    return raw, tf.image.resize(raw[..., None], size).numpy()[..., 0]

"""What the methods share that explain a class by a weighted sum of a layer's maps."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.derivatives import enlarged, slopes
from kerascnn.explain.explanation import Explanation, Target, ask, find_layer, with_map
from kerascnn.surgery.cut import output_in


def class_map(
    method: str,
    weigh: Callable[[np.ndarray, np.ndarray], np.ndarray],
    model: keras.Model,
    images: Any,
    target: Target,
    layer: str | None,
    batch_size: int,
) -> Explanation:
    """ReLU of the weighted sum of a layer's maps.

    Args:
        method: the name of the method.
        weigh: the maps and the gradients of the scores with respect to them, both float64 [n, rows, columns, channels]
            -> the weights, [n, channels].
        model, images, target, layer, batch_size: see `grad_cam`.
    """
    batch_size = _check.whole("batch_size", batch_size, 1)
    question = ask(model, images, target, batch_size=batch_size)
    inner = find_layer(question.model, layer) or last_map(question.model)
    seen, slope = (x.astype("float64") for x in slopes(with_map(question, inner), question, batch_size))
    raw = np.maximum(np.einsum("nhwc,nc->nhw", seen, weigh(seen, slope)), 0).astype("float32")
    maps = enlarged(raw, question.images.shape[1:3])
    return Explanation(maps, raw, inner.name, question.target, question.scores, method)


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

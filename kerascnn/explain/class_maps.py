"""What the methods share that explain a class by a weighted sum of a layer's maps."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn.explain.derivatives import enlarged, slopes
from kerascnn.explain.explanation import Explanation, Network, Target, ask
from kerascnn.explain.places import find_place, last_place, with_output


def class_map(
    method: str,
    weigh: Callable[[np.ndarray, np.ndarray], np.ndarray],
    model: Network,
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
    question = ask(model, images, target, batch_size=batch_size, now=False)
    place = find_place(question, layer) or last_place(question)
    question, *found = slopes(with_output(question, place.operation), question, batch_size)
    seen, slope = (place.map(x).astype("float64") for x in found)
    raw = np.maximum(np.einsum("nhwc,nc->nhw", seen, weigh(seen, slope)), 0).astype("float32")
    maps = enlarged(raw, question.images.shape[1:3])
    return Explanation(maps, raw, place.name, question.target, question.scores, method)

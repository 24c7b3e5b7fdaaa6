"""Batch statistics of a whole training set, in place of moving averages."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from kerascnn._errors import InputError


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The batch norms of a model and of the models inside it, in the order of its layers.

    Args:
        model: any `keras.Model`.
    """
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += batch_norms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            found.append(layer)
    return found


def estimate(model: keras.Model, batches: Callable[[], Iterable[Any]]) -> None:
    """Gives every batch norm the mean and the variance of what it sees over a whole set, exactly.

    One after the other, each with those before it as they are at inference, because their outputs are its input: as
    many passes as there are batch norms. (Moving averages are of networks that were still changing, and of the last
    hundreds of steps.) The weights are not touched. Means and squares are summed in float64.

    Args:
        model: functional or sequential, built; its layers may be frozen. Batch norms within models inside it cannot be
            reached; of one that is called in several places the first counts.
        batches: gives the images anew at each call, as the model takes them: arrays or tensors, or pairs whose first
            part they are. All batches count by their size.

    Raises:
        InputError: the model has batch norms that cannot be reached, or there are no images.

    Source:
        Ioffe & Szegedy 2015 (arXiv:1502.03167), algorithm 2, lines 8 to 10, but with the variance of the set itself.

    Example:

        statistics.estimate(model, lambda: np.array_split(images, 10))
    """
    own = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if len(own) != len(batch_norms(model)):
        raise InputError(f"Batch norms must not be in models inside the model. Received: {model.name}")
    for layer in own:
        seen = keras.Model(model.input, layer.input)
        axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
        total, squares, count = 0.0, 0.0, 0
        for batch in batches():
            images = batch[0] if isinstance(batch, tuple | list) else batch
            maps = np.moveaxis(keras.ops.convert_to_numpy(seen(images, training=False)).astype(np.float64), axis, -1)
            rows = maps.reshape(-1, maps.shape[-1])
            total, squares, count = total + rows.sum(0), squares + np.square(rows).sum(0), count + len(rows)
        if not count:
            raise InputError("Batch statistics must be estimated of at least one image. Received: none")
        mean = total / count
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.maximum(squares / count - mean**2, 0.0))

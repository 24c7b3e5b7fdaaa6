"""Batch statistics estimated anew, for weights that no training step has seen, such as means of several networks'."""

import contextlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.surgery.replace import check, rebuild


def estimate_statistics(model: keras.Model, images: Iterable) -> int:
    """Sets the moving mean and variance of every batch norm to those of the given images.

    In one pass each batch is normalized by its own statistics, as in training, and all else works as at inference:
    nothing is dropped, and no weight changes. A batch norm gets the mean over all images, and the variance within the
    batches plus that between them. For the first one that is exact; the inputs of later ones depend a little on how the
    images fall into batches, so that these should be mixed and large. Frozen batch norms stay as they are.

    Args:
        model: a functional or built sequential `keras.Model`; its moving statistics change.
        images: batches float32 [batch, height, width, channels], preprocessed, in an order that mixes the classes.

    Returns:
        How many batch norms there are; with none nothing is read.

    Raises:
        InputError: the model has no graph, has batch norms that the graph does not show, or there are no images.

    Source:
        Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization, 2018, arXiv:1803.05407,
        section 3.2.

    Example:

        batches, steps = data.train_pipeline(source, image_shape=shape, preprocessing=constants, batch_size=128)
        inference.estimate_statistics(model, (images for images, _ in batches.take(50)))
    """
    check(model)
    norms: dict[int, keras.layers.BatchNormalization] = {}

    def change(operation):
        if not isinstance(operation, keras.layers.BatchNormalization) or not operation.trainable:
            return None
        norms[id(operation)] = operation
        return lambda *args, **kwargs: operation(*args, **{**kwargs, "training": True})

    twin = rebuild(model, change, share=True)
    _refuse_hidden(model)
    if not norms:
        return 0
    layers = list(norms.values())
    count, means, variances, squares = 0, *([0.0] * len(layers) for _ in range(3))
    with _following(layers):
        step = _compiled(twin)
        for batch in images:
            step(tf.convert_to_tensor(batch, tf.float32))
            size = len(batch)
            count += size
            for i, layer in enumerate(layers):
                mean, variance = (np.asarray(x, np.float64) for x in (layer.moving_mean, layer.moving_variance))
                means[i] = means[i] + size * mean
                variances[i] = variances[i] + size * variance
                squares[i] = squares[i] + size * mean**2
    if not count:
        raise InputError("Batch statistics need images. Received: none")
    for i, layer in enumerate(layers):
        mean = means[i] / count
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.maximum(variances[i] / count + squares[i] / count - mean**2, 0))
    return len(layers)


@contextlib.contextmanager
def _following(layers) -> Iterator[None]:
    """The moving statistics are those of the last batch alone."""
    before = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum


def _compiled(twin):
    """One graph for all batch sizes. No `training` is given: only what the graph says is True."""
    shape = (None, *twin.inputs[0].shape[1:])
    network = keras.Model(twin.inputs[0], twin.outputs)  # the same layers, inputs not in a list
    graph = tf.function(network, input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
    return graph.get_concrete_function()


def _refuse_hidden(model) -> None:
    """Batch norms inside of layers of one's own are not in the graph, and would keep what they have."""

    def shown(layers):
        for layer in layers:
            yield layer
            if isinstance(layer, keras.Model):
                yield from shown(layer.layers)

    seen = {id(layer) for layer in shown(model.layers)}
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization) and id(layer) not in seen:
            raise InputError(
                f"A batch norm must be a layer of the model's graph. Received: {layer.path} inside a layer"
            )

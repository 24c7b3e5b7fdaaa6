"""PyTorch's layouts into those of Keras: kernels [out, in, h, w], matrices [out, in], maps flattened channels first."""

from collections.abc import Mapping

import keras
import numpy as np

from kerascnn.weights.memory import own

_ENTRIES = {  # variable of a Keras layer -> entry of a module's state dict
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Those of nearly every module, which no rule names by themselves.
MODULE_ENTRIES = frozenset(("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))
_SHAPE_KEEPING = (keras.layers.Dropout, keras.layers.Activation, keras.layers.Identity)


def to_keras(layer: keras.layers.Layer, entries: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The variables of a layer from a module's entries; what the layer does not know comes last.

    A layer with a method `from_torch(entries) -> arrays` converts them by itself. Names of PyTorch's own attention,
    `in_proj_weight` for its three projections, count as `weight`.

    Args:
        layer: of a functional model.
        entries: state dict of the module, such as {"weight": [out, in, h, w], "bias": [out]}.

    Returns:
        One array per variable that the module has, in the layer's order, in the layouts of Keras; then the others.
    """
    rest = {entry.removeprefix("in_proj_"): array for entry, array in entries.items()}
    rest.pop("num_batches_tracked", None)
    if hasattr(layer, "from_torch"):
        return layer.from_torch(rest)
    arrays = []
    for variable in layer.weights:
        entry = _ENTRIES.get(variable.name, variable.name)
        if entry in rest:
            value = rest.pop(entry)
            arrays.append(_kernel(layer, value, tuple(variable.shape)) if variable.name == "kernel" else value)
    return [*arrays, *rest.values()]


def _kernel(layer, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if isinstance(layer, keras.layers.Dense):
        if value.ndim == 4:  # a dense layer written as a convolution over the whole map
            return value.transpose(2, 3, 1, 0).reshape(-1, value.shape[0])
        if value.ndim == 2:
            flattened = _flattened(layer)
            if flattened and value.shape[1] == np.prod(flattened):
                height, width, channels = flattened
                return own(value.reshape(-1, channels, height, width).transpose(2, 3, 1, 0)).reshape(-1, len(value))
            return value.T
        return value
    if value.ndim == 2 and len(shape) == 4:  # a 1x1 convolution written as a dense layer
        value = value[:, :, None, None]
    if value.ndim != 4:
        return value
    if isinstance(layer, keras.layers.DepthwiseConv2D) and value.shape[1] == 1 and len(value) % shape[2] == 0:
        out, _, height, width = value.shape  # channel c makes the outputs c * multiplier ...
        return value.reshape(shape[2], out // shape[2], height, width).transpose(2, 3, 0, 1)
    return value.transpose(2, 3, 1, 0)


def _flattened(layer: keras.layers.Layer) -> tuple[int, int, int] | None:
    """(height, width, channels) of the map that was flattened to become a dense layer's input."""
    producer = layer.input._keras_history.operation
    while isinstance(producer, _SHAPE_KEEPING):
        producer = producer.input._keras_history.operation
    if not isinstance(producer, keras.layers.Flatten) or len(producer.input.shape) != 4:
        return None
    return producer.input.shape[1:]

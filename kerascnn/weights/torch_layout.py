"""PyTorch's layouts into those of Keras and back: kernels [out, in, h, w], matrices [out, in], maps channels first."""

from collections.abc import Iterator, Mapping

import keras
import numpy as np

from kerascnn.layers.window_attention import WindowAttention
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
_FUSED = ("self_attention",)  # torch.nn.MultiheadAttention, whose entries are `in_proj_weight` and `in_proj_bias`
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


def to_torch(
    layer: keras.layers.Layer, values: Mapping[str, np.ndarray], module: str, library: str, other_rank: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """A module's entries from the variables of a layer.

    A layer with a method `to_torch(arrays) -> entries` converts them by itself; an entry "" is a parameter that has the
    name of the module. Batch norm has a counter of batches there, and torchvision's windows the index of their biases.

    Args:
        layer: of a functional model.
        values: of its variables, by their names.
        module: the name of the module.
        library: whose module it is.
        other_rank: a dense layer here is a convolution there, or a 1x1 convolution here a linear layer.

    Yields:
        Names of entries, such as "layer1.0.conv1.weight", and their arrays; floating-point numbers as float32.
    """
    for entry, array in _entries(layer, values, module, other_rank):
        array = np.asarray(array)
        if array.dtype.kind not in "iub":  # bfloat16 is of no kind of NumPy's
            array = array.astype("float32")
        yield f"{module}.{entry}" if entry else module, array
    if isinstance(layer, keras.layers.BatchNormalization):
        yield f"{module}.num_batches_tracked", np.array(0, "int64")
    if library == "torchvision" and isinstance(layer, WindowAttention):
        yield f"{module}.relative_position_index", _position_index(layer.window)


def _entries(layer, values, module: str, other_rank: bool) -> Iterator[tuple[str, np.ndarray]]:
    if hasattr(layer, "to_torch"):
        yield from layer.to_torch(list(values.values())).items()
        return
    fused = "in_proj_" if module.rpartition(".")[2] in _FUSED else ""
    for name, value in values.items():
        yield fused + _ENTRIES.get(name, name), _torch_kernel(layer, value, other_rank) if name == "kernel" else value


def _torch_kernel(layer, value: np.ndarray, other_rank: bool) -> np.ndarray:
    if value.ndim == 2:
        flattened = _flattened(layer) or (1, 1, len(value))
        convolution = value.reshape(*flattened, -1).transpose(3, 2, 0, 1)  # over the whole map
        return convolution if other_rank else convolution.reshape(len(convolution), -1)
    if value.ndim != 4:
        return value
    if other_rank:
        return value[0, 0].T
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        height, width, channels, multiplier = value.shape
        return value.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return value.transpose(3, 2, 0, 1)


def _position_index(side: int) -> np.ndarray:
    """Which row of the table of biases belongs to each pair of places in a window of side x side places."""
    row, column = np.divmod(np.arange(side * side), side)
    down, right = (axis[:, None] - axis[None, :] + side - 1 for axis in (row, column))
    return ((2 * side - 1) * down + right).reshape(-1).astype("int64")

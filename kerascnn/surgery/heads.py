"""Another head: the same network for another number of classes."""

from collections.abc import Callable

import keras

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.surgery.adapters import without_adapters
from kerascnn.surgery.graph import has_graph
from kerascnn.surgery.replace import called, check, copied, end_tensors, rebuild

L = keras.layers
_SIZES = {  # class of a last layer -> the argument that counts its outputs; subclasses of these too
    L.Dense: "units",
    L.DepthwiseConv1D: None,
    L.DepthwiseConv2D: None,
    L.Conv1D: "filters",
    L.Conv2D: "filters",
    L.Conv3D: "filters",
    L.SeparableConv1D: "filters",
    L.SeparableConv2D: "filters",
}


def replace_head(model: keras.Model, classes: int) -> keras.Model:
    """The same network with a new last layer, of another number of classes and drawn anew.

    The last layer with weights is exchanged for one of its kind with its initializers, activation, name and dtype; what
    follows it (activation, pool, change of shape) is copied. An `AuxiliaryModel` gets a new layer at each of its heads.

    Args:
        model: a functional or built sequential classifier, of images or of every pixel. It does not change.
        classes: at least 1.

    Returns:
        An uncompiled model that shares all layers before the new ones with `model`, and so their weights: training one
        trains the other. `keras.models.clone_model` makes it independent.

    Raises:
        InputError: the model has no graph, or its last layer with weights is none that can be exchanged: no dense layer
            or convolution, one that is quantized, or one of several whose outputs are put together.

    Example:

        flowers = replace_head(kerascnn.applications.ResNet18(weights="resnet18.safetensors"), 5)
    """
    check(model)
    classes = _check.whole("classes", classes, 1, 2**31 - 1)
    new, after = {}, {}
    for tensor in keras.tree.flatten(end_tensors(model)):
        last, following = _last_weighted(model, tensor)
        new[id(last)] = last
        after |= {id(operation): operation for operation in following}

    def change(operation) -> Callable | None:
        if id(operation) in new:
            return _resized(operation, classes)
        if id(operation) in after:
            return copied(operation, lambda config: _reshaped(operation, config, classes))
        return None

    return rebuild(model, change, share=True)


def _last_weighted(model, tensor) -> tuple[keras.layers.Layer, list]:
    """The last layer with weights on the way to an output, and what follows it."""
    following = []
    while True:
        history = tensor._keras_history
        operation = history.operation
        if has_graph(operation):
            tensor = operation.outputs[history.tensor_index]
            continue
        inputs = operation._inbound_nodes[history.node_index].input_tensors
        if getattr(operation, "weights", None):
            return operation, following
        if len(inputs) != 1:
            raise InputError(
                f"{model.name} must end in a dense layer or convolution and what has no weights; build it with the "
                f"number of classes instead. Received: {called(operation)}"
            )
        following.append(operation)
        tensor = inputs[0]


def _resized(layer: keras.layers.Layer, classes: int) -> keras.layers.Layer:
    size = next((_SIZES[kind] for kind in type(layer).__mro__ if kind in _SIZES), None)
    if size is None or getattr(layer, "quantization_mode", None):
        raise InputError(
            "The last layer with weights must be a dense layer or a convolution that is not quantized, to be exchanged "
            f"for one of {classes} classes. Received: {called(layer)}"
        )
    return type(layer).from_config({**without_adapters(layer.get_config()), size: classes})


def _reshaped(operation, config: dict, classes: int) -> dict:
    if isinstance(operation, L.Reshape) and operation.target_shape[-1] != -1:
        return {**config, "target_shape": (*operation.target_shape[:-1], classes)}
    return config

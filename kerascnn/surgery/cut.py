"""Models that end elsewhere: at an inner layer, before the last softmax, or behind one that was missing."""

from collections.abc import Callable
from typing import Any

import keras

from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.surgery.graph import has_graph
from kerascnn.surgery.replace import called, check, end_tensors, free_name, over, rebuild

L = keras.layers
# Layers that compute `activation(something linear)`, and nothing after it.
_ACTIVATED = (
    L.Activation, L.Dense, L.EinsumDense, L.Conv1D, L.Conv2D, L.Conv3D, L.DepthwiseConv1D, L.DepthwiseConv2D,
    L.SeparableConv1D, L.SeparableConv2D, L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose,
)  # fmt: skip
# Layers that hand on what they are given at inference, in another shape at most.
_PASSING = (
    L.Identity, L.Dropout, L.AlphaDropout, L.GaussianDropout, L.GaussianNoise, L.SpatialDropout1D, L.SpatialDropout2D,
    L.SpatialDropout3D, L.ActivityRegularization, L.Flatten, L.Reshape, layers.StageOutput,
)  # fmt: skip
# Layers whose outputs are averages of their inputs: of probabilities they make probabilities.
_AVERAGING = (
    L.Average, L.AveragePooling1D, L.AveragePooling2D, L.AveragePooling3D, L.GlobalAveragePooling1D,
    L.GlobalAveragePooling2D, L.GlobalAveragePooling3D, L.AdaptiveAveragePooling2D, L.UpSampling1D, L.UpSampling2D,
    L.UpSampling3D, L.Cropping1D, L.Cropping2D, L.Cropping3D, L.Resizing, layers.CropLike, layers.ResizeLike,
)  # fmt: skip
_PROBABILITIES = ("softmax", "sigmoid")


def final_activation(model: keras.Model) -> str | None:
    """What the outputs of a model have gone through, as its graph tells; no number is looked at.

    Layers that change no value at inference (dropout, casts, a change of shape that keeps the last axis) are looked
    through, and so are models inside the model. Averages of probabilities (over places, of several heads, enlarged,
    cropped) are probabilities.

    Args:
        model: a functional or built sequential `keras.Model` with one output; of an `AuxiliaryModel` the main output
            counts.

    Returns:
        "softmax": probabilities over the last axis; "sigmoid"; the name of another activation; "linear": no activation,
        so that a classifier's outputs are logits; None: the graph cannot tell, as where a layer of one's own or a
        `Lambda` comes last.

    Raises:
        InputError: the model has no graph or several outputs.
    """
    check(model)
    if len(model.outputs) != 1:
        raise InputError(f"The model must have one output. Received: {len(model.outputs)} outputs of {model.name}")
    return _kind(model.outputs[0])


def logits_of(model: keras.Model) -> keras.Model:
    """The same network without the softmax or sigmoid at its end; the model itself where it has none.

    Losses are computed from logits, and explanations differentiate them: a probability near 1 has no gradient left,
    dp_c / dz_k = p_c (1[c = k] - p_k), and its logarithm may be that of 0.

    Args:
        model: a functional or built sequential `keras.Model`, with any number of outputs. It does not change.

    Returns:
        An uncompiled model that shares all layers but the last, and all weights: training one trains the other. An
        `AuxiliaryModel` stays one, with logits at each head.

    Raises:
        InputError: the model has no graph, it cannot be told what its outputs are, or they are averages of
            probabilities, for which there are no logits.
    """
    check(model)
    lasts: dict[int, keras.Operation] = {}
    for tensor in keras.tree.flatten(end_tensors(model)):
        kind = _kind(tensor)
        operation = _last(tensor)
        if kind is None:
            raise InputError(
                f"The last layer of {model.name} must be one of Keras or kerascnn, so that it is known whether its "
                f"outputs are logits. Received: {called(operation)}"
            )
        if kind in _PROBABILITIES:
            if isinstance(operation, _AVERAGING):
                raise InputError(
                    f"{model.name} gives averages of probabilities, for which there are no logits. "
                    f"Received: {called(operation)}"
                )
            lasts[id(operation)] = operation
    if not lasts:
        return model
    return rebuild(model, lambda x: without_activation(x) if id(x) in lasts else None, share=True)


def probabilities_of(model: keras.Model) -> keras.Model:
    """The same network ending in probabilities: behind logits comes a float32 softmax.

    Args:
        model: a functional or built sequential `keras.Model` with one output. It does not change.

    Returns:
        The model itself where it ends in a softmax or sigmoid, else an uncompiled model over the same layers and one
        called "probabilities" as `with_softmax` makes it; without the auxiliary heads of an `AuxiliaryModel`.

    Raises:
        InputError: the model has no graph, several outputs, an end that is neither, or one that cannot be told.
    """
    kind = final_activation(model)
    if kind in _PROBABILITIES:
        return model
    if kind != "linear":
        last = called(_last(model.outputs[0]))
        raise InputError(
            f"{model.name} must end in a softmax, a sigmoid, or logits. Received: {kind or 'an unknown end'}, {last}"
        )
    return with_softmax(model)


def with_softmax(model: keras.Model) -> keras.Model:
    """A model with a float32 softmax behind its first output, over the same layers and uncompiled.

    Args:
        model: a functional or built sequential `keras.Model` whose first output is logits; nobody checks it here.

    Returns:
        The model; its last layer is called "probabilities", with a number behind where that name is taken.
    """
    softmax = keras.layers.Activation("softmax", dtype="float32", name=free_name(model, "probabilities"))
    return over(model, softmax(model.outputs[0]))


def up_to(
    model: keras.Model, layer: str | Callable[[keras.layers.Layer], bool], name: str | None = None
) -> keras.Model:
    """The part of a network from its inputs to the output of one layer.

    Args:
        model: a functional or built sequential `keras.Model`. It does not change.
        layer: name of one of its layers; or a function of a layer, and the last layer for which it is true is taken.
        name: of the new model; None: that of `model`.

    Returns:
        An uncompiled model over the same layers, which gives what the layer gives; at its last call where it is called
        more than once.

    Raises:
        InputError: the model has no graph, or no such layer.

    Example:

        codes = up_to(kerascnn.create_model("lenet5"), "f6")
    """
    check(model)
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise InputError(f"name must be a text without /. Received: name={name!r}")
    if callable(layer) and not isinstance(layer, keras.layers.Layer):
        found = [x for x in model.layers if layer(x) and not isinstance(x, keras.layers.InputLayer)]
    else:
        found = [x for x in model.layers if isinstance(layer, str) and x.name == layer]
    if not found:
        names = [x.name for x in model.layers]
        wanted = "one for which the function is true" if callable(layer) else repr(layer)[:80]
        raise InputError(
            f"{model.name} must have the layer, one of {', '.join(names[:8])}"
            f"{f' and {len(names) - 8} more' if len(names) > 8 else ''}. Received: {wanted}"
        )
    return over(model, output_in(model, found[-1]), name=name)


def output_in(model: keras.Model, layer: keras.layers.Layer) -> Any:
    """What a layer gives in a model, at its last call there: other models may have called it too.

    Raises:
        InputError: the model does not call it.
    """
    found = _call_in(model, layer)
    return found.outputs[0] if len(found.outputs) == 1 else list(found.outputs)


def input_in(model: keras.Model, layer: keras.layers.Layer) -> Any:
    """The first tensor that a layer is given in a model, at its last call there.

    Raises:
        InputError: the model does not call it.
    """
    return _call_in(model, layer).input_tensors[0]


def _call_in(model, layer):
    tensors = _upstream(keras.tree.flatten(end_tensors(model)))
    found = None
    for node in layer._inbound_nodes:
        if node.outputs and all(id(x) in tensors for x in node.outputs):
            found = node
    if found is None:
        raise InputError(f"{model.name} must call the layer. Received: {called(layer)}")
    return found


def _upstream(ends: list) -> set[int]:
    """Ids of all tensors that these are made of, themselves among them, and all other outputs of the same calls."""
    waiting, seen = list(ends), set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        node = _node(tensor)
        seen.add(id(tensor))
        seen.update(map(id, node.outputs))
        waiting += node.input_tensors
    return seen


def _node(tensor):
    made = tensor._keras_history
    return made.operation._inbound_nodes[made.node_index]


def _last(tensor) -> keras.Operation:
    """The operation that made the values of a tensor: not one that hands them on."""
    operation, tensor = _behind(tensor)
    while tensor is not None:
        operation, tensor = _behind(tensor)
    return operation


def _behind(tensor) -> tuple[keras.Operation, Any]:
    """The operation behind a tensor, and the tensor to look at instead, where that has the same values."""
    operation, inputs = tensor._keras_history.operation, _node(tensor).input_tensors
    if has_graph(operation):
        return operation, operation.outputs[tensor._keras_history.tensor_index]
    return operation, inputs[0] if len(inputs) == 1 and _passes(operation, inputs[0], tensor) else None


def _passes(operation, before, after) -> bool:
    if type(operation) in _PASSING:
        return len(after.shape) > 1 and before.shape[-1] == after.shape[-1]
    if isinstance(operation, L.Layer):
        return type(operation) is L.Activation and operation.activation is keras.activations.linear
    return _of_keras(operation) and type(operation).__name__ == "Cast" and "float" in after.dtype


def _kind(tensor) -> str | None:
    """The activation that the values of a tensor have gone through."""
    operation, before = _behind(tensor)
    while before is not None:
        tensor = before
        operation, before = _behind(tensor)
    if isinstance(operation, _AVERAGING) and _of_keras(operation):
        kinds = {_kind(x) for x in _values(operation, _node(tensor).input_tensors)}
        return kinds.pop() if len(kinds) == 1 and not kinds.isdisjoint(_PROBABILITIES) else "linear"
    return _own_kind(operation, len(tensor.shape))


def _values(operation, tensors):
    """The inputs whose values count, not only their sizes."""
    return tensors[:1] if isinstance(operation, layers.CropLike | layers.ResizeLike) else tensors


def _own_kind(operation, rank: int) -> str | None:
    if not _of_keras(operation) or isinstance(operation, L.InputLayer | L.Lambda):
        return None
    if isinstance(operation, L.TimeDistributed):
        return _own_kind(operation.layer, rank - 1)
    if isinstance(operation, L.Softmax):
        return _softmax(operation.axis, rank)
    if isinstance(operation, L.ReLU | L.ELU | L.LeakyReLU | L.PReLU):
        return type(operation).__name__.lower()
    if isinstance(operation, _ACTIVATED):
        activation = operation.activation
        if activation is None:
            return "linear"
        own = getattr(activation, "__module__", "").startswith("keras.")
        return getattr(activation, "__name__", type(activation).__name__.lower()) if own else None
    if not isinstance(operation, L.Layer):
        return _of_operation(operation, rank)
    return "linear"


def _softmax(axis, rank: int) -> str:
    return "softmax" if axis in (-1, rank - 1, [-1], [rank - 1]) else "softmax over another axis"


# Operations of `keras.ops` that leave logits logits; a quotient of exponentials, for one, may be a softmax by hand.
_LINEAR = frozenset(
    "Add AveragePool Concatenate Conv Dot Einsum ExpandDims GetItem Matmul Mean Negative Reshape Squeeze Stack".split()
    + "Subtract Sum Tensordot Transpose".split()
)


def _of_operation(operation, rank: int) -> str | None:
    """Of `keras.ops`; its classes are not public, their names are those of the functions."""
    name = type(operation).__name__
    if name == "Softmax":
        return _softmax(getattr(operation, "axis", -1), rank)
    named = {"Sigmoid": "sigmoid", "LogSoftmax": "log_softmax", "LogSigmoid": "log_sigmoid", "Relu": "relu"}
    return named.get(name, "linear" if name in _LINEAR else None)


def _of_keras(operation) -> bool:
    """Whether the code that runs is of Keras or of this package, not a subclass's own."""
    for kind in type(operation).__mro__:
        if kind.__module__.split(".")[0] in ("keras", "kerascnn"):
            return True
        if "call" in vars(kind) or "convolution_op" in vars(kind) or "__call__" in vars(kind):
            return False
    return False


def without_activation(operation: keras.Operation) -> Callable:
    """A step for `rebuild`: what an operation gives before its activation, with the operation's own variables.

    Args:
        operation: an activation; a layer of Keras or kerascnn with an argument `activation`; a built one.

    Raises:
        InputError: the activation is inside a wrapper, is called with a mask, or the layer's weights are no attributes.
    """
    if isinstance(operation, L.TimeDistributed):
        raise InputError(f"The activation inside a wrapper cannot be taken away. Received: {called(operation)}")
    if not isinstance(operation, _ACTIVATED) or isinstance(operation, L.Activation):
        policy = {"dtype": operation.dtype_policy} if isinstance(operation, L.Layer) else {}
        linear = L.Activation("linear", name=operation.name, **policy)

        def step(x, *_, mask=None, **__):
            if mask is not None:
                raise InputError(
                    f"An activation that is taken away must see everything. Received: {called(operation)} with a mask"
                )
            return linear(x)

        return step
    copy = type(operation).from_config({**operation.get_config(), "activation": "linear"})
    # The layer's state, instead of building one of the copy's own: variables and what `build` notes beside them.
    for name, value in vars(operation).items():
        if isinstance(value, keras.Variable | bool | int | float | str) or name not in vars(copy):
            setattr(copy, name, value)
    copy.input_spec = operation.input_spec
    if {id(x) for x in copy.weights} != {id(x) for x in operation.weights}:
        raise InputError(
            f"A layer without its activation must hold its weights as attributes. Received: {called(operation)}"
        )
    return copy

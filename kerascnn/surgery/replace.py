"""One way to rebuild the graph of a `keras.Model` with some of its operations replaced; all rewriting goes through it.

What a rebuilt model keeps: the names of model and layers, dtype policies, which layers are frozen, layers that are
called more than once, models inside the model, several inputs and outputs and their structure, the auxiliary heads of
an `AuxiliaryModel`, and the class of a model whose class only adds methods. A sequential model becomes a functional
one, and so does a model whose class has a constructor of its own; a compiled one is not compiled any more.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel, DeepModel
from kerascnn.models.deep import deep_recursion
from kerascnn.surgery.graph import has_graph

# Operation of the model -> what is called in its place with the same arguments; None: the operation itself, or its copy
Change = Callable[[keras.Operation], Callable | None]


def plain(config: dict) -> dict:
    """A layer's config as it is."""
    return config


def over(
    model: keras.Model, outputs: Any, *, inputs: Any = None, name: str | None = None, heads: bool = False
) -> keras.Model:
    """A model of the same kind over tensors that exist: nothing is called again, all layers are shared.

    Args:
        model: a functional or built sequential `keras.Model`.
        outputs: Keras tensors, in any structure.
        inputs: Keras tensors; None: those of `model`, a single one not in a list.
        name: of the new model; None: that of `model`.
        heads: of an `AuxiliaryModel`: `outputs` are the list of the main one and the auxiliary ones, and the new model
            is one too; else it is a plain model.

    Returns:
        The model, uncompiled.
    """
    inputs = _single(_inputs(model)) if inputs is None else inputs
    name = name or model.name
    with deep_recursion():
        if heads:
            new = AuxiliaryModel(inputs, list(outputs), name, auxiliary_weights=model.auxiliary_weights)
        else:
            new = _class_of(model)(inputs, outputs, name=name)
    if not model.trainable:
        new._trainable = False  # the flag alone: the setter would freeze the layers, which may be shared
    return new


def free_name(model: keras.Model, name: str) -> str:
    """`name`, or `name_1`, `name_2`, ... where a layer of the model is called so: names in a model are unique."""
    taken = {operation.name for operation in model.operations}
    names = itertools.chain((name,), (f"{name}_{number}" for number in itertools.count(1)))
    return next(free for free in names if free not in taken)


def _class_of(model: keras.Model) -> type[keras.Model]:
    """The model's class, where it is made from inputs and outputs as a functional model is."""
    kind = type(model)
    if isinstance(model, keras.Sequential | AuxiliaryModel):
        return keras.Model
    for base in kind.__mro__:
        if "__init__" in vars(base):
            own = not base.__module__.startswith("keras.") and base is not DeepModel
            return keras.Model if own else kind
    return keras.Model


def _single(structure: Any) -> Any:
    """A list with one tensor wants lists for ever, and so it is taken out of it."""
    alone = isinstance(structure, list | tuple) and len(structure) == 1
    return structure[0] if alone else structure


def end_tensors(model: keras.Model) -> Any:
    """The outputs in their structure; of an `AuxiliaryModel` the main one and the auxiliary ones."""
    return list(model.training_graph.outputs) if isinstance(model, AuxiliaryModel) else _outputs(model)


def _outputs(model: keras.Model) -> Any:
    return _single(model.outputs if isinstance(model, keras.Sequential) else model.output)


def _inputs(model: keras.Model) -> Any:
    return _single(model.inputs) if isinstance(model, keras.Sequential) else model.input


def check(model: Any) -> None:
    """Refuses what has no graph.

    Raises:
        InputError: the model is not a functional or built sequential `keras.Model`.
    """
    if not has_graph(model):
        raise InputError(f"The model must be a functional or built sequential keras.Model. Received: {model!r}")


def rebuild(
    model: keras.Model,
    change: Change,
    *,
    share: bool,
    inputs: Any = None,
    config: Callable[[dict], dict] = plain,
    heads: bool = True,
    name: str | None = None,
) -> keras.Model:
    """Runs through a model's graph and calls other operations in the place of some.

    Args:
        model: a functional or built sequential `keras.Model`, which keeps its layers, weights and outputs.
        change: is asked for each operation that is no model with a graph of its own, those of models inside the model
            too; perhaps more than once.
        share: True: the new model has the same layers and so the same weights; what comes before all changes is not
            even called again. False: every layer is copied, with copies of its weights.
        inputs: Keras tensors in the structure of the model's; None: its own where layers are shared, else new ones.
        config: with `share=False` applied to each layer's config before it is copied.
        heads: False drops the auxiliary heads of an `AuxiliaryModel`, which exist in training alone.
        name: of the new model; None: that of `model`.

    Returns:
        The new model, uncompiled. With `share=True` and nothing to change it is over the same tensors.

    Raises:
        InputError: the model has no graph, or a layer cannot be copied.
    """
    check(model)
    new = _Rebuilding(change, share, config, heads).of(model, inputs)
    return over(model, end_tensors(new), inputs=_single(new.input), name=name, heads=isinstance(new, AuxiliaryModel))


class _Rebuilding:
    def __init__(self, change: Change, share: bool, config, heads: bool):
        self.change, self.share, self.config, self.heads = change, share, config, heads
        self._made: dict[int, Callable] = {}  # by the id of the operation, which may be in several of the graphs
        self._kept: list = []  # so that no id comes twice

    def of(self, model: keras.Model, inputs=None) -> keras.Model:
        heads = self.heads and isinstance(model, AuxiliaryModel)
        ends = end_tensors(model) if heads else _outputs(model)
        # Over the same layers: drops a compiled loss and optimizer, turns a sequential model into a functional one.
        with deep_recursion():
            whole = keras.Model(_inputs(model), ends, name=model.name)
            if inputs is None:
                inputs = whole.input if self.share else keras.tree.map_structure(self._input, whole.input)
            new = keras.models.clone_model(
                whole, inputs, self._step, lambda step, *args, **kwargs: step(*args, **kwargs)
            )
        return over(model, new.output, inputs=new.input, heads=heads)

    def _input(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """A new input: of the class of the old one, which may say what its pixels have gone through."""
        layer = tensor._keras_history.operation
        if isinstance(layer, keras.layers.InputLayer):
            return type(layer).from_config(self.config(layer.get_config())).output
        return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)

    def _step(self, operation: keras.Operation) -> Callable:
        if id(operation) not in self._made:
            self._kept.append(operation)
            self._made[id(operation)] = self._replacement(operation)
        return self._made[id(operation)]

    def _replacement(self, operation) -> Callable:
        if has_graph(operation):
            if self.share and not self._changes_inside(operation):
                return _shared(operation)
            return self.of(operation)
        changed = self.change(operation)
        if changed is not None:
            return changed
        return _shared(operation) if self.share else copied(operation, self.config)

    def _changes_inside(self, model: keras.Model) -> bool:
        graph = model.training_graph if isinstance(model, AuxiliaryModel) else model
        inside = graph.layers if isinstance(graph, keras.Sequential) else graph.operations
        return any(self._changes_inside(x) if has_graph(x) else self.change(x) is not None for x in inside)


def _shared(operation: keras.Operation) -> Callable:
    """Calls an operation; where it has been called with these very tensors, gives what that call gave."""

    def call(*args, **kwargs):
        given = [id(x) for x in _tensors((args, kwargs))]
        for node in operation._inbound_nodes:
            if [id(x) for x in node.input_tensors] == given and given:
                same = node.arguments.args, node.arguments.kwargs
                if _options(same) == _options((args, kwargs)):
                    return _packed(operation, node)
        return operation(*args, **kwargs)

    return call


def _tensors(structure) -> list[keras.KerasTensor]:
    return [x for x in keras.tree.flatten(structure) if isinstance(x, keras.KerasTensor)]


def _options(arguments) -> str:
    """Whatever else a call was given, to be compared: flags, sizes, constants."""
    return repr([x for x in keras.tree.flatten(arguments) if not isinstance(x, keras.KerasTensor)])


def _packed(operation, node):
    return node.outputs[0] if len(node.outputs) == 1 else list(node.outputs)


def copied(
    operation: keras.Operation,
    config: Callable[[dict], dict] = plain,
    weights: Callable[[keras.layers.Layer], Sequence] | None = None,
) -> Callable:
    """A step that calls a copy of an operation, which has its weights from the first call on.

    Args:
        operation: a layer, or an operation of `keras.ops`.
        config: changes its config.
        weights: the values for the copy; None: those of the layer itself.

    Returns:
        A function of the operation's arguments; its attribute `copy` is the new operation.

    Raises:
        InputError: Keras cannot make a copy of it.
    """
    try:
        copy = type(operation).from_config(config(operation.get_config()))
    except Exception as error:  # a layer's own code may raise anything
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"Keras cannot copy the layer {called(operation)} ({reason})") from error
    filled = not isinstance(copy, keras.layers.Layer)

    def call(*args, **kwargs):
        nonlocal filled
        outputs = copy(*args, **kwargs)
        if not filled:
            filled = True
            _fill(copy, operation.get_weights() if weights is None else weights(copy), operation)
        return outputs

    call.copy = copy
    return call


def _fill(copy, values, operation) -> None:
    try:
        copy.set_weights(values)
    except ValueError as error:
        raise InputError(
            f"The copy of a layer must have its weights: {len(values)} arrays do not fit {called(operation)}"
        ) from error
    for ours, theirs in zip(copy.weights, operation.weights, strict=False):
        if len(copy.weights) == len(operation.weights) and ours.trainable != theirs.trainable:
            ours.trainable = theirs.trainable


def called(operation: keras.Operation) -> str:
    """Name and class, for messages."""
    return f"{operation.name} ({type(operation).__name__})"

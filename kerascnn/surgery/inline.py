"""A model whose inner models are spelled out: one graph of layers, all weights shared."""

from typing import Any

import keras

from kerascnn.models.deep import deep_recursion
from kerascnn.surgery.graph import has_graph
from kerascnn.surgery.replace import check, over


def inlined(model: keras.Model) -> tuple[keras.Model, dict[str, keras.layers.Layer]]:
    """The same network without models inside the model: what they call is called in their place.

    Args:
        model: a functional or built sequential `keras.Model`. It does not change.

    Returns:
        An uncompiled model over the same layers, and so the same weights; of an `AuxiliaryModel` with nested models the
        main output alone; the model itself where nothing is nested. And its layers by their paths, "encoder/conv1" for
        the layer conv1 of the model encoder. A layer whose name another one has already stands in the new model behind
        one that carries its path, with dots, as its name.

    Raises:
        InputError: the model has no graph.

    Example:

        flat, layers = inlined(model)
        up_to(flat, layers["encoder/conv1"].name)
    """
    check(model)
    if isinstance(model, keras.Sequential):  # which has layers, and no graph of its own to look into
        model = over(model, model.outputs[0])
    if not any(map(has_graph, model.operations)):
        return model, {layer.name: layer for layer in model.layers}
    run = _Run()
    with deep_recursion():
        run.reserve(model)
        outputs = run.follow(model, {id(x): x for x in model.inputs}, "")
    structure = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return over(model, outputs[0] if len(outputs) == 1 else outputs, inputs=structure), run.layers


class _Run:
    def __init__(self):
        self.layers: dict[str, keras.layers.Layer] = {}  # by path
        self._standing: dict[int, tuple[Any, Any]] = {}  # by the id of an operation: itself and what is called for it
        self._names: dict[str, int] = {}  # the id of the operation that has it

    def reserve(self, model) -> None:
        """The layers of the outermost model keep their names."""
        for operation in model.operations:
            if not has_graph(operation):
                self._names[operation.name] = id(operation)

    def follow(self, model, values: dict[int, Any], prefix: str) -> list:
        """The outputs of a model; `values` are what its tensors are in the new graph, by their ids."""
        for node in _ordered(model.outputs, set(values)):
            given = keras.tree.map_structure(
                lambda x: values[id(x)] if isinstance(x, keras.KerasTensor) else x,
                (node.arguments.args, node.arguments.kwargs),
            )
            same = all(values[id(x)] is x for x in node.input_tensors)
            outputs = self._called(node, given, same, prefix)
            values.update((id(old), new) for old, new in zip(node.outputs, outputs, strict=True))
        return [values[id(x)] for x in model.outputs]

    def _called(self, node, given, same: bool, prefix: str) -> list:
        operation = node.operation
        path = prefix + operation.name
        if has_graph(operation):
            tensors = [x for x in keras.tree.flatten(given) if isinstance(x, keras.KerasTensor)]
            inner = {id(old): new for old, new in zip(operation.inputs, tensors, strict=False)}
            return self.follow(operation, inner, f"{path}/")
        stands = operation if same else self._standing_for(operation, path)
        if isinstance(operation, keras.layers.Layer):
            self.layers[path] = stands
        return list(node.outputs) if same else keras.tree.flatten(stands(*given[0], **given[1]))

    def _standing_for(self, operation, path: str):
        if id(operation) not in self._standing:
            free = self._names.setdefault(operation.name, id(operation)) == id(operation)
            self._standing[id(operation)] = operation, operation if free else Renamed(operation, path.replace("/", "."))
        return self._standing[id(operation)][1]


def _ordered(ends: list, known: set[int]) -> list:
    """The calls that make the tensors `ends` of the tensors `known`, each after those whose outputs it is given."""
    found, seen = [], set()
    waiting = [(x, False) for x in reversed(ends)]
    while waiting:
        tensor, made = waiting.pop()
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if made:
            found.append(node)
        elif id(tensor) not in known and id(node) not in seen:
            seen.add(id(node))
            waiting.append((tensor, True))
            waiting += [(x, False) for x in reversed(node.input_tensors)]
    return found


class Renamed(keras.layers.Layer):
    """A layer or operation under another name, for graphs in which its own is taken.

    Args:
        operation: what is called; built.
        name: the other name.
    """

    def __init__(self, operation: keras.Operation, name: str):
        super().__init__(name=name, autocast=False)
        self.operation = operation
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the operation gives."""
        return self.operation(*args, **kwargs)


def bare(operation: keras.Operation) -> keras.Operation:
    """An operation itself, where it stands behind another name."""
    return operation.operation if isinstance(operation, Renamed) else operation

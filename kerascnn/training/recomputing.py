"""Activation recomputation: less memory for one more forward pass."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.models.deep import deep_recursion
from kerascnn.surgery.graph import has_graph

_BUDGETS = 40  # sizes of a segment that are tried
_MOST = (1, 2, 3)  # tensors that may cross a cut: 1 in a chain of blocks, 2 in searched cells, which see two maps


@dataclasses.dataclass(frozen=True)
class Saving:
    """What `recompute` did; bytes are those of all outputs of layers for one image, as far as their sizes are known."""

    segments: int  # whose activations are computed twice: all but the last one
    before: int  # bytes that are kept without it
    after: int  # bytes that are kept at most: the cuts, and one segment

    @property
    def text(self) -> str:
        """A line for people."""
        before, after = (f"{size / 1e6:,.1f} MB" for size in (self.before, self.after))
        twice = f"{self.segments} parts of the network are computed twice"
        return f"{twice}: outputs of layers take {after} an image, not {before}"


def recompute(model: keras.Model) -> Saving:
    """Makes a model compute its activations anew in the backward pass instead of keeping them.

    The graph is cut into segments. In training the forward pass keeps what crosses a cut, and in the backward pass each
    segment runs once more, with the same weights and the same random numbers, so that outputs, gradients and masks of
    dropout are those of the plain model; statistics of batch norms move once. The last segment is kept. The cuts are
    those by which the bytes of cuts and of the largest segment are least: about the root of the number of layers.

    Keras' own `RematScope` cannot be traced for functional models, and run eagerly it computes each layer by itself
    anew, whose inputs are then still kept, and moves the statistics of batch norms twice; a test shows it.

    Args:
        model: functional or built sequential; the same object is changed, for training alone, and its files stay as
            they are. Call it before `fit`, or before `make_train_function(force=True)`.

    Returns:
        What it saves, as far as shapes tell.

    Raises:
        InputError: the model has no graph, no place where few tensors cross, or a layer with a regularizer of its
            activity; or it has been done already.

    Source:
        Chen, Xu, Zhang, Guestrin: Training Deep Nets with Sublinear Memory Cost, 2016, arXiv:1604.06174, algorithms 2
        and 3.

    Example:

        model = kerascnn.create_model("densenet121", classes=10)
        saving = kerascnn.training.recompute(model)
        saving.after < saving.before / 3
        model.compile("sgd", "sparse_categorical_crossentropy")
    """
    if not has_graph(model):
        raise InputError(f"The model must be a functional or built sequential keras.Model. Received: {model!r}")
    graph = model.training_graph if isinstance(model, AuxiliaryModel) else model
    if "call" in vars(graph):
        raise InputError(f"The model must not be one that recomputes already. Received: {model.name}")
    for layer in graph._flatten_layers():
        if getattr(layer, "activity_regularizer", None) is not None:
            raise InputError(f"Recomputation is for layers without activity_regularizer. Received: {layer.name}")
    nodes = _nodes(graph)
    cuts, saving = _plan(graph, nodes)
    with deep_recursion():
        segments = _segments(graph, nodes, cuts)
    plain = graph.call

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not training:
            return plain(inputs, training=training, mask=mask)
        tensors = dict(zip(map(id, graph.inputs), keras.tree.flatten(inputs), strict=True))
        for segment in segments:
            given = [tensors[id(x)] for x in segment.inputs]
            made = segment.again(given) if segment is not segments[-1] else segment.once(given)
            tensors |= zip(map(id, segment.outputs), made, strict=True)
        found = [tensors[id(x)] for x in graph.outputs]
        return keras.tree.pack_sequence_as(graph.output, found) if len(found) > 1 else found[0]

    graph.call = call
    return saving


def _nodes(graph) -> list:
    """The graph's calls, each after those whose outputs it takes."""
    found, known = [], set()
    waiting = [(_node(x), False) for x in reversed(graph.outputs)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            found.append(node)
        elif id(node) not in known and not node.is_input:
            known.add(id(node))
            waiting.append((node, True))
            waiting += [(_node(x), False) for x in reversed(node.input_tensors)]
    return found


def _node(tensor: keras.KerasTensor):
    made = tensor._keras_history
    return made.operation._inbound_nodes[made.node_index]


def _bytes(tensor: keras.KerasTensor) -> int:
    """Of one image; a size that is not known counts as 1."""
    kind = tf.as_dtype(keras.backend.standardize_dtype(tensor.dtype))
    return kind.size * math.prod(size or 1 for size in tensor.shape[1:])


def _live(graph, nodes) -> list[list[keras.KerasTensor]]:
    """After each call the tensors that later ones take; the model's outputs and inputs are kept anyway."""
    last = {id(x): index for index, node in enumerate(nodes) for x in node.input_tensors}
    kept = {id(x) for x in (*graph.inputs, *graph.outputs)}
    alive: dict[int, keras.KerasTensor] = {}
    found = []
    for index, node in enumerate(nodes):
        alive |= {id(x): x for x in node.outputs if id(x) in last and id(x) not in kept}
        alive = {key: x for key, x in alive.items() if last[key] > index}
        found.append(list(alive.values()))
    return found


def _plan(graph, nodes) -> tuple[list[int], Saving]:
    """The calls after which to cut: algorithm 3 of Chen et al. for many budgets, of which the best is taken."""
    costs = [sum(map(_bytes, node.outputs)) for node in nodes]
    live = _live(graph, nodes)
    crossing = [sum(map(_bytes, tensors)) for tensors in live]
    total = sum(costs)
    best: tuple[int, list[int]] = (total, [])
    ratio = (total / max(costs)) ** (1 / _BUDGETS)
    for most in _MOST:
        for step in range(_BUDGETS):
            budget, cuts, inside, largest = max(costs) * ratio**step, [], 0, 0
            for index, cost in enumerate(costs[:-1]):
                inside += cost
                if inside >= budget and 0 < len(live[index]) <= most:
                    cuts.append(index)
                    largest, inside = max(largest, inside), 0
            peak = sum(crossing[cut] for cut in cuts) + max(largest, inside + costs[-1])
            if cuts and peak < best[0]:
                best = (peak, cuts)
    if not best[1]:
        raise InputError(
            f"Recomputation is for models with places where at most {_MOST[-1]} tensors cross. Received: {graph.name}"
        )
    return best[1], Saving(len(best[1]), total, best[0])


@dataclasses.dataclass(frozen=True, eq=False)
class _Segment:
    """A part of the graph between two cuts: the tensors that go in and come out, and the same as a model."""

    inputs: Sequence[keras.KerasTensor]
    outputs: Sequence[keras.KerasTensor]
    model: keras.Model

    def once(self, given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The outputs as the plain model computes them."""
        # `call`, not the model itself, which would insist on the size of images that its graph names.
        return keras.tree.flatten(self.model.call(list(given), training=True))

    def again(self, given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The outputs, of which the gradient computes all that is inside anew."""
        weights, state = self.model.trainable_variables, self.model.non_trainable_variables
        # Not `value`: in mixed precision that would be cast to 16 bits here, where the layers cast it themselves.
        values = [tf.convert_to_tensor(x._value) for x in (*weights, *state)]
        trained, count = values[: len(weights)], len(self.outputs)
        before = values[len(weights) :]  # of the state: moving statistics and what random layers draw from

        def forward(given, trained):
            outputs, after = self.model.stateless_call(trained, before, given, training=True)
            return keras.tree.flatten(outputs), after

        @tf.custom_gradient
        def computed(*tensors):
            outputs, after = forward(list(tensors[: len(given)]), list(tensors[len(given) :]))

            def gradient(*upstream):
                # Only when the gradients have come: else TensorFlow would compute it early and keep it, or find that it
                # has been computed before.
                with tf.control_dependencies(upstream[:count]):
                    anew = [tf.identity(x) for x in tensors]
                with tf.GradientTape() as tape:
                    tape.watch(anew)
                    outputs, _ = forward(anew[: len(given)], anew[len(given) :])
                return tape.gradient(outputs, anew, upstream[:count], tf.UnconnectedGradients.ZERO)

            return [*outputs, *after], gradient

        made = computed(*given, *trained)
        for variable, value in zip(state, made[count:], strict=True):
            variable.assign(value)
        return list(made[:count])


def _segments(graph, nodes, cuts: Sequence[int]) -> list[_Segment]:
    found = []
    ends = {id(x) for x in graph.outputs}
    for first, last in zip([0, *(cut + 1 for cut in cuts)], [*(cut + 1 for cut in cuts), len(nodes)], strict=True):
        own = nodes[first:last]
        made = {id(x): x for node in own for x in node.outputs}
        taken = {id(x): x for node in own for x in node.input_tensors if id(x) not in made}
        later = {id(x) for node in nodes[last:] for x in node.input_tensors} | ends
        inputs, outputs = list(taken.values()), [x for key, x in made.items() if key in later]
        found.append(_Segment(inputs, outputs, keras.Model(inputs, outputs, name=f"segment{len(found)}")))
    return found

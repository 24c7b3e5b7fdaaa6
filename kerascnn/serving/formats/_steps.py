"""What is done to a network's graph before it is written: steps that leave its answers as they are, each compared.

1. Layers that hand through what they are given at inference are left out: dropout, drop-path, noise.
2. SAF-pooling becomes max-pooling, which it is at inference: it drops pooled values in training alone.
3. What no way leads from to the output is left out: auxiliary heads, and what only layers of step 1 had read.
4. Batch norm goes into the layer before it, `surgery.fold_batch_norm`.

A layer that is called with `training=True` in the graph is random at inference too, and stays as it is.

Source: of SAF-pooling: Hasanpour et al. 2018, arXiv:1802.06205: max-pooling before dropout.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _records, layers
from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.surgery import folding
from kerascnn.surgery.graph import has_graph, walk
from kerascnn.surgery.replace import copied, over, rebuild

FILE = Path("assets.extra") / "graph.json"
L = keras.layers
# Exactly these classes: a subclass may do more.
_HANDING_THROUGH = (
    L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D, L.AlphaDropout, L.GaussianDropout,
    L.GaussianNoise, L.ActivityRegularization, L.Identity, layers.DropPath, layers.ScheduledDropPath,
)  # fmt: skip


def simplified(model: keras.Model, input_shape: Sequence[int]) -> tuple[keras.Model, list[dict[str, Any]]]:
    """A float32 copy for inference, and what was done to make it.

    Args:
        model: functional or built sequential, with one input.
        input_shape: (height, width, channels) of the image on which answers are compared.

    Returns:
        The copy, uncompiled; and a record for each step that changed something: "step", "layers" (how many), and
        "largest_difference" of the answers for one image of noise from those before all steps.

    Raises:
        InputError: a layer cannot be copied, or a step gives other answers.
    """
    before, through = _count(model), 0
    network = folding.float32_copy(over(model, model.outputs[0]))
    random, asked, steps = _called_in_training(network), _Asked(network, input_shape), []
    for text, change in (
        ("layers that do nothing at inference left out", _handed_through),
        ("SAF-poolings become max-poolings", _max_pooling),
    ):
        count = sum(change(x) is not None for x in _operations(network) if id(x) not in random)
        through += count if change is _handed_through else 0
        if count:
            network, random = _changed(network, change, random)
            steps.append(asked.step(text, count, network))
    dead = before - through - _count(network)
    if dead > 0:
        steps.append(asked.step("layers that do not lead to the output left out", dead, network))
    network, folded = folding.fold_batch_norm(network)
    if folded:
        steps.append(asked.step("batch norms folded", folded, network))
    return network, steps


def write(folder: Path, steps: list[dict[str, Any]]) -> None:
    """Keeps the record of `simplified` in the folder of a version."""
    (folder / FILE).parent.mkdir(exist_ok=True)
    _records.write(folder / FILE, {"steps": steps})


def read(folder: Path) -> list[dict[str, Any]] | None:
    """What `write` kept; None where there is none, as of an export with native ops.

    Raises:
        InputError: it is damaged.
    """
    return _records.read(folder / FILE, FILE.name).get("steps") if (folder / FILE).is_file() else None


class _Asked:
    """Compares networks with the first one, on one image."""

    def __init__(self, network: keras.Model, input_shape: Sequence[int]):
        self._images = np.random.default_rng(0).normal(size=(1, *input_shape)).astype(np.float32)
        self._expected = self._answers(network)

    def _answers(self, network) -> np.ndarray:
        with tf.device("CPU:0"):  # a GPU may compute in TF32
            return np.asarray(network(self._images, training=False), np.float32)

    def step(self, text: str, count: int, network: keras.Model) -> dict[str, Any]:
        """The record of a step that led to a network."""
        difference = np.abs(self._answers(network) - self._expected)
        largest = np.abs(self._expected).max(initial=1.0)
        # What is not finite is refused later, in words of its own.
        if np.isfinite(self._expected).all() and not np.all(difference <= 1e-5 * largest + 1e-4 * abs(self._expected)):
            raise InputError(
                f"The answers of a network must stay when {text}, but they differ by {difference.max():.1e}. "
                f"Received: {network.name}"
            )
        return {"step": text, "layers": count, "largest_difference": float(difference.max(initial=0.0))}


def _operations(model: keras.Model) -> Iterator[keras.Operation]:
    """Layers and operations of a graph, of models inside it and of auxiliary heads too, each once; without inputs."""
    graph = model.training_graph if isinstance(model, AuxiliaryModel) else model
    for operation in graph.layers if isinstance(graph, keras.Sequential) else graph.operations:
        if has_graph(operation):
            yield from _operations(operation)
        elif not isinstance(operation, L.InputLayer):
            yield operation


def _count(model: keras.Model) -> int:
    return sum(1 for _ in _operations(model))


def _called_in_training(network: keras.Model) -> set[int]:
    """The ids of layers that are called with training=True, whatever the network is called with."""
    return {id(call.operation) for call in walk(network).calls if call.arguments.get("training")}


def _changed(network: keras.Model, change: Callable, kept: set[int]) -> tuple[keras.Model, set[int]]:
    """A copy with some layers changed, and the ids of the kept ones' copies."""
    copies = {}

    def replace(operation):
        if id(operation) not in kept:
            return change(operation)
        copies[id(operation)] = copy = copied(operation)
        return copy

    new = rebuild(network, replace, share=False)
    return new, {id(copy.copy) for copy in copies.values()}


def _handed_through(operation: keras.Operation) -> Callable | None:
    if type(operation) not in _HANDING_THROUGH:
        return None
    if isinstance(operation, layers.ScheduledDropPath):
        return lambda inputs, **_: inputs[0]
    if isinstance(operation, layers.DropPath) and operation.rate and operation.scale_at == "inference":
        return None
    return lambda x, *_, **__: x


def _max_pooling(operation: keras.Operation) -> Callable | None:
    if type(operation) is not layers.SAFPooling2D:
        return None
    size, strides = operation.pool_size, operation.strides
    if size is None:  # the whole image, where its size is known
        sizes = {tuple(x.shape[1:3]) for node in operation._inbound_nodes for x in node.input_tensors}
        size = strides = sizes.pop()
        if sizes or None in size:
            return None
    pool = layers.MaxPooling2D(size, strides, operation.padding, name=operation.name, dtype="float32")
    return lambda x, **_: pool(x)

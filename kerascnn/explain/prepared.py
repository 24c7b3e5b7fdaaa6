"""The network that is asked in a model's place: made once a model, and what it computes compiled where that pays."""

import weakref
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.explain.absorbing import absorbing
from kerascnn.models import AuxiliaryModel
from kerascnn.surgery.cut import logits_of
from kerascnn.surgery.folding import float32_copy
from kerascnn.surgery.inline import inlined
from kerascnn.surgery.replace import check, over

_EAGER = 2  # calls before a function is traced: tracing takes the time of several, which a single question lacks
_HALVES = ("float16", "bfloat16")


class Prepared:
    """A network that shares a model's weights, what is derived from it, and what is compiled of both.

    Args:
        network: images [n, height, width, channels] -> scores [n, classes], before any softmax; without inner models.
        layers: of `network`, by path: "encoder/conv1".
    """

    def __init__(self, network: keras.Model, layers: Mapping[str, keras.layers.Layer]):
        self.network, self.layers = network, layers
        self._derived: dict[Hashable, Any] = {}
        self._calls: Counter[Hashable] = Counter()
        self._compiled: dict[Hashable, Callable] = {}

    @property
    def folded(self) -> keras.Model:
        """`network` for inference and for derivatives with respect to images: without passes over maps for batch norms.

        One image is also where TensorFlow's graph optimizer, which joins convolutions with their norms, makes oneDNN
        take many times as long (TensorFlow 2.21); a bias it joins well.
        """
        return self.once("folded", lambda: absorbing(self.network))

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives, made at the first call with this key."""
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    def run(self, function: Callable, network: keras.Model, images: np.ndarray, target: Any) -> tuple[np.ndarray, ...]:
        """`function(network, images, target)`, compiled from the third time on that images of a size come to it.

        Args:
            function: of TensorFlow ops, defined in a module: it stands for what was compiled; gives a tuple of tensors.
            network: `self.network`, or one that is kept as it is: `folded`, or what `once` has made.
            images: float32 [n, height, width, channels].
            target: classes, int64 [n]; or a function of the outputs, which is anyone's and never compiled.

        Returns:
            What it gives, as arrays.
        """
        given = tf.constant(images, tf.float32)
        if callable(target):
            return tuple(x.numpy() for x in function(network, given, target))
        key = (function, id(network), given.shape[1:])
        self._calls[key] += 1
        if self._calls[key] > _EAGER and key not in self._compiled:
            signature = [tf.TensorSpec((None, *given.shape[1:]), tf.float32), tf.TensorSpec((None,), tf.int64)]
            self._compiled[key] = tf.function(
                lambda images, target: function(network, images, target), input_signature=signature, autograph=False
            )
        call = self._compiled.get(key) or (lambda images, target: function(network, images, target))
        return tuple(x.numpy() for x in call(given, tf.constant(target, tf.int64)))


_known: "weakref.WeakKeyDictionary[keras.Model, tuple[list[Any], Prepared]]" = weakref.WeakKeyDictionary()


def prepared(model: keras.Model) -> Prepared:
    """The network that is asked in a model's place; the model is left as it is.

    It is kept as long as the model is, and made anew where layers were added or weights replaced by others (an adapter,
    quantization); new values of the same weights are seen. A layer whose attributes are changed is seen as Keras'
    `predict` sees it: by what has been compiled, not at all. Networks of half precision are copied to float32 each
    time.

    Raises:
        InputError: the model has no graph, more than one input or output, or what it gives cannot be told.
    """
    network = _known_or_new(model)
    if isinstance(network, Prepared):
        return network
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise InputError(
            "The model must have one input and one output, [n, classes]. "
            f"Received: inputs {[x.shape for x in network.inputs]}, outputs {[x.shape for x in network.outputs]}"
        )
    halves = any(layer.compute_dtype in _HALVES for layer in network._flatten_layers())
    if halves:
        network = float32_copy(network)
    if isinstance(network, AuxiliaryModel):
        network = over(network, network.outputs[0], name=f"{network.name}_main")
    network, layers = inlined(network)
    if network is model:  # which must not be held by what is kept for it
        network = over(model, model.outputs[0])
    found = Prepared(network, layers)
    if not halves:
        _known[model] = _state(model), found
    return found


def _known_or_new(model: keras.Model) -> Prepared | keras.Model:
    """What is kept for the model, or its logits."""
    check(model)
    if model in _known:
        state, found = _known[model]
        now = _state(model)
        if len(now) == len(state) and all(a is b for a, b in zip(now, state, strict=True)):
            return found
    return logits_of(model)


def _state(model: keras.Model) -> list[Any]:
    """Objects that are others where a model computes something else."""
    return [*model.outputs, *model.variables]

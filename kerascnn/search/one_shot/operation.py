"""A piece of a network as a function of its weights: built once, computed with the weights of any place."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn.cells.operations import Value

_NAME = "x"  # of the value that is read; the layers' names begin with it

Build = Callable[[Value], Any]  # the value that is read -> Keras tensor


class Operation:
    """What a function of `kerascnn.cells` builds, with its weights as an argument.

    All places of a supernet that do the same to maps of the same shape share one: it is built and traced once. Batch
    norm normalizes by the batch, always.

    Args:
        build: takes a `kerascnn.cells.Value`; gives a Keras tensor, in layers whose names begin with the value's.
        shape: (height, width, channels) of what is read.
    """

    def __init__(self, build: Build, shape: Sequence[int]):
        image = keras.Input(tuple(shape), name="image")
        self._model = keras.Model(image, build(Value(image, 0, _NAME)))
        self._fixed = [variable.value for variable in self._model.non_trainable_variables]
        self._sources = [
            (layer, next(variable for variable in layer.trainable_variables if variable is weight))
            for weight in self._model.trainable_variables
            for layer in self._model.layers
            if any(variable is weight for variable in layer.trainable_variables)
        ]
        self.places = [(layer.name.removeprefix(_NAME), weight.name) for layer, weight in self._sources]
        self.shapes = [tuple(weight.shape) for _, weight in self._sources]
        self.output_shape = tuple(self._model.output_shape[1:])
        signature = [tf.TensorSpec([None, *shape]), [tf.TensorSpec(shape) for shape in self.shapes]]
        self._function = tf.function(self._compute, input_signature=signature, autograph=False)
        self._traced: Any = None

    def _compute(self, x, weights):
        return self._model.stateless_call(weights, self._fixed, x, training=True)[0]

    def __call__(self, x: tf.Tensor, weights: Sequence[Any]) -> tf.Tensor:
        """Computes it.

        Args:
            x: float32 [batch, height, width, channels].
            weights: tensors or variables of the shapes `shapes`.

        Returns:
            float32 [batch, ...].
        """
        if not self._sources and len(self._model.layers) == 1:  # the identity
            return x
        if self._traced is None:
            with tf.init_scope():
                self._traced = self._function.get_concrete_function()
        return self._traced(x, [tf.convert_to_tensor(weight) for weight in weights])

    def initial(self, rng: np.random.Generator) -> list[np.ndarray]:
        """First values of the weights, drawn as its layers draw them.

        Args:
            rng: draws.

        Returns:
            Arrays of the shapes `shapes`.
        """
        values = []
        for layer, weight in self._sources:
            initializer = _initializer(layer, weight.name)
            if initializer is None:
                values.append(keras.ops.convert_to_numpy(weight))
                continue
            seeded = {**initializer.get_config(), "seed": int(rng.integers(2**31))}
            values.append(keras.ops.convert_to_numpy(type(initializer).from_config(seeded)(tuple(weight.shape))))
        return values


def _initializer(layer, name: str):
    """That of a kernel; None for factors and shifts, whose first values are no matter of chance."""
    if "kernel" not in name:
        return None
    found = getattr(layer, "depthwise_initializer", None) or layer.kernel_initializer
    return found if "seed" in found.get_config() else None

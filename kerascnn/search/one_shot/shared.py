"""What supernets of cells and of layers have in common: weights by place, and the networks that are cut out of them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn.search.one_shot.operation import Build, Operation

Weights = Mapping[str, Sequence[Any]]  # by place: tensors or variables


class Visit(NamedTuple):
    """What was computed at a place."""

    place: str
    path: str  # how the names of the same layers begin in a network by itself
    operation: Operation
    weights: list[tf.Tensor]  # those that were used; of kernels perhaps some rows


class SharedWeights(keras.Model):
    """A model whose weights belong to places, and of whose places each input goes through some only.

    Batch norm normalizes by the batch, in training and at inference: averages over different architectures would be
    those of none.

    Args:
        seed: of the first values of the weights.
        name: of the model.
    """

    def __init__(self, seed: int, name: str):
        super().__init__(name=name)
        self._rng = np.random.default_rng(_check.whole("seed", seed, 0))
        self._made: dict[Any, Operation] = {}
        self._at: dict[str, list[Any]] = {}
        self._choice: Any = None

    image_shape: tuple[int, int, int]

    def _operation(self, kind: str, shape: Sequence[int], filters: int = 0, stride: int = 1) -> Operation:
        """The one operation of its kind for such maps."""
        key = (kind, tuple(shape), filters, stride)
        if key not in self._made:
            self._made[key] = Operation(self._build(kind, filters, stride), shape)
        return self._made[key]

    def _build(self, kind: str, filters: int, stride: int) -> Build:
        raise NotImplementedError

    def _compute(self, images, choice, weights: Weights, visits: list[Visit] | None) -> Any:
        raise NotImplementedError

    def _stand_alone(self, choice) -> keras.Model:
        raise NotImplementedError

    def _add(self, place: str, operation: Operation) -> Sequence[int]:
        """Gives a place its weights; what comes out of it has this shape."""
        self._at[place] = [
            self.add_weight(shape=shape, initializer=keras.initializers.Constant(value), name=f"{place}{suffix}_{name}")
            for shape, value, (suffix, name) in zip(
                operation.shapes, operation.initial(self._rng), operation.places, strict=True
            )
        ]
        return operation.output_shape

    def _at_place(self, x, place, operation, weights: Weights, visits, *, path=None, rows=None):
        """Computes a place; `rows`: the input channels that there are, as places in the whole kernel."""
        used = list(weights[place])
        if rows is not None:
            used = [
                tf.gather(weight, rows, axis=-2) if name == "kernel" else tf.convert_to_tensor(weight)
                for weight, (_, name) in zip(used, operation.places, strict=True)
            ]
        return self._with(x, place, operation, used, visits, path=path)

    def _with(self, x, place, operation, used, visits, *, path=None):
        """Computes an operation with given weights, and notes that."""
        if visits is not None:
            visits.append(Visit(place, path or place, operation, used))
        return operation(x, used)

    @functools.cached_property
    def _own(self) -> Weights:
        return self.packed(self.weights_of())

    @property
    def places(self) -> list[str]:
        """Names of all places that have weights."""
        return [place for place, weights in self._at.items() if weights]

    def weights_of(self, places: Sequence[str] | None = None) -> list[tf.Variable]:
        """Variables of some places.

        Args:
            places: some of `places`; None: all.

        Returns:
            One after the other; `packed` goes the other way for those of all.
        """
        chosen = self._at if places is None else places
        return [weight.value for place in chosen for weight in self._at[place]]

    def packed(self, tensors: Sequence[Any]) -> dict[str, list[Any]]:
        """Tensors by place.

        Args:
            tensors: as many as `weights_of()` gives, of the same shapes, in that order.

        Returns:
            What `logits` takes for weights.
        """
        rest, found = iter(tensors), {}
        for place, weights in self._at.items():
            found[place] = [next(rest) for _ in weights]
        return found

    def activate(self, choice: Any) -> None:
        """Chooses what the model computes when it is called.

        Args:
            choice: an architecture, as `logits` takes it.
        """
        self._choice = choice

    def call(self, inputs: Any) -> Any:
        """Images [batch, height, width, channels] to logits [batch, classes] of what was activated."""
        if self._choice is None:
            raise _check.refuse("The architecture", "activated before the supernet is called", None)
        return self.logits(inputs, self._choice)

    def logits(
        self, images: Any, choice: Any, weights: Weights | None = None, visits: list[Visit] | None = None
    ) -> tf.Tensor:
        """Computes an architecture.

        Args:
            images: float32 [batch, height, width, channels].
            choice: the architecture.
            weights: by place, instead of the supernet's own; gradients reach them.
            visits: is given what was computed.

        Returns:
            float32 [batch, classes].

        Raises:
            InputError: the supernet has no such architecture.
        """
        return self._compute(tf.convert_to_tensor(images), choice, self._own if weights is None else weights, visits)

    def cut(self, choice: Any) -> keras.Model:
        """The network of an architecture by itself, with the shared weights.

        Args:
            choice: an architecture whose operations are drawn, not mixed.

        Returns:
            A functional model that gives logits. Called with `training=True` it gives those of the supernet; its moving
            averages are those of a new network.

        Raises:
            InputError: the supernet has no such architecture.
        """
        network = self._stand_alone(choice)
        for visit in self._visits(choice):
            for (suffix, name), value in zip(visit.operation.places, visit.weights, strict=True):
                layer = network.get_layer(f"{visit.path}{suffix}")
                next(weight for weight in layer.trainable_variables if weight.name == name).assign(value)
        return network

    def parameters(self, choice: Any) -> int:
        """How many weights an architecture has.

        Args:
            choice: the architecture.

        Returns:
            Those of `cut` that are learned.

        Raises:
            InputError: the supernet has no such architecture.
        """
        return sum(int(np.prod(weight.shape)) for visit in self._visits(choice) for weight in visit.weights)

    def _visits(self, choice) -> list[Visit]:
        visits: list[Visit] = []
        self.logits(np.zeros([2, *self.image_shape], "float32"), choice, visits=visits)
        return visits

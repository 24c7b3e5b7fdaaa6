"""Optimizers whose rate differs between the parts of a network, and for those that join the training later.

A rate that falls from the head to the input (discriminative fine-tuning: Howard, Ruder 2018, arXiv:1801.06146, section
3.2; layer-wise decay: Bao et al. 2021, arXiv:2106.08254) changes general features less than special ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerascnn import _check, surgery
from kerascnn._errors import InputError
from kerascnn.surgery.parts import path_of


class _ByVariable(keras.optimizers.Optimizer):
    """Before a Keras optimizer: a factor of the rate for each variable, and the step from which it is trained.

    The factor counts for weight decay too, which is decoupled: as with groups of parameters in PyTorch. Steps are
    counted for each variable from its own first one, so that Adam corrects the bias of averages that are still empty.
    """

    def __init__(self, *args: Any, factors: Mapping[str, float], starts: Mapping[str, int], **options: Any):
        super().__init__(*args, **options)
        self._factors, self._starts = tuple(factors.items()), tuple(starts.items())
        self._start, self._decay = 0, self.weight_decay
        self._rates: tuple[float, ...] = ()
        self._firsts: tuple[int, ...] = ()

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """See `keras.optimizers.Optimizer.build`; every variable must have a factor."""
        factors, starts = dict(self._factors), dict(self._starts)
        paths = [_known(variable.path, factors) for variable in variables]
        super().build(variables)
        self._rates = tuple(factors[path] for path in paths)
        self._firsts = tuple(starts.get(path, 0) for path in paths)

    @property
    def iterations(self):
        return super().iterations - self._start if self._start else super().iterations

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        self._start = self._firsts[index]
        try:
            super().update_step(gradient, variable, learning_rate * self._rates[index])
        finally:
            self._start = 0

    def _apply_weight_decay(self, variables):
        if self._decay is None:
            return
        groups: dict[float, list[keras.Variable]] = {}
        for variable in variables:
            groups.setdefault(self._rates[self._get_variable_index(variable)], []).append(variable)
        # The devices of a strategy come here by turns, and change at each call below: nothing is read that is set here.
        for factor, group in groups.items():
            self.weight_decay = self._decay * factor
            super()._apply_weight_decay(group)
        self.weight_decay = self._decay

    def get_config(self):
        return {**super().get_config(), "factors": dict(self._factors), "starts": dict(self._starts)}


@keras.saving.register_keras_serializable(package="kerascnn")
class SGD(_ByVariable, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with `factors` and `starts`: path of a variable -> factor of its rate, its first step."""


@keras.saving.register_keras_serializable(package="kerascnn")
class RMSprop(_ByVariable, keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop` with `factors` and `starts`: path of a variable -> factor of its rate, first step."""


@keras.saving.register_keras_serializable(package="kerascnn")
class Adam(_ByVariable, keras.optimizers.Adam):
    """`keras.optimizers.Adam` with `factors` and `starts`: path of a variable -> factor of its rate, its first step."""


_KINDS = {keras.optimizers.SGD: SGD, keras.optimizers.RMSprop: RMSprop, keras.optimizers.Adam: Adam}


def by_variable(
    optimizer: keras.optimizers.Optimizer, factors: Mapping[str, float], starts: Mapping[str, int]
) -> keras.optimizers.Optimizer:
    """The same optimizer with factors.

    Args:
        optimizer: Keras' SGD, RMSprop or Adam, not built.
        factors: path of each variable -> what its rate and its weight decay are multiplied by.
        starts: path of a variable -> the step from which it is trained; not needed where that is 0.

    Returns:
        An optimizer that is not built.

    Raises:
        InputError: another optimizer.
    """
    kind = _KINDS.get(type(optimizer))
    if kind is None:
        names = ", ".join(known.__name__ for known in _KINDS)
        raise InputError(f"The optimizer must be one of Keras' {names}. Received: {type(optimizer).__name__}")
    return kind.from_config({**optimizer.get_config(), "factors": dict(factors), "starts": dict(starts)})


def by_depth(model: keras.Model, decay: float) -> dict[str, float]:
    """Factors that fall from the head to the input.

    Args:
        model: a functional or built sequential `keras.Model`.
        decay: the factor of a part is this times that of the part after it; see `surgery.parts`.

    Returns:
        Path of each weight -> decay^depth: the head is at depth 0, the part before it at 1.

    Raises:
        InputError: weights of two parts have the same path, or `decay` is not in (0, 1].

    Example:

        by_depth(kerascnn.create_model("resnet18"), 0.5)["stage4_block1_conv1/kernel"]  # 0.5
    """
    decay = _check.real("decay", decay, 0.0, 1.0, above=True)
    factors: dict[str, float] = {}
    for depth, part in enumerate(reversed(surgery.parts(model))):
        for path in (path_of(layer, weight) for layer in part.layers for weight in layer.weights):
            if factors.setdefault(path, decay**depth) != decay**depth:
                raise InputError(f"Weights must have paths of their own. Received: {path} twice")
    return factors


def _known(path: str, factors: Mapping[str, float]) -> str:
    """The path under which a variable is known: the name of its model may stand before it."""
    names = path.split("/")
    for first in range(len(names)):
        found = "/".join(names[first:])
        if found in factors:
            return found
    raise InputError(f"The optimizer must know the rate of every variable. Received: {path}")

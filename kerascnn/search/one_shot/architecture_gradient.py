"""The gradient of DARTS: of the validation loss with respect to the architecture, through a step of the weights.

Liu, Simonyan, Yang: DARTS: Differentiable Architecture Search, 2018, arXiv:1806.09055, section 2.3.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kerascnn import _check

ORDERS = ("first", "second", "exact")

Loss = Callable[[list[Any], list[Any]], Any]  # (weights, alphas) -> scalar
_ZERO = tf.UnconnectedGradients.ZERO


@dataclasses.dataclass(frozen=True)
class Inner:
    """The step that the architecture looks through: w' = w - rate (momentum buffer + gradient + decay w).

    Args:
        rate: of the step, the xi of the paper.
        momentum: how much of the buffers is kept.
        buffers: of the weights, as PyTorch's momentum has them; empty: all zero.
        decay: L2 of the weights.
    """

    rate: Any
    momentum: float = 0.0
    buffers: Sequence[Any] = ()
    decay: float = 0.0

    def step(self, weights: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        """The weights after the step.

        Args:
            weights: before it.
            gradients: of the training loss.

        Returns:
            New tensors.
        """
        kept = [self.momentum * buffer for buffer in self.buffers] or [0.0] * len(weights)
        moves = (k + g + self.decay * w for w, g, k in zip(weights, gradients, kept, strict=True))
        return [w - tf.cast(self.rate, w.dtype) * move for w, move in zip(weights, moves, strict=True)]


def architecture_gradient(
    train: Loss,
    validation: Loss,
    weights: Sequence[Any],
    alphas: Sequence[Any],
    inner: Inner,
    *,
    order: str = "first",
    radius: float = 0.01,
) -> tuple[list[Any], Any]:
    """The gradient of the validation loss with respect to the architecture.

    With d = the gradient of the validation loss at w', the second order is, for R = radius / |d|,

        validation'(w', alpha) - rate (train'(w + R d, alpha) - train'(w - R d, alpha)) / (2 R),

    where ' are gradients with respect to alpha: a central difference for a product with a matrix of second
    derivatives, right but for terms of R^2. Where d is zero, so is the product.

    Args:
        train: the training loss of weights and architecture.
        validation: the validation loss of them.
        weights: tensors or variables.
        alphas: tensors or variables.
        inner: the step of the weights.
        order: "first": as if the step's rate were zero; "second": by differences; "exact": through the gradient of the
            training loss, which must have second derivatives; much dearer.
        radius: of the differences.

    Returns:
        Gradients of the shapes of the alphas, and the validation loss where they were taken.

    Raises:
        InputError: another order, or a radius that is not positive.

    Source:
        Liu, Simonyan, Yang, 2018, arXiv:1806.09055, equations 5 to 8.

    Example:

        import tensorflow as tf
        from kerascnn.search.one_shot import Inner, architecture_gradient

        train = lambda w, a: (w[0] - a[0]) ** 2
        validation = lambda w, a: a[0] * w[0] - 2 * a[0] + 1
        two = [tf.constant(2.0)]
        (gradient,), loss = architecture_gradient(train, validation, two, two, Inner(0.5), order="second")
        gradient  # 2 - 2 + 2 * 0.5 * 2 = 2
    """
    _check.one_of("order", order, ORDERS)
    _check.real("radius", radius, 0.0, above=True)
    weights, alphas = ([tf.convert_to_tensor(value) for value in values] for values in (weights, alphas))
    if order == "first":
        return _gradient(lambda: validation(weights, alphas), alphas)
    if order == "exact":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(alphas)
            gradients, _ = _gradient(lambda: train(weights, alphas), weights)
            loss = validation(inner.step(weights, gradients), alphas)
        return tape.gradient(loss, alphas, unconnected_gradients=_ZERO), loss
    gradients, _ = _gradient(lambda: train(weights, alphas), weights)
    moved = inner.step(weights, gradients)
    both, loss = _gradient(lambda: validation(moved, alphas), [*alphas, *moved])
    direct, direction = both[: len(alphas)], both[len(alphas) :]
    length = tf.linalg.global_norm(direction)
    step = tf.math.divide_no_nan(tf.cast(radius, length.dtype), length)
    sides = []
    for sign in (1.0, -1.0):
        at = [w + sign * tf.cast(step, w.dtype) * d for w, d in zip(weights, direction, strict=True)]
        sides.append(_gradient(lambda at=at: train(at, alphas), alphas)[0])
    found = []
    for value, plus, minus in zip(direct, *sides, strict=True):
        product = tf.math.divide_no_nan(plus - minus, 2.0 * tf.cast(step, value.dtype))
        found.append(value - tf.cast(inner.rate, value.dtype) * product)
    return found, loss


def _gradient(loss: Callable[[], Any], at: list[Any]) -> tuple[list[Any], Any]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        value = loss()
    return tape.gradient(value, at, unconnected_gradients=_ZERO), value

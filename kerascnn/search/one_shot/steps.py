"""The two rules by which weights and architectures move, with states that a file can keep.

Their penalties are L2, added to the gradient, as in the searches' releases.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class Momentum:
    """Stochastic gradient descent with momentum: buffer = momentum buffer + gradient + decay w; w -= rate buffer.

    Args:
        variables: all that may be moved.
        momentum: how much of a buffer is kept.
        decay: L2.
        nesterov: w -= rate (momentum buffer + gradient + decay w) instead.
        clip: the largest norm of all gradients together, before the penalty; 0: any.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        *,
        momentum: float = 0.9,
        decay: float = 0.0,
        nesterov: bool = False,
        clip: float = 0.0,
    ):
        self.momentum, self.decay, self._nesterov, self._clip = momentum, decay, nesterov, clip
        self.buffers = [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in variables]
        self._of = {id(variable): buffer for variable, buffer in zip(variables, self.buffers, strict=True)}

    def apply(self, gradients: Sequence[Any], variables: Sequence[tf.Variable], rate: Any) -> None:
        """Takes a step; what is not among the variables stays as it is, and so does its buffer.

        Args:
            gradients: tensors.
            variables: some of those that it was made with.
            rate: of the step.
        """
        if self._clip:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip)
        for gradient, variable in zip(gradients, variables, strict=True):
            buffer = self._of[id(variable)]
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle, accum=buffer.handle, lr=tf.cast(rate, variable.dtype),
                grad=gradient + self.decay * variable, momentum=tf.cast(self.momentum, variable.dtype),
                use_nesterov=self._nesterov,
            )  # fmt: skip


class Adam:
    """Adam with bias correction.

    Kingma, Ba: Adam: A Method for Stochastic Optimization, 2014, arXiv:1412.6980, algorithm 1.

    Args:
        variables: what is moved.
        betas: how much is kept of the mean gradient and of the mean square.
        decay: L2.
        epsilon: beside the root.
        clip: the largest norm of all gradients together, before the penalty; 0: any.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        decay: float = 0.0,
        epsilon: float = 1e-8,
        clip: float = 0.0,
    ):
        self._betas, self._decay, self._epsilon, self._clip = betas, decay, epsilon, clip
        self._variables = list(variables)
        self.count = tf.Variable(0.0, trainable=False)
        self._means, self._squares = (
            [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in self._variables] for _ in range(2)
        )

    @property
    def state(self) -> list[tf.Variable]:
        """All that a file must keep."""
        return [self.count, *self._means, *self._squares]

    def apply(self, gradients: Sequence[Any], rate: Any) -> None:
        """Takes a step.

        Args:
            gradients: of all variables.
            rate: of the step.
        """
        if self._clip:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip)
        first, second = self._betas
        count = self.count.assign_add(1.0)
        scale = rate / (1 - first**count)
        for variable, gradient, mean, square in zip(
            self._variables, gradients, self._means, self._squares, strict=True
        ):
            gradient = gradient + self._decay * variable
            m = mean.assign(first * mean + (1 - first) * gradient)
            v = square.assign(second * square + (1 - second) * gradient**2)
            variable.assign_sub(scale * m / (tf.sqrt(v / (1 - second**count)) + self._epsilon))

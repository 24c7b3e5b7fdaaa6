"""The step of a controller: REINFORCE with a moving baseline that has not seen the rewards it is subtracted from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn.search.one_shot.config import EnasConfig
from kerascnn.search.one_shot.controller import Controller
from kerascnn.search.one_shot.controllers import skip_penalty
from kerascnn.search.one_shot.steps import Adam
from kerascnn.search.records import Tokens


class ControllerSteps:
    """Moves a controller toward architectures with more reward than those before them.

    The loss is the mean of -(reward - baseline) log P - `entropy` times the entropy, and for chains `skip_weight` times
    `skip_penalty`. Departures from the release, which adds the entropy to the reward as a number: here it has a
    gradient; and the baseline begins with the first rewards, not with zero, and is always read before it is moved.

    Args:
        controller: what is moved.
        config: `controller_rate`, `entropy`, `baseline`, `skip_target`, `skip_weight` are used.

    Source:
        Williams: Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, 1992,
        doi.org/10.1007/BF00992696; Pham et al., 2018, arXiv:1802.03268, section 2.2.
    """

    def __init__(self, controller: Controller, config: EnasConfig):
        self._controller, self._config = controller, config
        self._rule = Adam(controller.variables, betas=(0.9, 0.999))
        self.baseline = tf.Variable(float("nan"), trainable=False)  # none yet
        self._step = tf.function(self._apply, autograph=False, reduce_retracing=True)

    @property
    def state(self) -> list[tf.Variable]:
        """All that a file must keep, beside the controller's weights."""
        return [*self._rule.state, self.baseline]

    def apply(self, tokens: Sequence[Tokens], rewards: Sequence[float]) -> None:
        """Takes a step; the first one moves nothing but the baseline and, by entropy and penalty, the controller.

        Args:
            tokens: what was drawn from the controller as it is.
            rewards: of each.
        """
        mean, before = float(np.mean(rewards)), float(self.baseline.numpy())
        known = np.isfinite(before)
        advantages = np.asarray(rewards, "float32") - before if known else np.zeros(len(rewards), "float32")
        self._step(tf.constant(tokens, tf.int32), tf.constant(advantages, tf.float32))
        keep = self._config.baseline
        self.baseline.assign(keep * before + (1 - keep) * mean if known else mean)

    def _apply(self, tokens: Any, advantages: Any) -> None:
        with tf.GradientTape() as tape:
            loss = self.loss(tokens, advantages)
        gradients = tape.gradient(loss, self._controller.variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self._rule.apply(gradients, self._config.controller_rate)

    def loss(self, tokens: Any, advantages: Any) -> Any:
        """What a step descends.

        Args:
            tokens: int32 [n, length].
            advantages: float32 [n].

        Returns:
            A scalar.
        """
        walk = self._controller.walk(tokens)
        loss = -tf.reduce_mean(advantages * walk.log_probability + self._config.entropy * walk.entropy)
        return loss + self._config.skip_weight * skip_penalty(walk.skips, self._config.skip_target)

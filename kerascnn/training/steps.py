"""What a step needs beside its rule: a rate for each variable, L2, clipping, and gradients of several batches.

Keras has clipping and accumulation too, but under a strategy of several devices it clips the gradients of each device
before they are summed, so that the norm is not that of the batch, and its accumulation cannot be traced there;
tests/training/test_steps.py shows both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.training import rules

SMALLEST_NORM = 1e-3  # adaptive clipping: weights whose norm is smaller count as this large


class _Extended(keras.optimizers.Optimizer):
    """Before a Keras optimizer: for each variable a factor of the rate and the step from which it is trained; L2,
    clipping, accumulation.

    The factor counts for weight decay too, which is decoupled: as with groups of parameters in PyTorch. Steps are
    counted for each variable from its own first one, so that Adam corrects the bias of averages that are still empty.
    The schedule of the rate counts batches, whether or not they end in a step.
    """

    def __init__(
        self,
        *args: Any,
        factors: Mapping[str, float],
        starts: Mapping[str, int],
        l2: float = 0.0,
        clip_norm: float = 0.0,
        clip_value: float = 0.0,
        clip_adaptive: float = 0.0,
        units: Mapping[str, Sequence[int]] | None = None,
        accumulate: int = 1,
        **options: Any,
    ):
        super().__init__(*args, **options)
        self._factors, self._starts = tuple(factors.items()), tuple(starts.items())
        self._l2, self._accumulate, self._units = l2, accumulate, tuple((units or {}).items())
        self._clip = {"clip_norm": clip_norm, "clip_value": clip_value, "clip_adaptive": clip_adaptive}
        self._start, self._decay = 0, self.weight_decay
        self._rates: tuple[float, ...] = ()
        self._firsts: tuple[int, ...] = ()
        self._axes: tuple[tuple[int, ...] | None, ...] = ()
        self._sums: list[keras.Variable] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """See `keras.optimizers.Optimizer.build`; every variable must have a factor."""
        factors, starts = dict(self._factors), dict(self._starts)
        paths = [_known(variable.path, factors) for variable in variables]
        super().build(variables)
        self._rates = tuple(factors[path] for path in paths)
        self._firsts = tuple(starts.get(path, 0) // self._accumulate for path in paths)
        units = dict(self._units)
        self._axes = tuple(tuple(units[path]) if path in units else None for path in paths)
        if self._accumulate > 1:
            self._sums = [self.add_variable_from_reference(variable, name="gradients") for variable in variables]

    @property
    def batches(self):
        """How many batches have been seen; the schedule of the rate is a function of it."""
        return self._iterations

    @property
    def iterations(self):
        """How many steps have been taken, of the variable that is being updated."""
        taken = super().iterations if self._accumulate == 1 else super().iterations // self._accumulate
        return taken - self._start if self._start else taken

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        self._start = self._firsts[index]
        try:
            super().update_step(gradient, variable, learning_rate * self._rates[index])
        finally:
            self._start = 0

    def _backend_apply_gradients(self, grads, trainable_variables):
        """The gradients are summed over the devices first, so that all of them see that of the whole batch."""
        variables = [x.value if isinstance(x, keras.Variable) else x for x in trainable_variables]
        pairs = self._all_reduce_sum_gradients(list(zip(grads, variables, strict=True)))
        summed = [tf.convert_to_tensor(gradient) for gradient, _ in pairs]
        if self._accumulate == 1:
            self._take(summed, variables)
        else:  # devices meet in a step, which may not depend on a condition of one device alone
            tf.distribute.get_replica_context().merge_call(self._add_or_take, args=(summed, variables))

    def _add_or_take(self, strategy, grads, variables):
        sums = [self._sums[self._get_variable_index(variable)].value for variable in variables]

        def add():
            for total, gradient in zip(sums, grads, strict=True):
                strategy.extended.update(total, lambda x, y: x.assign_add(y), args=(gradient,), group=False)

        def take():
            strategy.extended.call_for_each_replica(self._take_mean, args=(grads, variables))
            for total in sums:
                strategy.extended.update(total, lambda x: x.assign(tf.zeros_like(x)), group=False)

        due = tf.equal((tf.convert_to_tensor(self._iterations.value) + 1) % self._accumulate, 0)
        keras.ops.cond(due, take, add)

    def _take_mean(self, grads, variables):
        sums = [tf.convert_to_tensor(self._sums[self._get_variable_index(x)].value) for x in variables]
        self._take([(x + y) / self._accumulate for x, y in zip(grads, sums, strict=True)], variables)

    def _take(self, grads, variables):
        """One step: clipping of the gradients of the loss, L2, decay, and the rule itself."""
        grads = self._clipped(grads, variables)
        if self._l2:
            grads = [
                gradient + self._l2 * tf.convert_to_tensor(variable) if self._use_weight_decay(variable) else gradient
                for gradient, variable in zip(grads, variables, strict=True)
            ]
        self._apply_weight_decay(variables)
        tf.distribute.get_replica_context().merge_call(
            self._distributed_tf_update_step,
            args=(list(zip(grads, variables, strict=True)), tf.convert_to_tensor(self.learning_rate)),
        )

    def _clipped(self, grads, variables):
        if self._clip["clip_norm"]:
            return tf.clip_by_global_norm(grads, self._clip["clip_norm"])[0]
        if self._clip["clip_value"]:
            return [tf.clip_by_value(x, -self._clip["clip_value"], self._clip["clip_value"]) for x in grads]
        if self._clip["clip_adaptive"]:
            return [self._adaptive(x, y) for x, y in zip(grads, variables, strict=True)]
        return grads

    def _adaptive(self, gradient, variable):
        axes = self._axes[self._get_variable_index(variable)]
        if axes is None:
            return gradient
        norms = [tf.sqrt(tf.reduce_sum(tf.square(x), axes, keepdims=True)) for x in (variable, gradient)]
        largest = self._clip["clip_adaptive"] * tf.maximum(norms[0], SMALLEST_NORM)
        return gradient * tf.where(norms[1] > largest, largest / tf.maximum(norms[1], 1e-6), 1.0)

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
        own = {"factors": dict(self._factors), "starts": dict(self._starts), "l2": self._l2, **self._clip}
        units = {path: list(axes) for path, axes in self._units}
        return {**super().get_config(), **own, "units": units, "accumulate": self._accumulate}


def _register(kind: type) -> type:
    """The class of a rule with what `_Extended` adds, under the rule's name in Keras' files."""
    text = f"`{kind.__module__.partition('.')[0]}`'s {kind.__name__} with what `extended` lists."
    made = type(kind.__name__, (_Extended, kind), {"__doc__": text, "__module__": __name__})
    return keras.saving.register_keras_serializable(package="kerascnn")(made)


_KEPT = (
    keras.optimizers.SGD, keras.optimizers.RMSprop, keras.optimizers.Adam, keras.optimizers.Adadelta,
    keras.optimizers.Lion,
)  # fmt: skip
KINDS = {kind: _register(kind) for kind in (*_KEPT, rules.RMSpropTF, rules.AdamW, rules.Lamb)}


def extended(optimizer: keras.optimizers.Optimizer, **options: Any) -> keras.optimizers.Optimizer:
    """The same optimizer with factors of its rate, L2, clipping, accumulation.

    Args:
        optimizer: Keras' SGD, RMSprop, Adam, Adadelta or Lion, or one of `kerascnn.training.rules`; not built.
        **options: `factors`, path of each variable -> what its rate and its weight decay are multiplied by; `starts`,
            path of a variable -> the step from which it is trained, not needed where that is 0; `l2`, added to the
            gradient as `l2 * w` of what is not excluded from weight decay; one of `clip_norm`, the largest norm of all
            gradients together, `clip_value`, the largest absolute value, `clip_adaptive`, the largest norm of the
            gradient of a unit as a part of that of its weights, with `units` as `unit_axes` gives them; `accumulate`,
            batches whose gradients are averaged to one step. 0 is none.

    Returns:
        An optimizer that is not built.

    Raises:
        InputError: another optimizer.

    Source:
        Adaptive clipping: Brock et al. 2021 (arXiv:2102.06171), equation 3.

    Example:

        from kerascnn.training import rates, steps

        steps.extended(keras.optimizers.SGD(0.1), factors=rates.by_depth(model, 1.0), starts={}, clip_norm=5.0)
    """
    kind = KINDS.get(type(optimizer))
    if kind is None:
        names = ", ".join(known.__name__ for known in _KEPT)
        raise InputError(
            f"The optimizer must be one of Keras' {names}, or of kerascnn.training.rules. "
            f"Received: {type(optimizer).__name__}"
        )
    return kind.from_config({**optimizer.get_config(), **options})


def unit_axes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """The axes over which the weights of one unit, that is one output channel, lie.

    Args:
        model: a functional or built sequential `keras.Model`.

    Returns:
        Path of each weight but those of the head, which adaptive clipping leaves alone (Brock et al. 2021,
        arXiv:2102.06171, section 4.1) -> axes. A bias, or a scale, is one unit as a whole.
    """
    # Here, not above: this module is imported as soon as Keras is, and `surgery` needs layers that import Keras.
    from kerascnn import surgery
    from kerascnn.surgery.parts import path_of

    return {
        path_of(layer, weight): _unit(layer, len(weight.shape))
        for part in surgery.parts(model)[:-1]
        for layer in part.layers
        for weight in layer.trainable_weights
    }


def _unit(layer: keras.layers.Layer, rank: int) -> tuple[int, ...]:
    if rank <= 1:
        return tuple(range(rank))
    return (0, 1) if rank == 4 and isinstance(layer, keras.layers.DepthwiseConv2D) else tuple(range(rank - 1))


def _known(path: str, factors: Mapping[str, float]) -> str:
    """The path under which a variable is known: the name of its model may stand before it."""
    names = path.split("/")
    for first in range(len(names)):
        found = "/".join(names[first:])
        if found in factors:
            return found
    raise InputError(f"The optimizer must know the rate of every variable. Received: {path}")

"""Networks whose ReLUs hand signals back by another rule than the gradient's.

A ReLU with input f hands back R_in, given R:
    gradient     1[f > 0] R
    deconvnet              1[R > 0] R
    guided       1[f > 0]  1[R > 0] R
(Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, 2014, arXiv:1412.6806, figure 1.) A ReLU that
ends at a bound, as ReLU6, is the ReLU and then the minimum with the bound, which hands back 1[f < bound] R.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.surgery.cut import input_in, without_activation
from kerascnn.surgery.inline import Renamed, bare
from kerascnn.surgery.replace import rebuild

L = keras.layers
_BOUNDS = {keras.activations.relu: None, keras.activations.relu6: 6.0}
# Activations that are no ReLU, by name: of `keras.activations`, of layers and of operations of `keras.ops`.
_CURVED = frozenset(
    "celu elu exponential gelu tanh_gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu "
    "log_sigmoid mish prelu scaled_tanh selu sigmoid silu soft_shrink softplus softsign sparse_plus squareplus swish "
    "tanh tanh_shrink threshold leakyrelu hardsigmoid hardsilu hardtanh".split()
)


class BackwardRule(L.Layer):
    """A ReLU with a rule of its own for what it hands back.

    Args:
        guided: whether what the ReLU cut off forward is cut off backward too.
        bound: what the ReLU gives at most; None: any value.
    """

    def __init__(self, guided: bool, bound: float | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.guided, self.bound = guided, bound
        self.built = True

    def call(self, x: Any, **_: Any) -> Any:
        """min(max(x, 0), bound)."""

        @tf.custom_gradient
        def relu(x):
            def back(signal):
                signal = signal if self.bound is None else tf.where(x < self.bound, signal, tf.zeros_like(signal))
                signal = tf.nn.relu(signal)
                return tf.where(x > 0, signal, tf.zeros_like(signal)) if self.guided else signal

            y = tf.nn.relu(x)
            return (y if self.bound is None else tf.minimum(y, tf.cast(self.bound, y.dtype))), back

        return relu(x)

    def compute_output_spec(self, x: Any, **_: Any) -> keras.KerasTensor:
        return keras.KerasTensor(x.shape, dtype=x.dtype)


def with_rule(model: keras.Model, guided: bool, method: str) -> tuple[keras.Model, list[str]]:
    """The same network, with the same weights, whose ReLUs hand back only what is positive.

    ReLUs are found as layers, as `activation` of other layers, and as operations of `keras.ops`, with a bound as ReLU6
    too; not inside layers of one's own and not where they are written as a maximum.

    Args:
        model: without models inside it.
        guided: the guided rule; else the deconvnet's.
        method: for the message.

    Returns:
        The network, and the names of its other activations, which hand back their gradient.

    Raises:
        InputError: it has no ReLU: the result would be the gradient under another name.
    """
    changed, others = set(), []
    for operation in model.operations:
        if relu_bound(operation) is not None:
            changed.add(id(operation))
        elif is_curved(operation):
            others.append(operation.name)
    if not changed:
        found = f"activations {', '.join(others[:3])}" if others else "no activations that are known"
        raise InputError(
            f"{method} changes what ReLUs hand back, and the network must have one. Received: {model.name} with {found}"
        )
    padding = _padding_of_pools(model)
    made: dict[int, Callable] = {}

    def change(operation):
        if id(operation) in padding:
            return padding[id(operation)]
        if id(operation) not in changed:
            return None
        if id(operation) not in made:
            made[id(operation)] = _ruled(operation, guided)
        return made[id(operation)]

    return rebuild(model, change, share=True), others


def _padding_of_pools(model: keras.Model) -> dict[int, Callable]:
    """By the ids of layers that put zeros around what a ReLU gives before maxima are taken: the same with least values.

    The maxima are the same. But where a whole window is 0, its place would be the padding, and what is handed back to
    it lost; the deconvnet's ReLU, unlike the gradient's, hands back what comes to such places.
    """
    readers: dict[int, list] = {}
    for operation in model.operations:
        for node in operation._inbound_nodes:
            for tensor in node.input_tensors:
                readers.setdefault(id(tensor._keras_history.operation), []).append(bare(operation))
    found = {}
    for operation in model.operations:
        own = bare(operation)
        if type(own) is L.ZeroPadding2D and all(isinstance(x, L.MaxPooling2D) for x in readers.get(id(operation), [0])):
            if relu_bound(input_in(model, operation)._keras_history.operation) is not None:
                (top, bottom), (left, right) = own.padding
                widths = ((0, 0), (top, bottom), (left, right), (0, 0))
                found[id(operation)] = lambda x, widths=widths: keras.ops.pad(x, widths, constant_values=least(x))
    return found


def least(x: keras.KerasTensor) -> float:
    """The least finite number of a tensor's dtype."""
    return float(tf.dtypes.as_dtype(x.dtype).min)


def relu_bound(operation: keras.Operation) -> tuple[float | None] | None:
    """The bound of a ReLU, in a tuple since it may be None; None for what is, and ends in, no ReLU."""
    operation = bare(operation)
    kind = type(operation).__name__
    if isinstance(operation, L.ReLU) or (kind == "ReLU" and type(operation).__module__.startswith("keras.")):
        if not operation.negative_slope and not operation.threshold:
            return (operation.max_value,)
        return None
    if kind in ("Relu", "Relu6") and type(operation).__module__.startswith("keras."):
        return (6.0,) if kind == "Relu6" else (None,)
    activation = getattr(operation, "activation", None)
    if isinstance(activation, L.ReLU):  # a layer as the activation of another
        return relu_bound(activation)
    return next(((bound,) for function, bound in _BOUNDS.items() if activation is function), None)


def is_curved(operation: keras.Operation) -> bool:
    """Whether an operation is, or ends in, an activation that is no ReLU: a sigmoid, GELU, leaky ReLU, ..."""
    operation = bare(operation)
    activation = getattr(operation, "activation", None)
    name = getattr(activation, "__name__", type(operation).__name__ if activation is None else "")
    return name.lower() in _CURVED or isinstance(operation, L.ReLU | L.LeakyReLU | L.PReLU | L.ELU)


def _ruled(operation: keras.Operation, guided: bool) -> Callable:
    """A step that gives what an operation gives and hands back by the rule."""
    bound, own = relu_bound(operation)[0], bare(operation)
    if not isinstance(own, L.Layer):
        return BackwardRule(guided, bound, autocast=False, name=operation.name)
    if isinstance(own, L.Activation) or not hasattr(own, "activation"):
        return BackwardRule(guided, bound, dtype=own.dtype_policy, name=operation.name)
    linear = without_activation(own)
    linear = linear if operation is own else Renamed(linear, operation.name)
    rule = BackwardRule(guided, bound, dtype=own.dtype_policy, name=f"{operation.name}_rule")
    return lambda *args, **kwargs: rule(linear(*args, **kwargs))

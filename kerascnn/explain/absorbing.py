"""A network for inference that folds batch norms into convolutions while it runs, with the weights of the moment."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn.surgery.folding import foldable
from kerascnn.surgery.replace import check, rebuild


def absorbing(model: keras.Model) -> keras.Model:
    """The same network, with the same weights, that scales kernels instead of maps where batch norm follows.

    `fold_batch_norm` computes the kernels once and copies all; here they are computed at each call, which costs as much
    as a pass over the weights, and a change of the weights is seen. Outputs and derivatives with respect to the images
    are those of the network at inference, but for rounding. What the replaced layers gave cannot be asked for.

    Args:
        model: a functional or built sequential model; it is left as it is. Layers with adapters, or quantized, keep
            their batch norms.

    Returns:
        An uncompiled model that shares all layers; for inference alone: it has no batch statistics to take or move.

    Raises:
        InputError: the model has no graph.
    """
    check(model)
    pairs = [(linear, norm) for linear, norm in foldable(model) if _plain(linear)]
    norms = {id(linear): norm for linear, norm in pairs}
    absorbed = {id(norm) for _, norm in pairs}
    made: dict[int, Absorbing] = {}

    def change(operation):
        if id(operation) in absorbed:
            return lambda x, *_, **__: x
        if id(operation) not in norms:
            return None
        if id(operation) not in made:
            made[id(operation)] = Absorbing(operation, norms[id(operation)])
        return made[id(operation)]

    return rebuild(model, change, share=True, heads=False)


def _plain(linear: keras.layers.Layer) -> bool:
    """Whether a layer has its kernel and its bias and nothing else, in floating point."""
    own = 1 + bool(linear.use_bias)
    return len(linear.weights) == own and all("float" in weight.dtype for weight in linear.weights)


class Absorbing(keras.layers.Layer):
    """A convolution or dense layer and the batch norm behind it, as one of the former.

    Args:
        linear: built, without activation.
        norm: built, over the last axis.
    """

    def __init__(self, linear: keras.layers.Layer, norm: keras.layers.BatchNormalization):
        super().__init__(name=linear.name, autocast=False)
        self.linear, self.norm = linear, norm
        self.built = True

    def weights_now(self) -> tuple[Any, Any]:
        """(kernel, bias) of the one layer that does what both do, from the weights of the moment."""
        norm, (kernel, *bias) = self.norm, self.linear.weights
        scale = tf.math.rsqrt(tf.convert_to_tensor(norm.moving_variance) + norm.epsilon)
        scale = scale * norm.gamma if norm.scale else scale
        shift = -norm.moving_mean * scale
        shift = shift + norm.beta if norm.center else shift
        depthwise = isinstance(self.linear, keras.layers.DepthwiseConv2D)  # [height, width, in, multiplier]
        kernel = kernel * (tf.reshape(scale, kernel.shape[2:]) if depthwise else scale)
        return kernel, bias[0] * scale + shift if bias else shift

    def call(self, x: Any) -> Any:
        """What the batch norm gives at inference."""
        return self.apply(x, *self.weights_now())

    def apply(self, x: Any, kernel: Any, bias: Any) -> Any:
        """The same with weights that `weights_now` gave, which many calls may share."""
        variables = self.linear.weights
        with keras.StatelessScope(list(zip(variables, (kernel, bias), strict=False))):
            y = self.linear(x)
        return y if len(variables) > 1 else tf.nn.bias_add(y, bias)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.linear.compute_output_shape(x.shape), dtype=self.linear.compute_dtype)

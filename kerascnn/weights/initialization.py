"""Initial weights: other schemes than the paper's, for a model that is built."""

import contextlib
from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.surgery.adapters import refuse_quantized, reset_adapters

SCHEMES: dict[str, Callable[[int | None], keras.initializers.Initializer]] = {
    # N(0, 2 / fan-in) and N(0, 2 / fan-out): He et al. 2015, arXiv:1502.01852
    "he": lambda seed: keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=seed),
    "he_fan_out": lambda seed: keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=seed),
    # U(±sqrt(6 / (fan-in + fan-out))): Glorot, Bengio, AISTATS 2010
    "glorot": lambda seed: keras.initializers.GlorotUniform(seed=seed),
    # N(0, 1 / fan-in): LeCun, Bottou, Orr, Müller: Efficient BackProp, 1998
    "lecun": lambda seed: keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal", seed=seed),
    # N(0, 0.01^2): Krizhevsky, Sutskever, Hinton, NIPS 2012
    "gaussian": lambda seed: keras.initializers.RandomNormal(stddev=0.01, seed=seed),
    # Saxe, McClelland, Ganguli 2013, arXiv:1312.6120
    "orthogonal": lambda seed: keras.initializers.Orthogonal(seed=seed),
}


def initialize(model: keras.Model, scheme: str, *, seed: int | None = None) -> None:
    """Draws all kernels of a model anew.

    Builders start with the initialization of the paper; this is the one place where it is exchanged. Every variable
    called `kernel` (convolutions of all kinds, dense layers) is drawn by the scheme and the biases of those layers
    become 0; scales, shifts and statistics of normalizations stay as they are.

    Args:
        model: any built `keras.Model`.
        scheme: "he", "he_fan_out", "glorot", "lecun", "gaussian" or "orthogonal".
        seed: makes the weights repeatable; None: from Keras' global seed. Low-rank adapters start anew.

    Raises:
        InputError: unknown scheme, or the model is not built, has no kernels or quantized ones.
    """
    _check.one_of("scheme", scheme, SCHEMES)
    seed = None if seed is None else _check.whole("seed", seed, 0, 2**31 - 1)
    for index, layer in enumerate(_with_kernels(model)):
        initializer = SCHEMES[scheme](None if seed is None else seed + index)
        kernel = _kernel(layer)
        reset_adapters(layer)
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            # [h, w, c, m]: the fan-in is h * w, where Keras' initializers read h * w * c.
            height, width, channels, multiplier = kernel.shape
            value = initializer((height, width, 1, channels * multiplier), kernel.dtype)
            kernel.assign(keras.ops.reshape(value, kernel.shape))
        else:
            kernel.assign(initializer(kernel.shape, kernel.dtype))
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(keras.ops.zeros_like(layer.bias))


def lsuv(model: keras.Model, images: npt.ArrayLike, *, seed: int | None = None) -> dict[str, float]:
    """Layer-sequential unit-variance initialization: orthogonal kernels, scaled so that outputs have deviation 1.

    The images go through the model once, in inference mode; each convolution and dense layer, in the order of the
    graph, is divided by the standard deviation of what it gives before its activation. Its output is linear in the
    kernel, so that one pass is enough where the published algorithm iterates.

    Source: Mishkin, Matas: All you need is a good init, 2015, arXiv:1511.06422, algorithm 1.

    Args:
        model: any built functional or sequential `keras.Model`.
        images: a batch as the model takes it, preprocessed: [batch, height, width, channels].
        seed: makes the weights repeatable; None: from Keras' global seed.

    Returns:
        Name of each layer -> the standard deviation that it was divided by, in the order of the graph.

    Raises:
        InputError: the model is not built or has no kernels; the images do not fit or are not finite; or a layer gives
            a constant.
    """
    seed = None if seed is None else _check.whole("seed", seed, 0, 2**31 - 1)
    try:
        images = keras.ops.convert_to_tensor(np.asarray(images, "float32"))
    except (TypeError, ValueError) as error:
        raise InputError(f"images must be a batch of finite numbers. Received: {type(images).__name__}") from error
    if not len(images.shape) or not images.shape[0] or not np.isfinite(keras.ops.convert_to_numpy(images)).all():
        raise InputError(f"images must be a batch of finite numbers. Received: shape {tuple(images.shape)}")
    _with_kernels(model)
    if len(images.shape) != len(model.inputs[0].shape):
        raise InputError(
            f"images must fit the model's input {model.input_shape}. Received: shape {tuple(images.shape)}"
        )
    initialize(model, "orthogonal", seed=seed)
    divided: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        for layer in _with_kernels(model):
            stack.enter_context(_scaling(layer, divided))
        try:
            model(images, training=False)
        except ValueError as error:
            raise InputError(f"images must fit the model's input {model.input_shape}. Received: {error}") from error
    return divided


@contextlib.contextmanager
def _scaling(layer: keras.layers.Layer, divided: dict[str, float]):
    """Lets the layer's next call divide the kernel first; calls after it find it divided."""
    plain, activation = layer.call, getattr(layer, "activation", None)

    def call(*args, **kwargs):
        if layer.name in divided:
            return plain(*args, **kwargs)
        if activation is not None:
            layer.activation = keras.activations.linear
        try:
            outputs = plain(*args, **kwargs)
        finally:
            if activation is not None:
                layer.activation = activation
        deviation = float(keras.ops.std(keras.ops.cast(outputs, "float32")))
        if not 1e-12 < deviation < np.inf:
            raise InputError(f"The outputs of {layer.name} must vary over the images. Received: deviation {deviation}")
        divided[layer.name] = deviation
        kernel = _kernel(layer)
        kernel.assign(kernel / deviation)
        return plain(*args, **kwargs)

    layer.call = call
    try:
        yield
    finally:
        del layer.call


def _kernel(layer: keras.layers.Layer) -> keras.Variable:
    """The variable itself: `layer.kernel` is a sum where the layer has a low-rank adapter."""
    return next(w for w in layer.weights if w.name == "kernel")


def _with_kernels(model: keras.Model) -> list[keras.layers.Layer]:
    if not isinstance(model, keras.Model) or not model.built:
        raise InputError(f"The model must be a built keras.Model. Received: {model!r}")
    refuse_quantized(model, "Weights are drawn")
    found = [layer for layer in _flat(model) if getattr(layer, "kernel", None) is not None]
    if not found:
        raise InputError(f"{model.name} must have a layer with a kernel. Received: {len(model.layers)} layers without")
    return found


def _flat(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers, with those of models inside the model in their place."""
    return [inner for layer in model.layers for inner in (_flat(layer) if isinstance(layer, keras.Model) else [layer])]

"""The copy of a network that is served: float32, and without the batch norms that a convolution before them absorbs.

A convolution followed by batch norm is linear in its kernel:
    gamma * (W * x + b - mean) / sqrt(variance + epsilon) + beta  =  (s W) * x + (beta + s (b - mean)),
with s = gamma / sqrt(variance + epsilon) per output channel. Zero padding does not disturb it, because the padding is
on the side of x. Batch norm that comes before a convolution (pre-activation networks) stays.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kerascnn.layers.batch_normalization import BatchNormalization
from kerascnn.layers.conv2d import Conv2D
from kerascnn.layers.depthwise_conv2d import DepthwiseConv2D

# Exactly these classes: a subclass may compute something that is not linear.
_NORMS = (keras.layers.BatchNormalization, BatchNormalization)
_LINEAR = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense, Conv2D, DepthwiseConv2D)
_NARROW = ("float16", "bfloat16", "float64")


def fold_batch_norm(model: keras.Model) -> tuple[keras.Model, int]:
    """A float32 copy for inference with each batch norm folded into the layer before it where that is exact.

    Folded is a `BatchNormalization` over the last axis that alone reads a Conv2D, DepthwiseConv2D (of Keras or of
    kerascnn) or Dense without activation, where both are called once and with the default `training`. Functional models
    inside the model are treated likewise.

    Args:
        model: a functional or built sequential model with one input and one output; it is left as it is.

    Returns:
        The copy (uncompiled, own weights), and the number of batch norms that it lacks.
    """
    return _copy(model, fold=True)


def float32_copy(model: keras.Model) -> keras.Model:
    """A copy with every layer in float32, batch norms kept; the model itself where it is float32 throughout."""
    return model if _all_float32(model) else _copy(model, fold=False)[0]


def _all_float32(model: keras.Model) -> bool:
    return all(
        _all_float32(layer) if isinstance(layer, keras.Model) else layer.compute_dtype not in _NARROW
        for layer in model.layers
    )


def _copy(model: keras.Model, fold: bool) -> tuple[keras.Model, int]:
    # A new model over the same layers: drops a compiled loss and optimizer, turns Sequential into functional.
    plain = keras.Model(_single(model.inputs), _single(model.outputs), name=model.name)
    pairs = dict(_foldable(plain)) if fold else {}  # linear layer's name -> batch norm's name
    absorbed = set(pairs.values())
    copies, folded = {}, len(pairs)

    def clone(layer):
        nonlocal folded
        if layer.name in absorbed:
            return keras.layers.Identity(name=layer.name)
        if isinstance(layer, keras.Model) and layer.inputs:
            copy, inside = _copy(layer, fold)
            folded += inside
            return copy
        config = _float32(layer.get_config()) if isinstance(layer, keras.layers.Layer) else layer.get_config()
        if layer.name in pairs:
            config["use_bias"] = True
        copies[layer.name] = type(layer).from_config(config)
        return copies[layer.name]

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in absorbed else layer(*args, **kwargs)

    result = keras.models.clone_model(plain, clone_function=clone, call_function=call)
    layers = {layer.name: layer for layer in plain.operations}
    for name, copy in copies.items():
        if name in pairs:
            copy.set_weights(_absorb(layers[name], layers[pairs[name]]))
        elif isinstance(copy, keras.layers.Layer):
            copy.set_weights(layers[name].get_weights())
    return result, folded


def _single(tensors: list) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


def _float32(config: Any) -> Any:
    """The config with every dtype policy but float32 and the integer ones replaced by float32."""
    if isinstance(config, list | tuple):
        return type(config)(_float32(value) for value in config)
    if not isinstance(config, dict):
        return config
    replaced = {key: _float32(value) for key, value in config.items()}
    policy = replaced.get("dtype")
    name = policy.get("config", {}).get("name", "") if isinstance(policy, dict) else policy
    if isinstance(name, str) and name.removeprefix("mixed_") in _NARROW:
        replaced["dtype"] = "float32"
    return replaced


def _tensors(value: Any) -> Iterator[str]:
    """The names of the layers whose outputs occur in serialized call arguments, once per occurrence."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"][0]
        else:
            value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _foldable(model: keras.Model) -> Iterator[tuple[str, str]]:
    """(name of a linear layer, name of the batch norm that can be folded into it)."""
    config = model.get_config()
    calls = {layer["name"]: layer["inbound_nodes"] for layer in config["layers"]}
    readers = Counter(name for nodes in calls.values() for name in _tensors(nodes))
    readers.update(np.ravel(np.asarray(config["output_layers"], dtype=object))[::3].tolist())
    layers = {layer.name: layer for layer in model.operations}
    for name, norm in layers.items():
        if type(norm) not in _NORMS or len(calls[name]) != 1:
            continue
        sources = list(_tensors(calls[name]))
        if len(sources) != 1 or calls[name][0]["kwargs"].get("training") or norm.gamma is None and norm.scale:
            continue
        linear = layers[sources[0]]
        last = len(norm.input.shape) - 1
        if (
            type(linear) in _LINEAR
            and len(calls[linear.name]) == 1
            and readers[linear.name] == 1
            and linear.activation is keras.activations.linear
            and getattr(linear, "data_format", "channels_last") == "channels_last"
            and norm.axis % (last + 1) == last
        ):
            yield linear.name, name


def _absorb(linear: keras.layers.Layer, norm: keras.layers.BatchNormalization) -> list[np.ndarray]:
    """[kernel, bias] of the linear layer followed by the batch norm, computed in float64."""
    kernel, *bias = (np.asarray(value, np.float64) for value in linear.get_weights())
    mean, variance = (np.asarray(value, np.float64) for value in (norm.moving_mean, norm.moving_variance))
    gamma = np.asarray(norm.gamma, np.float64) if norm.scale else 1.0
    beta = np.asarray(norm.beta, np.float64) if norm.center else 0.0
    scale = gamma / np.sqrt(variance + norm.epsilon)
    # A depthwise kernel is [height, width, in, multiplier]; its output channels count through the last two axes.
    per_output = scale.reshape(kernel.shape[2:]) if isinstance(linear, keras.layers.DepthwiseConv2D) else scale
    return [kernel * per_output, beta + scale * ((bias[0] if bias else 0.0) - mean)]

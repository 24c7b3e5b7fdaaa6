"""The copy of a network that is served: float32, and without the batch norms that a convolution before them absorbs.

A convolution followed by batch norm is linear in its kernel:
    gamma * (W * x + b - mean) / sqrt(variance + epsilon) + beta  =  (s W) * x + (beta + s (b - mean)),
with s = gamma / sqrt(variance + epsilon) per output channel. Zero padding does not disturb it, because the padding is
on the side of x. Batch norm that comes before a convolution (pre-activation networks) stays.
"""

from collections import defaultdict
from typing import Any

import keras
import numpy as np

from kerascnn.layers.batch_normalization import BatchNormalization
from kerascnn.layers.conv2d import Conv2D
from kerascnn.layers.depthwise_conv2d import DepthwiseConv2D
from kerascnn.layers.plain_conv2d import PlainConv2D
from kerascnn.surgery.adapters import merged_weights, refuse_quantized, without_adapters
from kerascnn.surgery.graph import Call, walk
from kerascnn.surgery.replace import check, copied, rebuild

# Exactly these classes: a subclass may compute something that is not linear.
_NORMS = (keras.layers.BatchNormalization, BatchNormalization)
_LINEAR = (
    keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense, Conv2D, PlainConv2D, DepthwiseConv2D,
)  # fmt: skip
_NARROW = ("float16", "bfloat16", "float64")


def fold_batch_norm(model: keras.Model) -> tuple[keras.Model, int]:
    """A float32 copy for inference with each batch norm folded into the layer before it where that is exact.

    Folded is a `BatchNormalization` over the last axis that alone reads a Conv2D, DepthwiseConv2D (of Keras or of
    kerascnn) or Dense without activation, with the default `training`; where either is called more than once, all its
    calls must be such a pair. Models inside the model are treated likewise. Low-rank adapters (`layer.enable_lora`) are
    merged into their kernels, and auxiliary heads, which exist in training alone, are left out.

    Args:
        model: a functional or built sequential model; it is left as it is.

    Returns:
        The copy (uncompiled, own weights), and the number of batch norms that it lacks.

    Raises:
        InputError: the model has no graph, a layer cannot be copied, or one is quantized.
    """
    check(model)
    refuse_quantized(model, "Models are exported and their batch norms folded")
    pairs = foldable(model)
    return _copy(model, pairs), len(pairs)


def float32_copy(model: keras.Model) -> keras.Model:
    """A copy with every layer in float32, batch norms kept; the model itself where it is float32 throughout.

    Raises:
        InputError: the model has no graph, a layer cannot be copied, or one is quantized.
    """
    check(model)
    refuse_quantized(model, "Models are exported and copied in float32")
    return model if _all_float32(model) else _copy(model, [])


def _all_float32(model: keras.Model) -> bool:
    return all(
        _all_float32(layer) if isinstance(layer, keras.Model) else layer.compute_dtype not in _NARROW
        for layer in model.layers
    )


def _copy(model: keras.Model, pairs: list[tuple[keras.layers.Layer, keras.layers.Layer]]) -> keras.Model:
    norms = {id(linear): norm for linear, norm in pairs}
    absorbed = {id(norm) for _, norm in pairs}

    def change(operation):
        if id(operation) in absorbed:
            return lambda x, *_, **__: x
        if id(operation) in norms:
            with_bias = copied(
                operation,
                lambda config: {**_served(config), "use_bias": True},
                lambda _: _absorb(operation, norms[id(operation)]),
            )
            return with_bias
        if isinstance(operation, keras.layers.Layer):
            return copied(operation, _served, lambda _: merged_weights(operation))
        return None

    return rebuild(model, change, share=False, heads=False)


def _served(config: dict) -> dict:
    return without_adapters(_float32(config))


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


def foldable(model: keras.Model) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """(linear layer, batch norm that can be folded into it), in the order of the graph."""
    graph = walk(model)
    readers: dict[int, list[Call | None]] = defaultdict(list)  # by the number of a value; None: the model's output
    calls: dict[int, list[Call]] = defaultdict(list)  # by the id of a layer
    maker: dict[int, Call] = {}
    for call in graph.calls:
        calls[id(call.operation)].append(call)
        maker |= {value.number: call for value in call.outputs}
        for value in call.inputs:
            readers[value.number].append(call)
    for value in graph.outputs:
        readers[value.number].append(None)
    found = []
    for norm_calls in calls.values():
        norm = norm_calls[0].operation
        if type(norm) not in _NORMS or any(call.arguments.get("training") for call in norm_calls):
            continue
        sources = [maker.get(call.inputs[0].number) for call in norm_calls]
        if None in sources or len({id(call.operation) for call in sources}) != 1:
            continue
        linear = sources[0].operation
        alone = all([x] == readers[call.outputs[0].number] for call, x in zip(sources, norm_calls, strict=True))
        if alone and len(sources) == len(calls[id(linear)]) and _is_linear(linear) and _on_last_axis(norm, norm_calls):
            found.append((linear, norm))
    return found


def _is_linear(layer: keras.Operation) -> bool:
    return (
        type(layer) in _LINEAR
        and layer.activation is keras.activations.linear
        and getattr(layer, "data_format", "channels_last") == "channels_last"
    )


def _on_last_axis(norm: keras.layers.Layer, calls: list[Call]) -> bool:
    return all(norm.axis % len(call.x) == len(call.x) - 1 for call in calls)


def _absorb(linear: keras.layers.Layer, norm: keras.layers.BatchNormalization) -> list[np.ndarray]:
    """[kernel, bias] of the linear layer followed by the batch norm, computed in float64."""
    kernel, *bias = (np.asarray(value, np.float64) for value in merged_weights(linear))
    mean, variance = (np.asarray(value, np.float64) for value in (norm.moving_mean, norm.moving_variance))
    gamma = np.asarray(norm.gamma, np.float64) if norm.scale else 1.0
    beta = np.asarray(norm.beta, np.float64) if norm.center else 0.0
    scale = gamma / np.sqrt(variance + norm.epsilon)
    # A depthwise kernel is [height, width, in, multiplier]; its output channels count through the last two axes.
    per_output = scale.reshape(kernel.shape[2:]) if isinstance(linear, keras.layers.DepthwiseConv2D) else scale
    return [kernel * per_output, beta + scale * ((bias[0] if bias else 0.0) - mean)]

"""A Keras network as a program for `kerascnn.ops.inference_program`: its layers become instructions, then fewer.

What can be lowered is said by `_LAYERS`: convolutions with any groups, dense layers on maps and vectors, batch norms,
activations, pools, averages, padding by zeros, softmax, and what does nothing at inference; by `lowering_merges` sums,
means, concatenations and gates of one number a channel; by `lowering_tokens` what transformers have besides.
What is joined then, `program_builder` says.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from kerascnn import _check, layers
from kerascnn._errors import InputError
from kerascnn.inference.lowering_merges import MERGES, OPERATIONS
from kerascnn.inference.lowering_tokens import TOKEN_LAYERS
from kerascnn.inference.program_builder import NO_PADDING, Builder, Node
from kerascnn.layers.gelu import gelu
from kerascnn.layers.tanh_gelu import tanh_gelu
from kerascnn.ops.inference_program import SAME, Program
from kerascnn.surgery.folding import fold_batch_norm
from kerascnn.surgery.graph import Call, Graph, walk
from kerascnn.surgery.replace import called

QUANTIZED = ("int8",)
L = keras.layers
A = keras.activations
_ACTIVATIONS = {
    A.linear: "linear", A.relu: "relu", A.relu6: "relu6", A.silu: "silu", A.hard_silu: "hard_silu",
    A.hard_sigmoid: "hard_sigmoid", A.sigmoid: "sigmoid", A.gelu: "gelu", gelu: "gelu", A.tanh: "tanh",
    tanh_gelu: "gelu_tanh", A.softmax: "softmax",
}  # fmt: skip


def lowered(model: keras.Model, quantize: str | None = None) -> Program:
    """A network as one program, its batch norms folded first.

    Args:
        model: functional or built sequential, with one input, images [batch, height, width, channels], and one output;
            sizes of images may be open. It does not change.
        quantize: "int8": products of 8 bits, but for the first and the last of the network, depthwise and grouped
            convolutions, and those of less than 16 filters (64 where Winograd's algorithm may compute them); what they
            are multiplied by follows from the numbers as they come (`kerascnn.ops._int8`). None: float32.

    Returns:
        The program, with constants of its own.

    Raises:
        InputError: the model has no graph, another number of inputs or outputs, or a layer that no instruction stands
            for, or there is no such kind of quantization, or nothing that could be quantized.

    Example:

        program = inference.lowered(kerascnn.create_model("mobilenetv2_100"))
        probabilities = ops.inference_program(images, program)
    """
    folded, _ = fold_batch_norm(model)
    graph = walk(folded)
    single = len(graph.inputs) == len(graph.outputs) == 1
    if not single or len(graph.inputs[0].shape) != 4 or len(graph.outputs[0].shape) not in (2, 4):
        raise InputError(
            "A network must take one list of images and give one result, vectors or maps, to be lowered. "
            f"Received: inputs {[x.shape for x in graph.inputs]}, outputs {[x.shape for x in graph.outputs]}"
        )
    program = program_of(graph, quantize)
    check_quantized(quantize, [program], model)
    return program


def check_quantized(quantize: str | None, programs: Iterable[Program], model: keras.Model) -> None:
    """Refuses to call a network quantized of which nothing is."""
    kinds = {step.kind for program in programs for step in program.instructions}
    if quantize is not None and "conv_int8" not in kinds:
        raise InputError(
            f"With quantize={quantize} a network must have a convolution of one group, or a dense layer, of enough "
            f"filters between its first and its last, see `kerascnn.inference.lowered`. Received: {model.name}"
        )


def program_of(graph: Graph, quantize: str | None = None) -> Program:
    """The calls of a graph with one input, a map, and one output, vectors or maps; quantize as `lowered` takes it.

    Raises:
        InputError: no instruction stands for one of them.
    """
    if quantize is not None:
        _check.one_of("quantize", quantize, QUANTIZED)
    lowering = Builder(graph)
    for call in graph.calls:
        if not lower(lowering, call):
            raise InputError(
                "Every layer must be one that an instruction of an inference program stands for. "
                f"Received: {call.name}, {called(call.operation)}"
            )
    return lowering.program(quantize)


def lower(lowering: Builder, call: Call) -> bool:
    """Adds the instructions for a call; False where there are none, after which the builder makes no program."""
    rule = _LAYERS.get(type(call.operation)) or OPERATIONS.get(_operation_name(call.operation))
    return rule is not None and len(call.outputs) == 1 and rule(lowering, call)


def _operation_name(operation: keras.Operation) -> str | None:
    """Of an operation of `keras.ops`, its name."""
    own = type(operation).__module__.startswith("keras.src.ops.")
    return type(operation).__name__ if own else None


def _padding(layer) -> Any:
    if layer.padding == "same":
        return SAME
    return NO_PADDING if layer.padding == "valid" else tuple(tuple(map(int, sides)) for sides in layer.padding)


def _last(layer, rank: int) -> bool:
    return getattr(layer, "data_format", "channels_last") == "channels_last" and rank in (2, 4)


def _weights(layer) -> tuple[np.ndarray, np.ndarray | None]:
    bias = np.asarray(layer.bias) if layer.use_bias else None
    return np.asarray(layer.kernel), bias


def _convolve(lowering: Builder, call: Call, kernel: np.ndarray) -> bool:
    layer = call.operation
    if not _last(layer, len(call.x)) or layer.padding == "causal":
        return False
    bias = np.asarray(layer.bias) if layer.use_bias else None
    strides, dilations = tuple(layer.strides), tuple(layer.dilation_rate)
    whole = kernel.shape[2] == call.x[-1]
    node = Node("conv", lowering.source(call), kernel, bias, strides=strides, dilations=dilations, whole=whole)
    return _activated(lowering, call, dataclasses.replace(node, padding=_padding(layer)), layer.activation)


def _activated(lowering, call, node, activation) -> bool:
    if activation not in _ACTIVATIONS:
        return False
    name = _ACTIVATIONS[activation]
    if name != "softmax":
        lowering.window(call, dataclasses.replace(node, activation=name))
        return True
    lowering.add(call, Node("softmax", lowering.between(lowering.with_source(call, node))))
    return True


def _conv(lowering: Builder, call: Call) -> bool:
    return _convolve(lowering, call, np.asarray(call.operation.kernel))


def _depthwise(lowering: Builder, call: Call) -> bool:
    kernel = np.asarray(call.operation.kernel)
    return _convolve(lowering, call, kernel.reshape(*kernel.shape[:2], 1, -1))


def _dense(lowering: Builder, call: Call) -> bool:
    if len(call.x) not in (2, 3, 4):
        return False
    kernel, bias = _weights(call.operation)
    node = Node("conv", lowering.source(call), kernel[None, None], bias, whole=True)
    return _activated(lowering, call, node, call.operation.activation)


def _norm(lowering: Builder, call: Call) -> bool:
    layer = call.operation
    if call.arguments.get("training") or layer.axis % len(call.x) != len(call.x) - 1 or len(call.x) not in (2, 3, 4):
        return False
    mean, variance = (np.asarray(v, np.float64) for v in (layer.moving_mean, layer.moving_variance))
    scale = (np.asarray(layer.gamma, np.float64) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    shift = (np.asarray(layer.beta, np.float64) if layer.center else 0.0) - mean * scale
    lowering.add(call, Node("pass", lowering.source(call), scale=scale, shift=shift))
    return True


def _activation(lowering: Builder, call: Call) -> bool:
    if call.operation.activation not in _ACTIVATIONS:
        return False
    lowering.activate(call, _ACTIVATIONS[call.operation.activation])
    return True


def _relu(lowering: Builder, call: Call) -> bool:
    layer = call.operation
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6):
        return False
    lowering.activate(call, "relu" if layer.max_value is None else "relu6")
    return True


def _softmax(lowering: Builder, call: Call) -> bool:
    if call.operation.axis not in (-1, len(call.x) - 1) or len(call.inputs) != 1:
        return False
    lowering.activate(call, "softmax")
    return True


def _pool(mean: bool) -> Callable:
    def lower(lowering: Builder, call: Call) -> bool:
        layer = call.operation
        if not _last(layer, len(call.x)):
            return False
        node = Node("pool", lowering.source(call), window=tuple(layer.pool_size), strides=tuple(layer.strides))
        lowering.window(call, dataclasses.replace(node, padding=_padding(layer), mean=mean))
        return True

    return lower


def _global_mean(lowering: Builder, call: Call) -> bool:
    if not _last(call.operation, len(call.x)):
        return False
    lowering.add(call, Node("mean", lowering.source(call)))
    return True


def _global_maximum(lowering: Builder, call: Call) -> bool:
    if not _last(call.operation, len(call.x)) or None in call.x[1:3]:
        return False
    lowering.add(call, Node("pool", lowering.source(call), window=call.x[1:3]))
    return True


def _adaptive_mean(lowering: Builder, call: Call) -> bool:
    sizes, wanted = call.x[1:3], call.y[1:3]
    if (
        not _last(call.operation, len(call.x))
        or None in sizes
        or any(a % b for a, b in zip(sizes, wanted, strict=True))
    ):
        return False
    window = tuple(a // b for a, b in zip(sizes, wanted, strict=True))
    if window == (1, 1):
        lowering.skip(call)
    else:
        lowering.add(call, Node("pool", lowering.source(call), window=window, strides=window, mean=True))
    return True


def _zero_pad_shortcut(lowering: Builder, call: Call) -> bool:
    """Every so many pixels, with channels of zeros behind: a convolution with ones."""
    kernel = np.eye(call.x[-1], call.y[-1])[None, None]
    lowering.window(call, Node("conv", lowering.source(call), kernel, strides=(call.operation.strides,) * 2))
    return True


def _rescale(lowering: Builder, call: Call) -> bool:
    return _scaled(lowering, call, call.operation.scale, call.operation.offset)


def _scaled(lowering: Builder, call: Call, scale: Any, shift: Any) -> bool:
    scale, shift = (np.broadcast_to(np.asarray(v, np.float32), call.x[-1:]) for v in (scale, shift))
    lowering.add(call, Node("pass", lowering.source(call), scale=scale, shift=shift))
    return True


def _drop_path(lowering: Builder, call: Call) -> bool:
    layer = call.operation
    if not layer.rate or layer.scale_at == "training":
        return _nothing(lowering, call)
    return not call.arguments.get("training") and _scaled(lowering, call, 1 - layer.rate, 0.0)


def _pad(lowering: Builder, call: Call) -> bool:
    if not _last(call.operation, len(call.x)):
        return False
    padding = tuple(tuple(map(int, sides)) for sides in call.operation.padding)
    lowering.add(call, Node("pad", lowering.source(call), padding=padding))
    return True


def _flatten(lowering: Builder, call: Call) -> bool:
    if len(call.x) == 2:
        lowering.skip(call)
    else:
        lowering.add(call, Node("flatten", lowering.source(call)))
    return len(call.x) in (2, 3, 4)


def _nothing(lowering: Builder, call: Call) -> bool:
    if call.arguments.get("training"):
        return False
    lowering.skip(call)
    return True


# Exactly these classes: a subclass may compute something else.
_LAYERS: dict[type, Callable[[Builder, Call], bool]] = {
    **dict.fromkeys((L.Conv2D, layers.Conv2D, layers.PlainConv2D), _conv),
    **dict.fromkeys((L.DepthwiseConv2D, layers.DepthwiseConv2D), _depthwise),
    L.Dense: _dense,
    **dict.fromkeys((L.BatchNormalization, layers.BatchNormalization), _norm),
    L.Activation: _activation,
    L.ReLU: _relu,
    L.Softmax: _softmax,
    L.Rescaling: _rescale,
    **dict.fromkeys((L.MaxPooling2D, layers.MaxPooling2D), _pool(mean=False)),
    **dict.fromkeys((L.AveragePooling2D, layers.AveragePooling2D), _pool(mean=True)),
    L.GlobalAveragePooling2D: _global_mean,
    L.GlobalMaxPooling2D: _global_maximum,
    L.AdaptiveAveragePooling2D: _adaptive_mean,
    layers.ZeroPadShortcut: _zero_pad_shortcut,
    L.ZeroPadding2D: _pad,
    L.Flatten: _flatten,
    **dict.fromkeys((L.Identity, L.Dropout, L.SpatialDropout2D, layers.StageOutput), _nothing),
    layers.DropPath: _drop_path,
    **MERGES,
    **TOKEN_LAYERS,
}

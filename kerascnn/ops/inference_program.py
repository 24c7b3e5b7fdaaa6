"""A whole network for inference as one op: a program of a few kinds of instructions, and its constants."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.ops import _native, _token_steps
from kerascnn.ops._int8 import convolved_int8
from kerascnn.ops._pooling import avg_pool2d, max_pool2d
from kerascnn.ops.convolution import conv2d

OP = "Kerascnn>InferenceProgram"
VERSION = 1
# Numbers of serialized programs (csrc/kernels/program.h, csrc/common/activation.h), which never change.
KINDS = {
    "conv": 1, "pool": 2, "mean": 3, "pass": 4, "concat": 5, "softmax": 6, "flatten": 7, "norm": 8, "attention": 9,
    "reshape": 10, "crop": 11, "stack": 12, "transpose": 13, "patches": 14, "conv_int8": 15,
}  # fmt: skip
ACTIVATIONS = (
    "linear", "relu", "relu6", "silu", "hard_silu", "hard_sigmoid", "sigmoid", "gelu", "gelu_tanh", "tanh",
)  # fmt: skip
SAME = ((-1, -1), (-1, -1))
NONE = -1
_VALUES = ("x", "residual", "gate", "parts")
_CONSTANTS = ("filter", "bias", "scale", "shift", "token", "position")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One step: value i + 1 is what instruction i makes, value 0 the images. -1 names no value and no constant."""

    kind: str  # of KINDS; conv_int8: a conv of one group whose products are of 8 bits, see `_int8`
    x: int = NONE  # value that is read
    filter: int = NONE  # conv: constant [height, width, in / groups, out]
    bias: int = NONE  # conv: constant [out]; attention: constant [heads, tokens, tokens] that is added to the scores
    residual: int = NONE  # conv, pass, transpose: value to be added before the activation
    gate: int = NONE  # conv, pass: value [batch, 1, 1, channels] that x is multiplied by
    scale: int = NONE  # conv, pass, norm: constant [channels] that x is multiplied by; a ReLU follows before a conv
    shift: int = NONE  # conv, pass, norm: constant [channels]
    activation: str = "linear"  # conv, pass: of ACTIVATIONS
    window: tuple[int, int] = (1, 1)  # pool, patches
    strides: tuple[int, int] = (1, 1)  # conv, pool, patches
    dilations: tuple[int, int] = (1, 1)  # conv
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))  # conv, pool, patches; or SAME
    mean: bool = False  # pool: the mean instead of the greatest
    zeros: bool = False  # pool: the padding is zeros that count, else it is not there
    parts: tuple[int, ...] = ()  # concat, stack: values
    number: float = 0.0  # norm: what is added to the variance; attention: what scores are multiplied by
    heads: int = 1  # attention
    side: int = 0  # attention: of windows; 0: one sequence of all pixels
    roll: int = 0  # attention: how far the map is rolled up and left before windows tile it, and back after
    extents: tuple[int, int, int] = (1, 1, 1)  # reshape: height, width, channels
    cut: tuple[tuple[int, int], ...] = ((0, 0),) * 3  # crop: rows, columns, channels that go, before and after
    token: int = NONE  # stack: constant whose rows come first, the same for all images
    position: int = NONE  # stack: constant of the result's shape, which is added
    order: str = "rows"  # patches: "rows", "columns" or "channels" of a window come first

    def fields(self) -> list[int]:
        """The numbers behind the kind, in their order."""
        padding = [side for axis in self.padding for side in axis]
        activation = ACTIVATIONS.index(self.activation)
        match self.kind:
            case "conv" | "conv_int8":
                sources = [self.x, self.filter, self.bias, self.residual, self.gate, self.scale, self.shift]
                return [*sources, activation, *self.strides, *self.dilations, *padding]
            case "pool":
                return [self.x, int(self.mean), int(self.zeros), *self.window, *self.strides, *padding]
            case "pass":
                return [self.x, self.residual, self.gate, self.scale, self.shift, activation]
            case "concat":
                return list(self.parts)
            case "norm":
                return [self.x, self.scale, self.shift, _bits(self.number)]
            case "attention":
                return [self.x, self.heads, _bits(self.number), self.side, self.roll, self.bias]
            case "reshape":
                return [self.x, *self.extents]
            case "crop":
                return [self.x, *(side for axis in self.cut for side in axis)]
            case "stack":
                return [self.token, self.position, *self.parts]
            case "transpose":
                return [self.x, self.residual]
            case "patches":
                order = list(_token_steps.ORDERS).index(self.order)
                return [self.x, order, *self.window, *self.strides, *padding]
        return [self.x]


def _bits(number: float) -> int:
    """Those of a float32."""
    return int(np.float32(number).view(np.uint32))


@dataclasses.dataclass(frozen=True)
class Program:
    """A network: its instructions, and the constants that they name."""

    instructions: tuple[Instruction, ...]
    constants: tuple[np.ndarray, ...] = dataclasses.field(repr=False)
    flat: bool  # whether the result is [batch, channels] instead of [batch, height, width, channels]

    def numbers(self) -> list[int]:
        """The program as the op's attribute."""
        numbers = [VERSION, len(self.constants)]
        for constant in self.constants:
            numbers += [constant.ndim, *constant.shape]
        numbers.append(len(self.instructions))
        for instruction in self.instructions:
            fields = instruction.fields()
            numbers += [KINDS[instruction.kind], len(fields), *fields]
        return numbers

    def joined(self) -> np.ndarray:
        """All constants one after the other, float32: a graph holds one node instead of hundreds."""
        parts = [np.asarray(constant, np.float32).ravel() for constant in self.constants]
        return np.concatenate([np.zeros(0, np.float32), *parts])


def computes_in_8_bits(numbers: Sequence[int]) -> bool:
    """Whether a program, as the op's attribute, has products of 8 bits; False of numbers that are no program."""
    given, kinds = iter(numbers), []
    try:
        next(given)  # the version
        for _ in range(next(given)):
            _skip(given, next(given))
        for _ in range(next(given)):
            kinds.append(next(given))
            _skip(given, next(given))
    except StopIteration:
        return False
    return KINDS["conv_int8"] in kinds


def _skip(given: Iterator[int], count: int) -> None:
    for _ in range(count):
        next(given)


def inference_program(images: Any, program: Program, constants: Any = None) -> tf.Tensor:
    """Runs a network as one op, with its filters packed at the first run.

    Convolutions are matrix products in the registers' layout; biases, activations, sums with a residual branch and the
    gates of squeeze-and-excitation are part of them, and parts of a concatenation are written where it wants them. Not
    differentiable; float32 on a CPU.

    Which implementation runs: this package's kernel; plain TensorFlow (`reference`) where the library is absent or
    switched off, on a GPU, under XLA, and in graphs that are exported without native ops.

    Args:
        images: float32 [batch, height, width, channels].
        program: the network, as `kerascnn.inference.lowered` makes it.
        constants: `program.joined()` as a tensor, where a caller keeps it as a variable; None: a constant in the graph.

    Returns:
        float32 [batch, channels] where `program.flat`, else [batch, height, width, channels].

    Raises:
        InputError: an argument is of another type or shape, or the program's numbers are wrong.
    """
    images = _checked(images, program)
    if not _native.usable():
        return _computed(images, program, constants)
    joined = tf.constant(program.joined()) if constants is None else tf.convert_to_tensor(constants)
    try:
        return _native.library().kerascnn_inference_program(
            images=images, constants=joined, program=program.numbers(), flat=program.flat
        )
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        reason = " ".join(str(getattr(error, "message", error)).split())
        raise InputError(f"The program must fit the images. Received: shape={images.shape} ({reason[:300]})") from error


@tf.RegisterGradient(OP)
def _gradient(op, dy):
    rule = "An inference program has no derivative; differentiate the model that it was made of"
    raise InputError(f"{rule}. Received: a gradient of images of {op.inputs[0].shape}")


def reference(images: Any, program: Program) -> tf.Tensor:
    """The same in plain TensorFlow, instruction by instruction.

    Takes and returns what `inference_program` does.
    """
    return _computed(_checked(images, program), program, None)


def _checked(images, program) -> tf.Tensor:
    if not isinstance(program, Program) or not program.instructions:
        raise _check.refuse("program", "a Program with instructions", program)
    images = tf.convert_to_tensor(images)
    if images.dtype != tf.float32 or images.shape.rank != 4:
        raise InputError(
            "`images` must be float32 [batch, height, width, channels]. "
            f"Received: dtype={images.dtype.name}, shape={images.shape}"
        )
    _check_numbers(program)
    return images


def _check_numbers(program: Program) -> None:
    for number, step in enumerate(program.instructions):
        known = step.kind in KINDS and step.activation in ACTIVATIONS and step.order in _token_steps.ORDERS
        values = _named(step, _VALUES)
        constants = _named(step, _CONSTANTS)
        if not known or not all(-1 <= v <= number for v in values):
            raise InputError(f"An instruction must be of a known kind and read values before it. Received: {step}")
        if not all(-1 <= c < len(program.constants) for c in constants):
            raise InputError(f"An instruction must read constants of the program. Received: {step}")


def _named(step: Instruction, names: Sequence[str]) -> list[int]:
    found = [getattr(step, name) for name in names]
    return [v for entry in found for v in (entry if isinstance(entry, tuple) else (entry,))]


def _computed(images: tf.Tensor, program: Program, constants: Any) -> tf.Tensor:
    values = [images]
    pieces = _pieces(program, constants)
    for step in program.instructions:
        values.append(_step(step, values, pieces))
    result = values[-1]
    return tf.reshape(result, (-1, result.shape[-1])) if program.flat else result


def _pieces(program: Program, constants: Any) -> list[tf.Tensor]:
    if constants is None:
        return [tf.constant(np.asarray(constant, np.float32)) for constant in program.constants]
    sizes = [constant.size for constant in program.constants]
    split = tf.split(tf.convert_to_tensor(constants), sizes)
    return [tf.reshape(part, constant.shape) for part, constant in zip(split, program.constants, strict=True)]


def _step(step: Instruction, values: list[tf.Tensor], constants: list[tf.Tensor]) -> tf.Tensor:
    if step.parts:
        parts = [values[part] for part in step.parts]
        return tf.concat(parts, axis=-1) if step.kind == "concat" else _token_steps.stack(step, parts, constants)
    x = values[step.x]
    match step.kind:
        case "conv" | "conv_int8":
            return _activated(step, _convolved(step, x, values, constants), values)
        case "pool":
            return _pooled(step, x)
        case "mean":
            return tf.reduce_mean(x, axis=(1, 2), keepdims=True)
        case "pass":
            x = x if step.scale == NONE else x * constants[step.scale]
            x = x if step.gate == NONE else x * values[step.gate]
            x = x if step.shift == NONE else x + constants[step.shift]
            return _activated(step, x, values)
        case "softmax":
            return tf.nn.softmax(x)
        case "norm":
            return _token_steps.norm(step, x, constants)
        case "attention":
            return _token_steps.attention(step, x, constants)
        case "reshape":
            return tf.reshape(x, (-1, *step.extents))
        case "crop":
            return _token_steps.crop(step, x)
        case "transpose":
            return _token_steps.transpose(step, x, values)
        case "patches":
            return _token_steps.patches(step, x)
    return tf.reshape(x, (-1, 1, 1, int(np.prod(x.shape[1:]))))


def _convolved(step, x, values, constants):
    if step.scale != NONE:
        x = tf.nn.relu(x * constants[step.scale] + constants[step.shift])
    if step.gate != NONE:
        x = x * values[step.gate]
    filters = constants[step.filter]
    padding = "same" if step.padding == SAME else step.padding
    groups = x.shape[-1] // filters.shape[2]
    if step.kind == "conv_int8":
        y = convolved_int8(x, filters, step.strides, padding, step.dilations)
    else:
        y = conv2d(x, filters, step.strides, padding, step.dilations, groups)
    return y if step.bias == NONE else y + constants[step.bias]


def _pooled(step, x):
    pool = avg_pool2d if step.mean else max_pool2d
    padding = "same" if step.padding == SAME else step.padding
    if step.zeros and padding != "same":
        x, padding = tf.pad(x, ((0, 0), *padding, (0, 0))), "valid"
    return pool(x, step.window, step.strides, padding)


def _activated(step, x, values):
    x = x if step.residual == NONE else x + values[step.residual]
    match step.activation:
        case "relu":
            return tf.nn.relu(x)
        case "relu6":
            return tf.nn.relu6(x)
        case "silu":
            return tf.nn.silu(x)
        case "hard_silu":
            return x * tf.nn.relu6(x + 3) / 6
        case "hard_sigmoid":
            return tf.nn.relu6(x + 3) / 6
        case "sigmoid":
            return tf.sigmoid(x)
        case "gelu":
            return tf.nn.gelu(x, approximate=False)
        case "gelu_tanh":
            return tf.nn.gelu(x, approximate=True)
        case "tanh":
            return tf.tanh(x)
    return x

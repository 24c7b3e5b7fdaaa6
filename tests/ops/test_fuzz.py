"""Thousands of random invalid calls of every raw op: each is refused in words, none crashes, hangs or overflows."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from fuzzing import DTYPES, Call, break_call, output_size, pick, random_convolution, whole

from kerascnn.ops import _native
from kerascnn.ops.inference_program import ACTIVATIONS, SAME, Instruction, Program

pytestmark = pytest.mark.skipif(_native.library() is None, reason="the op library is not built here")
REFUSALS = 5000


def conv2d(rng) -> Call:
    x, filters, _, window = random_convolution(rng)
    return Call({"x": x, "filters": filters}, {}, window, pick(rng, DTYPES))


def fused_conv2d(rng) -> Call:
    call = conv2d(rng)
    call.shapes["bias"] = call.shapes["filters"][3:]
    call.attributes["relu"] = bool(rng.integers(2))
    return call


def conv2d_input_gradient(rng) -> Call:
    x, filters, y, window = random_convolution(rng)
    return Call({"filters": filters, "dy": y}, {"x_shape": x}, window, pick(rng, DTYPES))


def conv2d_filter_gradient(rng) -> Call:
    x, filters, y, window = random_convolution(rng)
    return Call({"x": x, "dy": y}, {"filters_shape": filters}, window, pick(rng, DTYPES))


def lrn(rng) -> Call:
    x = [whole(rng, 0, 4) for _ in range(whole(rng, 2, 5))]
    constants = [1.0, 0.0, 1e-4, 0.0, 0.75, 0.0]
    return Call({"x": x}, {}, {"depth_radius": whole(rng, 0, 5), "constants": constants}, pick(rng, DTYPES))


def lrn_gradient(rng) -> Call:
    call = lrn(rng)
    call.shapes["dy"] = list(call.shapes["x"])
    return call


def pooling(rng) -> tuple[list[int], list[int], dict]:
    """Shapes of x and y, and the attributes."""
    x = [whole(rng, 0, 2), whole(rng, 3, 9), whole(rng, 3, 9), whole(rng, 0, 5)]
    attributes = {
        "ksize": [whole(rng, 1, 3), whole(rng, 1, 3)],
        "strides": [whole(rng, 1, 3), whole(rng, 1, 3)],
        "padding": pick(rng, ("SAME", "VALID")),
        "rate": [0.25, 0.0, 0.0],
        "per_channel": bool(rng.integers(2)),
    }
    sizes = zip(x[1:3], attributes["ksize"], attributes["strides"], strict=True)
    extent = [output_size(size, window, stride, 1, attributes["padding"], (0, 0)) for size, window, stride in sizes]
    return x, [x[0], *extent, x[3]], attributes


def saf_pool2d(rng) -> Call:
    x, _, attributes = pooling(rng)
    return Call({"x": x}, {"seed": [1, 2]}, attributes, pick(rng, DTYPES))


def saf_pool2d_gradient(rng) -> Call:
    x, y, attributes = pooling(rng)
    return Call({"dy": y}, {"x_shape": x}, attributes, pick(rng, DTYPES), {"state": np.zeros(y, np.uint8)})


def resize2d(rng) -> Call:
    shape = [whole(rng, 1, 9), whole(rng, 1, 9), whole(rng, 1, 5)]
    shape = [whole(rng, 1, 3), *shape] if rng.integers(2) else shape
    attributes = {"interpolation": pick(rng, ("bilinear", "bicubic"))}
    return Call({"x": shape}, {"size": [whole(rng, 1, 9), whole(rng, 1, 9)]}, attributes, "uint8", whole="int32")


def deform_conv2d(rng) -> Call:
    x, filters, y, window = random_convolution(rng)
    taps, modulated = filters[0] * filters[1], bool(rng.integers(2))
    offset_groups = pick(rng, [n for n in range(1, x[3] + 1) if x[3] % n == 0])
    mask = [*y[:3], offset_groups * taps] if modulated else [0]
    shapes = {"x": x, "filters": filters, "offset": [*y[:3], 2 * offset_groups * taps], "mask": mask}
    return Call(shapes, {}, window | {"modulated": modulated}, pick(rng, DTYPES))


def deform_conv2d_gradient(rng) -> Call:
    call = deform_conv2d(rng)
    call.shapes["dy"] = [*call.shapes["offset"][:3], call.shapes["filters"][3]]
    return call


def program(rng) -> Call:
    """A convolution, something that reads it, and often the mean, flat."""
    channels, filters, kernel = whole(rng, 1, 5), whole(rng, 1, 6), (whole(rng, 1, 3), whole(rng, 1, 3))
    constants = (np.zeros((*kernel, channels, filters), np.float32), np.zeros(filters, np.float32))
    window = {"strides": (whole(rng, 1, 2), whole(rng, 1, 2)), "padding": pick(rng, (SAME, ((0, 1), (2, 0))))}
    steps = [Instruction("conv", x=0, filter=0, bias=1, activation=pick(rng, ACTIVATIONS), **window)]
    steps.append(
        pick(
            rng,
            (
                Instruction("pass", x=1, residual=1, shift=1, scale=1, activation="relu"),
                Instruction("pool", x=1, window=(2, 2), padding=SAME, mean=bool(rng.integers(2))),
                Instruction("concat", parts=(1, 1)),
                Instruction("softmax", x=1),
                Instruction("norm", x=1, scale=1, shift=1, number=1e-6),
                Instruction("attention", x=1, heads=1, number=0.5, side=whole(rng, 0, 2), roll=whole(rng, 0, 1)),
                Instruction("reshape", x=1, extents=(whole(rng, 1, 9), 1, filters)),
                Instruction("crop", x=1, cut=((0, 1), (1, 0), (0, 1))),
                Instruction("stack", token=1, parts=(1, 1)),
                Instruction("transpose", x=1),
                Instruction("patches", x=1, window=(2, 1), strides=(2, 2), padding=SAME, order="columns"),
            ),
        )
    )
    flat = bool(rng.integers(2))
    steps += [Instruction("mean", x=2)] * flat
    made = Program(tuple(steps), constants, flat)
    shapes = {"images": [whole(rng, 0, 2), whole(rng, 3, 9), whole(rng, 3, 9), channels]}
    shapes["constants"] = list(made.joined().shape)
    return Call(shapes, {}, {"program": made.numbers(), "flat": flat}, "float32")


def gelu_gradient(rng) -> Call:
    x = [whole(rng, 0, 4) for _ in range(whole(rng, 0, 4))]
    return Call({"x": x, "dy": list(x)}, {}, {}, pick(rng, ("float32", "bfloat16")))


def layer_norm(rng) -> Call:
    x = [whole(rng, 0, 4) for _ in range(whole(rng, 1, 4))]
    return Call({"x": x, "scale": x[-1:], "shift": x[-1:]}, {}, {"epsilon": 1e-6}, "float32")


def layer_norm_gradient(rng) -> Call:
    call = layer_norm(rng)
    call.shapes["dy"] = list(call.shapes["x"])
    del call.shapes["shift"]
    return call


def attention(rng) -> Call:
    heads = whole(rng, 1, 4)
    x = [whole(rng, 0, 2), whole(rng, 0, 5), 3 * heads * whole(rng, 1, 4)]
    return Call({"x": x}, {}, {"heads": heads, "scale": 0.5}, "float32")


def attention_gradient(rng) -> Call:
    call = attention(rng)
    x = call.shapes["x"]
    call.shapes["dy"] = [*x[:2], x[2] // 3]
    return call


OPS: dict[str, Callable] = {
    "conv2d": conv2d,
    "fused_conv2d": fused_conv2d,
    "conv2d_input_gradient": conv2d_input_gradient,
    "conv2d_filter_gradient": conv2d_filter_gradient,
    "deform_conv2d": deform_conv2d,
    "deform_conv2d_gradient": deform_conv2d_gradient,
    "gelu_gradient": gelu_gradient,
    "inference_program": program,
    "layer_normalization": layer_norm,
    "layer_normalization_gradient": layer_norm_gradient,
    "local_response_normalization": lrn,
    "local_response_normalization_gradient": lrn_gradient,
    "resize2d": resize2d,
    "saf_pool2d": saf_pool2d,
    "saf_pool2d_gradient": saf_pool2d_gradient,
    "self_attention": attention,
    "self_attention_gradient": attention_gradient,
}
NEVER_WRONG = {"gelu"}  # one input of any shape, and no attribute


def test_every_op_is_fuzzed():
    registered = {name for name in dir(_native.library()) if name.startswith("kerascnn_")}
    registered = {name for name in registered if not name.endswith("_eager_fallback")}
    assert registered == {f"kerascnn_{name}" for name in NEVER_WRONG.union(OPS)}


@pytest.mark.after
@pytest.mark.parametrize("name", OPS)
def test_invalid_calls_are_refused_in_words(name):
    rng = np.random.default_rng(list(name.encode()))
    function = getattr(_native.library(), f"kerascnn_{name}")
    refused = accepted = 0
    while refused < REFUSALS:
        call = OPS[name](rng)
        for _ in range(whole(rng, 1, 3)):
            break_call(rng, call)
        try:
            function(**call.inputs(), **call.attributes)
            accepted += 1
        except tf.errors.InvalidArgumentError as error:
            assert len(re.findall(r"[A-Za-z]{2,}", error.message)) >= 3, (error.message, call)
            refused += 1
        except tf.errors.ResourceExhaustedError:  # valid, but filters of 2^31 rows fit into no memory
            accepted += 1
        assert accepted < REFUSALS, "most broken calls pass"

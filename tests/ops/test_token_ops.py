"""ops.gelu, layer_normalization, self_attention: formulas, derivatives, what is kept, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.ops import _native, layer_norm, native
from kerascnn.ops.gelu import reference as plain_gelu
from kerascnn.ops.self_attention import reference as plain_attention

needs_library = pytest.mark.skipif(_native.library() is None, reason="kerascnn was not built here")
TOLERANCES = {"float32": 2e-6, "bfloat16": 1e-2, "float64": 1e-12, "float16": 2e-3}


def normal(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=shape)


def derivatives(function, arguments, dtype):
    """The value, its derivatives, and the derivatives of a sum of these squared."""
    arguments = [tf.cast(a, kind) for a, kind in zip(arguments, dtype, strict=True)]
    with tf.GradientTape() as outer:
        outer.watch(arguments)
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            y = function(*arguments)
            loss = tf.reduce_sum(tf.cast(y, tf.float64) ** 3)
        first = tape.gradient(loss, arguments)
        total = tf.add_n([tf.reduce_sum(tf.cast(g, tf.float64) ** 2) for g in first])
    return y, first, outer.gradient(total, arguments)


def close(got, want, tolerance):
    want = tf.cast(want, tf.float64).numpy()
    np.testing.assert_allclose(tf.cast(got, tf.float64), want, atol=tolerance * max(1.0, np.abs(want).max(initial=0.0)))


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", [(3, 5, 33), (0, 4), (), (2049,)])
def test_gelu_and_two_derivatives(mode, dtype, shape):
    x = normal(*shape, scale=2.0)
    want = derivatives(plain_gelu, [x], [tf.float64])
    with native(mode):
        y, (dx,), (second,) = derivatives(ops.gelu, [x], [dtype])
    assert y.dtype == dx.dtype == dtype and y.shape == dx.shape == shape
    close(y, want[0], TOLERANCES[dtype])
    close(dx, want[1][0], 10 * TOLERANCES[dtype])
    close(second, want[2][0], 50 * TOLERANCES[dtype])


def test_gelu_equals_its_definition():
    torch_values = {
        -3.0: -0.0040496940,
        -1.0: -0.15865526,
        -0.5: -0.15426877,
        0.0: 0.0,
        0.5: 0.34573123,
        2.0: 1.9544997,
    }
    got = ops.gelu(tf.constant(list(torch_values), tf.float32))
    np.testing.assert_allclose(got, list(torch_values.values()), atol=1e-6)


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", [(3, 5, 33), (130, 16), (0, 4), (7,), (2, 3, 4, 1)])
def test_layer_norm_and_two_derivatives(mode, dtype, shape):
    wide = tf.float64 if dtype == "float64" else tf.float32
    arguments = [normal(*shape), normal(shape[-1], seed=1), normal(shape[-1], seed=2)]
    if dtype in ("bfloat16", "float16"):  # the numbers that it has
        arguments[0] = tf.cast(tf.cast(arguments[0], dtype), tf.float64).numpy()
    want = derivatives(lambda *a: layer_norm.reference(*a, 1e-2), arguments, [tf.float64] * 3)
    with native(mode):
        y, first, second = derivatives(lambda *a: ops.layer_normalization(*a, 1e-2), arguments, [dtype, wide, wide])
    assert y.dtype == dtype and y.shape == shape and [g.dtype for g in first] == [dtype, wide, wide]
    close(y, want[0], TOLERANCES[dtype])
    for got, expected in zip(first, want[1], strict=True):
        close(got, expected, 20 * TOLERANCES[dtype])
    if dtype in ("float32", "float64"):
        for got, expected in zip(second, want[2], strict=True):
            close(got, expected, 100 * TOLERANCES[dtype])


def test_layer_norm_far_from_zero():
    x = (normal(4, 64) + 1000).astype("float32")
    want = layer_norm.reference(*(tf.constant(a, tf.float64) for a in (x, np.ones(64), np.zeros(64))))
    close(ops.layer_normalization(x, tf.ones(64), tf.zeros(64)), want, 1e-4)


@needs_library
def test_what_is_no_number_shows():
    x = np.ones((3, 20), "float32")
    x[1, 4] = np.nan
    y = ops.layer_normalization(x, tf.ones(20), tf.zeros(20)).numpy()
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()
    assert np.isnan(ops.gelu(tf.constant(x)).numpy()).sum() == 1


@needs_library
@pytest.mark.parametrize("function", ["gelu", "layer_normalization"])
def test_a_step_keeps_its_input_alone(function):
    """Of the forward part, the derivative asks for the input and the scale."""

    @tf.function(autograph=False)
    def step(x, scale, shift):
        with tf.GradientTape() as tape:
            tape.watch((x, scale, shift))
            y = ops.gelu(x) if function == "gelu" else ops.layer_normalization(x, scale, shift)
            loss = tf.reduce_sum(y)
        return tape.gradient(loss, x)

    with native("require"):
        graph = step.get_concrete_function(tf.TensorSpec((4, 8)), tf.TensorSpec(8), tf.TensorSpec(8)).graph
    (gradient,) = [op for op in graph.get_operations() if op.type.endswith("Gradient")]
    forward = {tensor.op.type for tensor in gradient.inputs if "gradient_tape" not in tensor.op.name}
    assert forward <= {"Placeholder"}


@pytest.mark.parametrize("exported", [True, False])
def test_an_export_holds_tensorflows_ops(exported):
    def compute(x):
        return ops.gelu(ops.layer_normalization(x, tf.ones(8), tf.zeros(8)))

    function = tf.function(compute, input_signature=[tf.TensorSpec((None, 8))], autograph=False)
    with native("off" if exported else "auto"):
        kinds = {op.type for op in function.get_concrete_function().graph.get_operations()}
    assert not any(kind.startswith("Kerascnn>") for kind in kinds)


WRONG = {
    "whole numbers": (lambda: ops.gelu(tf.constant([1, 2])), "`x` must be a float tensor. Received: int32"),
    "no channels": (lambda: ops.layer_normalization(1.0, [1.0], [1.0]), "`x` must be a float tensor with channels"),
    "another number of channels": (
        lambda: ops.layer_normalization(tf.ones((2, 3)), tf.ones(4), tf.ones(3)),
        r"`scale` must have one float32 for each channel of `x`. Received: float32, shape \(4,\), x \(2, 3\)",
    ),
    "another type": (
        lambda: ops.layer_normalization(tf.ones((2, 3), tf.float64), tf.ones(3), tf.ones(3)),
        "`scale` must have one float64",
    ),
    "a negative epsilon": (
        lambda: ops.layer_normalization(tf.ones((2, 3)), tf.ones(3), tf.ones(3), -1.0),
        "`epsilon` must be a finite number of at least 0. Received: -1.0",
    ),
    "heads that do not divide": (
        lambda: ops.self_attention(tf.ones((1, 2, 12)), 3),
        r"`x` must be a float tensor \[batch, tokens, 3 d\], d known and a multiple of 3 heads. Received: float32",
    ),
    "no heads": (lambda: ops.self_attention(tf.ones((1, 2, 12)), 0), "`heads` must be"),
    "an endless scale": (
        lambda: ops.self_attention(tf.ones((1, 2, 12)), 2, float("inf")),
        "`scale` must be a finite number. Received: inf",
    ),
    "an epsilon in words": (
        lambda: ops.layer_normalization(tf.ones((2, 3)), tf.ones(3), tf.ones(3), "small"),
        "`epsilon` must be a finite number",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused(case):
    call, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        call()


@needs_library
def test_shapes_that_show_when_the_graph_runs():
    wrong = tf.function(
        lambda x, scale: ops.layer_normalization(x, scale, scale),
        input_signature=[tf.TensorSpec(None), tf.TensorSpec([None])],
        autograph=False,
    )
    with native("require"), pytest.raises(tf.errors.InvalidArgumentError, match="one number for each channel"):
        wrong(tf.ones((2, 3)), tf.ones(4))


ATTENTIONS = {  # shape of x, heads, scale
    "usual": ((2, 9, 36), 3, None),
    "more tokens than a block": ((1, 300, 12), 2, 0.7),
    "one token": ((3, 1, 6), 1, None),
    "no image": ((0, 5, 6), 1, None),
    "a wide head": ((1, 4, 780), 1, None),  # 260 features: plain TensorFlow
}


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("case", ATTENTIONS)
def test_attention_and_two_derivatives(mode, dtype, case):
    shape, heads, scale = ATTENTIONS[case]
    x = tf.cast(tf.cast(normal(*shape), dtype), tf.float64)
    used = scale if scale is not None else (shape[2] // 3 // heads) ** -0.5
    want = derivatives(lambda x: plain_attention(x, heads, used), [x], [tf.float64])
    with native(mode):
        y, (dx,), (second,) = derivatives(lambda x: ops.self_attention(x, heads, scale), [x], [dtype])
    assert y.dtype == dx.dtype == dtype and y.shape == (*shape[:2], shape[2] // 3) and dx.shape == shape
    close(y, want[0], 2 * TOLERANCES[dtype])
    close(dx, want[1][0], 10 * TOLERANCES[dtype])
    if dtype != "bfloat16":
        close(second, want[2][0], 50 * TOLERANCES[dtype])


@needs_library
def test_attention_is_keras_own():
    x = normal(2, 7, 24).astype("float32")
    query, key, value = np.moveaxis(x.reshape(2, 7, 3, 2, 4), 2, 0)
    want = keras.ops.dot_product_attention(query, key, value)
    with native("require"):
        np.testing.assert_allclose(ops.self_attention(x, 2), np.reshape(want, (2, 7, 8)), atol=1e-6)


@needs_library
def test_large_scores_and_no_numbers():
    x = normal(1, 5, 6).astype("float32") * 1e3
    y, (dx,), _ = derivatives(lambda x: ops.self_attention(x, 1), [x], ["float32"])
    assert np.isfinite(y).all() and np.isfinite(dx).all()
    x[0, 2, 1] = np.nan
    with tf.GradientTape() as tape:
        z = tf.constant(x)
        tape.watch(z)
        y = ops.self_attention(z, 1)
    assert np.isnan(y).any() and np.isnan(tape.gradient(y, z)).any()

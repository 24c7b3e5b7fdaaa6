"""batch_normalization: native against plain TensorFlow, derivatives, graphs, XLA, refusals."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import batch_normalization, build_info, native
from kerascnn.ops.batch_norm import reference

NATIVE = build_info()["available"]
needs_native = pytest.mark.skipif(not NATIVE, reason="native library: " + build_info()["reason"])
MODES = [pytest.param("require", marks=needs_native), "off"]


def data(*shape, dtype="float64"):
    """x, scale, offset, dy."""
    generator = np.random.default_rng(len(shape))
    per_channel = "float64" if dtype == "float64" else "float32"
    x, dy = (tf.constant(generator.normal(size=shape) * 2 + 1, dtype) for _ in range(2))
    scale, offset = (tf.constant(generator.normal(size=shape[-1]), per_channel) for _ in range(2))
    return x, scale, offset, dy


def results(function, x, scale, offset, dy, relu=False):
    """(y, mean, variance, dx, dscale, doffset); with `relu`, y and the gradient are those behind a ReLU."""
    with tf.GradientTape() as tape:
        tape.watch((x, scale, offset))
        y, mean, variance = function(x, scale, offset, 0.01)
        y = tf.nn.relu(y) if relu else y
    return y, mean, variance, *tape.gradient(y, (x, scale, offset), output_gradients=dy)


def operations(function, *arguments):
    return tf.function(function).get_concrete_function(*arguments).graph.get_operations()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("relu", [False, True])
def test_derivatives_agree_with_differences(mode, relu):
    x, scale, offset, dy = data(5, 3)
    with native(mode):

        @tf.function
        def value(x, scale, offset):
            y = batch_normalization(x, scale, offset, 0.01)[0]
            return tf.nn.relu(y) if relu else y

        theory, numeric = tf.test.compute_gradient(value, [x, scale, offset], delta=1e-5)
        for got, want in zip(theory, numeric, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-8)

        @tf.function
        def first(x, scale, offset, dy):
            return tf.concat(
                [tf.reshape(v, [-1]) for v in results(batch_normalization, x, scale, offset, dy, relu)[3:]], 0
            )

        theory, numeric = tf.test.compute_gradient(first, [x, scale, offset, dy], delta=1e-5)
        for got, want in zip(theory, numeric, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-7)


@needs_native
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("relu", [False, True])
def test_native_equals_reference(dtype, relu):
    arrays = data(2, 5, 7, 19, dtype=dtype)
    with native("require"):
        ours = tf.function(results)(batch_normalization, *arrays, relu)
    plain = results(reference, *arrays, relu)
    truth = results(reference, *(tf.cast(array, "float64") for array in arrays), relu)
    for got, other, true in zip(ours, plain, truth, strict=True):
        assert got.dtype == other.dtype
        errors = [np.abs(tf.cast(value, "float64") - true).max() for value in (got, other)]
        rounding = {"float64": 1e-12, "float32": 1e-5}.get(dtype, 2e-6) * np.abs(true).max()
        assert errors[0] <= max(2 * errors[1], rounding)
        if dtype in ("float32", "float64"):
            assert errors[0] <= rounding


@needs_native
def test_a_relu_that_alone_reads_is_differentiated_in_the_same_pass():
    arrays = data(2, 3, 3, 4, dtype="float32")

    def twice(x, scale, offset, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = batch_normalization(x, scale, offset)[0]
            z = tf.nn.relu(y) + y
        return tape.gradient(z, x, output_gradients=dy)

    def fused(function, *arguments):
        gradients = [op for op in operations(function, *arguments) if op.type == "Kerascnn>BatchNormGradient"]
        return [op.get_attr("relu") for op in gradients]

    with native("require"):
        assert fused(lambda *a: results(batch_normalization, *a, relu=True), *arrays) == [True]
        assert fused(lambda *a: results(batch_normalization, *a), *arrays) == [False]
        assert fused(twice, *arrays) == [False]
        np.testing.assert_allclose(tf.function(twice)(*arrays), twice(*arrays), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [[None, None, None, 8], [2, None, None, None], None])
def test_unknown_dimensions(mode, dtype, shape):
    arrays = data(2, 3, 4, 8, dtype=dtype)
    vector = tf.TensorSpec([None] if shape is None else [8], dtype)

    @tf.function(input_signature=[tf.TensorSpec(shape, dtype), vector, vector, tf.TensorSpec(shape, dtype)])
    def graph(x, scale, offset, dy):
        y, mean, variance, *gradients = results(batch_normalization, x, scale, offset, dy)
        assert y.shape.rank == (None if shape is None else 4) and mean.shape.rank == 1
        return y, mean, variance, *gradients

    with native(mode):
        for got, want in zip(graph(*arrays), results(reference, *arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_xla_compiles_the_plain_form(mode):
    arrays = data(2, 3, 3, 8, dtype="float32")
    with native(mode):
        compiled = tf.function(lambda *a: results(batch_normalization, *a), jit_compile=True)(*arrays)
    for got, want in zip(compiled, results(reference, *arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@needs_native
def test_graphs_hold_the_native_op_exactly_when_wanted():
    def types(mode, dtype):
        arrays = data(1, 2, 2, 3, dtype=dtype)[:3]
        with native(mode):
            return {op.type for op in operations(lambda *a: batch_normalization(*a), *arrays)}

    assert "Kerascnn>BatchNorm" in types("require", "float32")
    assert "FusedBatchNormV3" in types("off", "float32")
    assert not any(name.startswith("Kerascnn") for name in types("off", "float32") | types("off", "float64"))


@needs_native
def test_gradient_of_a_native_op_after_the_mode_changed():
    x, scale, offset, dy = data(6, 8)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with native("require"):
            y = batch_normalization(x, scale, offset, 0.01)[0]
    with native("off"):
        dx = tape.gradient(y, x, output_gradients=dy)
    np.testing.assert_allclose(dx, results(reference, x, scale, offset, dy)[3], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (0, 3), (1, 2)])
def test_empty_and_single(mode, shape):
    channels = shape[-1]
    x, scale, offset, dy = tf.ones(shape), tf.ones(channels), tf.ones(channels) + 0, tf.ones(shape)
    with native(mode):
        y, mean, variance, dx, dscale, doffset = results(batch_normalization, x, scale, offset, dy)
    assert y.shape == dx.shape == shape
    np.testing.assert_allclose(y, np.ones(shape))
    np.testing.assert_allclose(dx, np.zeros(shape), atol=1e-6)
    if mode == "require" or len(x):  # the plain form multiplies an empty sum by NaN
        np.testing.assert_array_equal(dscale, np.zeros(channels))
    np.testing.assert_array_equal(doffset, np.full(channels, len(x)))
    np.testing.assert_array_equal(mean, np.full(channels, 1 if len(x) else np.nan))
    np.testing.assert_array_equal(variance, np.full(channels, 0 if len(x) else np.nan))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epsilon": -1.0}, "epsilon must be a finite number, at least 0. Received: -1"),
        ({"epsilon": float("nan")}, "epsilon must be a finite number"),
        ({"epsilon": "a"}, "epsilon must be a finite number"),
        ({"x": [1.0, 2.0, 3.0]}, "x must have at least 2 dimensions"),
        ({"x": [[1, 2, 3]]}, "x must be float32"),
        ({"scale": tf.ones(2)}, "scale must be a vector with one number for each channel of x. Received: scale"),
        ({"offset": tf.ones((1, 3))}, "offset must be a vector"),
        ({"offset": tf.ones(3, "float64")}, "offset must be float32 for x in float32. Received: float64"),
    ],
)
def test_refusals(mode, arguments, message):
    with native(mode), pytest.raises(InputError, match=message):
        batch_normalization(**{"x": tf.ones((2, 3)), "scale": tf.ones(3), "offset": tf.ones(3), **arguments})


@needs_native
def test_the_op_itself_refuses_what_no_shape_revealed():
    signature = [tf.TensorSpec(None), tf.TensorSpec([None]), tf.TensorSpec([None])]
    with native("require"):
        function = tf.function(lambda *a: batch_normalization(*a), input_signature=signature)
        for shape, length, message in [
            ((3,), 3, "x must have at least 2 dimensions. Received: 1"),
            ((), 1, "x must have at least 2 dimensions. Received: 0"),
            ((2, 3), 4, "each of the 3 channels of x. Received: 4"),
        ]:
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                function(tf.ones(shape), tf.ones(length), tf.ones(length))

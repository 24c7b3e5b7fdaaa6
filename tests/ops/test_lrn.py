"""local_response_normalization: native against plain TensorFlow, derivatives, graphs, XLA, refusals."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native, build_info, local_response_normalization, native
from kerascnn.ops.lrn import reference

NATIVE = build_info()["available"]
needs_native = pytest.mark.skipif(not NATIVE, reason="native library: " + build_info()["reason"])
MODES = [pytest.param("require", marks=needs_native), "off"]
CONSTANTS = [(2, 2.0, 1e-4, 0.75), (0, 1.0, 0.3, 0.5), (3, 0.7, 0.4, 1.0), (30, 1.1, 0.2, 0.61)]


def data(*shape, dtype="float64"):
    generator = np.random.default_rng(len(shape))
    return tf.constant(2 * generator.normal(size=shape), dtype), tf.constant(generator.normal(size=shape), dtype)


def value_and_gradient(function, x, dy):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x, output_gradients=dy)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("constants", CONSTANTS)
def test_derivatives_agree_with_differences(mode, constants):
    x, dy = data(2, 7)
    with native(mode):
        theory, numeric = tf.test.compute_gradient(
            tf.function(lambda x: local_response_normalization(x, *constants)), [x], delta=1e-5
        )
        np.testing.assert_allclose(theory[0], numeric[0], atol=1e-8)

        @tf.function
        def first(x, dy):
            return value_and_gradient(lambda x: local_response_normalization(x, *constants), x, dy)[1]

        theory, numeric = tf.test.compute_gradient(first, [x, dy], delta=1e-5)
        np.testing.assert_allclose(theory[0], numeric[0], atol=1e-8)
        np.testing.assert_allclose(theory[1], numeric[1], atol=1e-8)


@needs_native
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("convention", ["sum", "mean"])
def test_native_equals_reference(dtype, constants, convention):
    x, dy = data(2, 3, 5, 17, dtype=dtype)
    with native("require"):
        ours = value_and_gradient(lambda x: local_response_normalization(x, *constants, convention), x, dy)
    plain = value_and_gradient(lambda x: reference(x, *constants, convention), x, dy)
    truth = value_and_gradient(
        lambda x: reference(x, *constants, convention), tf.cast(x, "float64"), tf.cast(dy, "float64")
    )
    for got, other, true in zip(ours, plain, truth, strict=True):
        assert got.dtype == dtype and other.dtype == dtype
        if dtype == "float64":
            np.testing.assert_allclose(got, true, rtol=1e-12, atol=1e-13)
            continue
        errors = [np.abs(tf.cast(value, "float64") - true).max() for value in (got, other)]
        assert errors[0] <= 2 * errors[1] + 1e-7


@pytest.mark.parametrize("mode", MODES)
def test_tensorflow_and_the_other_convention(mode):
    x, _ = data(2, 3, 3, 16, dtype="float32")
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=2.0, alpha=0.05, beta=0.75)
    with native(mode):
        np.testing.assert_allclose(local_response_normalization(x, alpha=0.05), theirs, rtol=1e-5)
        mean = local_response_normalization(x, alpha=0.25, alpha_convention="mean")
    np.testing.assert_allclose(mean, theirs, rtol=1e-5)  # a window of five


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("radius", [2, 12])
@pytest.mark.parametrize("shape", [[None, None, None, 8], [2, None, None, None], None])
def test_unknown_dimensions(mode, shape, radius):
    x, dy = data(2, 3, 4, 8)
    eager = value_and_gradient(lambda x: reference(x, radius, alpha=0.1), x, dy)

    @tf.function(input_signature=[tf.TensorSpec(shape, "float64")] * 2)
    def graph(x, dy):
        y, dx = value_and_gradient(lambda x: local_response_normalization(x, radius, alpha=0.1), x, dy)
        assert y.shape.as_list() == shape if shape else y.shape.rank is None
        return y, dx

    with native(mode):
        for got, want in zip(graph(x, dy), eager, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_xla_compiles_the_plain_form(mode):
    x, dy = data(2, 3, 3, 8, dtype="float32")

    @tf.function(jit_compile=True)
    def compiled(x, dy):
        return value_and_gradient(local_response_normalization, x, dy)

    with native(mode):
        for got, want in zip(compiled(x, dy), value_and_gradient(reference, x, dy), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


@needs_native
def test_graphs_hold_the_native_op_exactly_when_wanted():
    def types(mode):
        with native(mode):
            graph = tf.function(lambda x: local_response_normalization(x)).get_concrete_function(tf.ones((1, 2, 2, 3)))
        return {operation.type for operation in graph.graph.get_operations()}

    assert "Kerascnn>LocalResponseNormalization" in types("require")
    assert not any(name.startswith("Kerascnn") for name in types("off"))


@needs_native
def test_gradient_of_a_native_op_after_the_mode_changed():
    x, dy = data(2, 8)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with native("require"):
            y = local_response_normalization(x)
    with native("off"):
        dx = tape.gradient(y, x, output_gradients=dy)
    np.testing.assert_allclose(dx, value_and_gradient(reference, x, dy)[1], rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 0), (2, 3, 0, 5), (7, 1)])
def test_empty_and_single(mode, shape):
    x = tf.ones(shape)
    with native(mode):
        y, dx = value_and_gradient(local_response_normalization, x, x)
    assert y.shape == dx.shape == shape
    np.testing.assert_allclose(y, np.full(shape, (2 + 1e-4) ** -0.75), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"depth_radius": -1}, "depth_radius must be a whole number, at least 0 and below 2\\^31. Received: -1"),
        ({"depth_radius": 1.0}, "depth_radius must be a whole number"),
        ({"bias": 0}, "bias must be positive. Received: 0"),
        ({"alpha": -1.0}, "alpha must be at least 0. Received: -1"),
        ({"beta": "a"}, "beta must be a finite number"),
        ({"beta": float("inf")}, "beta must be a finite number"),
        ({"alpha_convention": "max"}, "alpha_convention must be"),
        ({"x": [1.0, 2.0]}, "x must have at least 2 dimensions"),
        ({"x": [[1, 2]]}, "x must be float32"),
    ],
)
def test_refusals(mode, arguments, message):
    with native(mode), pytest.raises(InputError, match=message):
        local_response_normalization(**{"x": tf.ones((2, 3)), **arguments})


@needs_native
def test_the_op_itself_refuses_what_no_shape_revealed():
    spec = tf.TensorSpec(None, "float32")
    with native("require"):
        function = tf.function(lambda x: local_response_normalization(x), input_signature=[spec])
        with pytest.raises(tf.errors.InvalidArgumentError, match="x must have at least 2 dimensions. Received: 1"):
            function(tf.ones(3))


@needs_native
@pytest.mark.parametrize("op", ["lrn", "conv2d"])
def test_subnormal_halves_survive_on_threads_that_flush_subnormal_floats(op):
    """TensorFlow's threads treat subnormal floats as zero; halves below 2^-14 are ordinary numbers in float32."""
    bits = np.tile(np.arange(2048, dtype="uint16"), 512)  # half of them subnormal
    x = tf.constant(bits.view("float16").reshape(16, 64, 64, 16))
    with native("require"):
        if op == "lrn":
            y = local_response_normalization(x, bias=1.0, alpha=0.0)
        else:
            y = _native.loaded().kerascnn_conv2d(
                x=x, filters=tf.ones((1, 1, 1, 16), "float16"), strides=(1, 1), padding="SAME", dilations=(1, 1)
            )
    np.testing.assert_array_equal(y.numpy().view("uint16").ravel(), bits)

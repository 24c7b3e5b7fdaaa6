"""kerascnn.ops.conv2d: native against plain TensorFlow, gradients of both orders, every mode, every refusal."""

import itertools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerascnn._errors import InputError
from kerascnn.ops import _native, _windows, conv2d, native
from kerascnn.ops.convolution import reference

DTYPES = ("float16", "bfloat16", "float32", "float64")
MODES = ("auto", "off")


@pytest.fixture(params=MODES)
def mode(request):
    """Native where the rule says so, and plain TensorFlow."""
    if request.param == "auto" and not _native.register():
        pytest.skip("the native library is not built here")
    with native(request.param):
        yield request.param


def data(x_shape, w_shape, dtype="float64", seed=0):
    random = np.random.default_rng(seed)
    return tuple(tf.cast(random.normal(size=shape), dtype) for shape in (x_shape, w_shape))


def value_and_gradients(function, x, w, dy=None):
    with tf.GradientTape() as tape:
        tape.watch((x, w))
        y = function(x, w)
    dy = tf.cast(np.random.default_rng(9).normal(size=y.shape), y.dtype) if dy is None else dy
    return (y, *tape.gradient(y, (x, w), output_gradients=dy))


def wide(tensors):
    return [tf.cast(tensor, tf.float64).numpy() for tensor in tensors]


WINDOWS = list(itertools.product((1, (2, 3)), ("same", "valid", 1, ((1, 0), (0, 2))), (1, (2, 1)), (1, 2)))


@pytest.mark.parametrize(("strides", "padding", "dilations", "groups"), WINDOWS)
def test_numeric_gradients(mode, strides, padding, dilations, groups):
    x, w = data((1, 5, 6, 4), (2, 2, 4 // groups, 2))
    options = (strides, padding, dilations, groups)
    for i in (0, 1):
        theory, numeric = tf.test.compute_gradient(
            lambda v, i=i: conv2d(*((v, w) if i == 0 else (x, v)), *options), [(x, w)[i]]
        )
        np.testing.assert_allclose(theory[0], numeric[0], atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options"),
    [
        ((2, 9, 9, 16), (3, 3, 4, 16), (1, "same", 1, 4)),
        ((2, 9, 8, 16), (3, 3, 8, 16), (2, 1, 1, 2)),
        ((1, 8, 9, 6), (3, 3, 6, 5), (1, "same", 2, 1)),
        ((1, 11, 9, 8), (3, 2, 2, 12), (2, "valid", 2, 4)),
        ((2, 6, 7, 3), (5, 5, 3, 4), (2, ((2, 1), (0, 3)), 1, 1)),
    ],
)
def test_both_forms_are_as_exact_as_the_type_allows(mode, dtype, x_shape, w_shape, options):
    """An implementation may be off by what another correct one in the same type is off, twice over."""
    x, w = data(x_shape, w_shape, dtype)
    exact_inputs = [tf.cast(tensor, tf.float64) for tensor in (x, w)]
    y = reference(x, w, *options)
    dy = tf.cast(np.random.default_rng(9).normal(size=y.shape), dtype)
    exact = wide(value_and_gradients(lambda a, b: reference(a, b, *options), *exact_inputs, tf.cast(dy, tf.float64)))
    plain = wide(value_and_gradients(lambda a, b: reference(a, b, *options), x, w, dy))
    ours = wide(value_and_gradients(lambda a, b: conv2d(a, b, *options), x, w, dy))
    for a, b, truth in zip(ours, plain, exact, strict=True):
        unit = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-21, "float64": 2**-50}[dtype]
        assert np.abs(a - truth).max() <= 2 * np.abs(b - truth).max() + unit * np.abs(truth).max()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(draw=st.data())
def test_native_equals_reference_for_any_window(draw):
    if not _native.register():
        pytest.skip("the native library is not built here")
    number = lambda low, high: draw.draw(st.integers(low, high))  # noqa: E731
    groups, depth, multiplier = number(1, 5), number(1, 9), number(1, 5)
    strides, dilations = (number(1, 4), number(1, 4)), (number(1, 3), number(1, 3))
    padding = draw.draw(
        st.sampled_from(["same", "valid", ((number(0, 3), number(0, 3)), (number(0, 3), number(0, 3)))])
    )
    kernel = (number(1, 3), number(1, 3))
    spans = [(kernel[i] - 1) * dilations[i] + 1 for i in (0, 1)]
    x_shape = (number(0, 2), spans[0] + number(0, 9), spans[1] + number(0, 9), groups * depth)
    x, w = data(x_shape, (*kernel, depth, groups * multiplier))
    options = (strides, padding, dilations, groups)
    ours = value_and_gradients(lambda a, b: conv2d(a, b, *options), x, w)
    plain = value_and_gradients(lambda a, b: reference(a, b, *options), x, w)
    for a, b in zip(wide(ours), wide(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("groups", (1, 4))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_second_gradients(mode, dtype, groups):
    x, w = data((2, 5, 6, 8), (3, 3, 8 // groups, 8), dtype)

    def second(function):
        with tf.GradientTape() as outer:
            outer.watch((x, w))
            with tf.GradientTape() as inner:
                inner.watch((x, w))
                y = tf.reduce_sum(tf.sin(function(x, w, 2, "same", 1, groups)))
            first = inner.gradient(y, (x, w))
            total = tf.add_n([tf.reduce_sum(tf.cos(g)) for g in first])
        return outer.gradient(total, (x, w))

    for a, b in zip(second(conv2d), second(reference), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9 if dtype == "float64" else 1e-3)


@pytest.mark.parametrize("shape", ((None, None, None, 8), (None,) * 4, (2, None, 8, 8), None))
@pytest.mark.parametrize("padding", ("same", ((2, 1), (0, 1))))
def test_unknown_dimensions(mode, padding, shape):
    x, w = data((2, 9, 8, 8), (3, 3, 2, 8), "float32")
    expected = reference(x, w, 2, padding, 1, 4)
    dy = tf.cast(np.random.default_rng(9).normal(size=expected.shape), tf.float32)
    static = []

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
    def function(x):
        result = value_and_gradients(lambda a, b: conv2d(a, b, 2, padding, 1, 4), x, w, dy)
        static.append(result[0].shape)
        return result

    truth = value_and_gradients(lambda a, b: reference(a, b, 2, padding, 1, 4), x, w, dy)
    for a, b in zip(function(x), truth, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert static[0].rank == 4 and static[0][3] == 8 and static[0].is_compatible_with(expected.shape)


def test_static_shape_is_inferred(mode):
    @tf.function(input_signature=[tf.TensorSpec((None, 9, None, 8))], autograph=False)
    def function(x):
        return conv2d(x, tf.zeros((3, 3, 2, 12)), 2, ((1, 1), (0, 0)), 1, 4)

    assert function.get_concrete_function().structured_outputs.shape.as_list() == [None, 5, None, 12]


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_batch(mode, dtype):
    x, w = data((0, 5, 5, 4), (3, 3, 2, 6), dtype)
    y, dx, dw = value_and_gradients(lambda a, b: conv2d(a, b, groups=2), x, w)
    assert y.shape == (0, 5, 5, 6) and dx.shape == x.shape and dw.shape == w.shape and not np.any(wide([dw])[0])


def test_compiled_by_xla_gives_the_same():
    x, w = data((2, 7, 7, 8), (3, 3, 2, 8), "float32")
    function = tf.function(lambda a, b: conv2d(a, b, 2, 1, 1, 4), jit_compile=True)
    np.testing.assert_allclose(function(x, w), reference(x, w, 2, 1, 1, 4), atol=1e-4)


def test_in_a_mirrored_strategy():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    x, w = data((2, 5, 5, 8), (3, 3, 2, 8), "float32")

    @tf.function
    def step():
        return strategy.run(lambda: value_and_gradients(lambda a, b: conv2d(a, b, groups=4), x, w)[0])

    expected = reference(x, w, groups=4)
    for y in strategy.experimental_local_results(step()):
        np.testing.assert_allclose(y, expected, atol=1e-4)


def test_plain_tensorflow_holds_stock_ops_only():
    with native("off"):
        function = tf.function(lambda x: conv2d(x, tf.zeros((3, 3, 2, 8)), 2, 1, 1, 4), autograph=False)
        graph = function.get_concrete_function(tf.TensorSpec((None, None, None, 8))).graph
    assert not [op.type for op in graph.get_operations() if "Kerascnn" in op.type or "Call" in op.type]


def test_the_rule_uses_the_native_op_where_it_is_faster():
    if not _native.register() or _native.has_gpu():
        pytest.skip("the rule is about the native library on a CPU")

    def types(dtype, depth, groups):
        graphs = []

        def convolve(x):
            graphs.append(tf.compat.v1.get_default_graph())
            return conv2d(x, tf.zeros((3, 3, depth, depth * groups), dtype), groups=groups)

        with native("auto"):
            # Called, because graphs that are handed out hold no native ops.
            tf.function(convolve, autograph=False)(tf.zeros((1, 14, 14, depth * groups), dtype))
        return {op.type for op in graphs[0].get_operations()}

    assert "Kerascnn>Conv2D" in types("float32", 4, 32)
    assert "Kerascnn>Conv2D" in types("float64", 8, 1)
    assert "Conv2D" in types("float32", 64, 1)


def test_one_call_of_the_native_op_refuses_what_does_not_fit():
    if not _native.register():
        pytest.skip("the native library is not built here")
    op = _native.loaded().kerascnn_conv2d
    with pytest.raises(tf.errors.InvalidArgumentError, match="groups \\* the filters' input channels"):
        op(x=tf.zeros((1, 5, 5, 4)), filters=tf.zeros((3, 3, 3, 4)), strides=[1, 1], padding="SAME")
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match="two numbers"):
        op(x=tf.zeros((1, 5, 5, 4)), filters=tf.zeros((3, 3, 2, 4)), strides=[1], padding="SAME")
    with pytest.raises(tf.errors.InvalidArgumentError, match="dy must have the shape"):
        _native.loaded().kerascnn_conv2d_input_gradient(
            x_shape=tf.constant([1, 5, 5, 4], tf.int64), filters=tf.zeros((3, 3, 2, 4)), dy=tf.zeros((1, 4, 5, 4)),
            strides=[1, 1], padding="SAME",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": tf.zeros((5, 5, 4))}, r"`x` must be \[batch, height, width, channels\].*Received: shape=\(5, 5, 4\)"),
        ({"x": tf.zeros((1, 5, 5, 4), tf.int32)}, "`x` must be float16, bfloat16, float32 or float64.*int32"),
        ({"x": tf.zeros((1, 5, 5, 6))}, r"`x` must have groups \* filters.shape\[2\] channels.*groups=2"),
        ({"filters": tf.zeros((3, 3, 2))}, "`filters` must be .height, width, in/groups, out."),
        ({"filters": tf.zeros((3, 3, 2, 4), tf.float64)}, "dtype of `x`. Received: x float32, filters float64"),
        ({"filters": tf.zeros((3, 3, 2, 5))}, "`groups` must divide the output channels"),
        ({"filters": tf.zeros((3, 0, 2, 4))}, "`filters` must not be empty"),
        ({"strides": 0}, "`strides` must be a whole number from 1 to 65536.*strides=0"),
        ({"strides": (1, 2, 3)}, r"`strides` must be.*\(1, 2, 3\)"),
        ({"strides": 1.5}, "`strides` must be.*1.5"),
        ({"dilations": True}, "`dilations` must be.*True"),
        ({"groups": 0}, "`groups` must be a whole number of at least 1.*groups=0"),
        ({"padding": "full"}, '`padding` must be "same", "valid".*full'),
        ({"padding": -1}, "`padding` must be.*-1"),
        ({"padding": ((1, 1), (1,))}, "`padding` must be"),
        ({"padding": "valid", "dilations": 3}, "must fit into the padded image"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(change, message):
    arguments = {"x": tf.zeros((1, 5, 5, 4)), "filters": tf.zeros((3, 3, 2, 4)), "groups": 2} | change
    with pytest.raises(InputError, match=message) as caught:
        conv2d(**arguments)
    assert "\n" not in str(caught.value)


def test_arguments_in_all_their_forms():
    assert _windows.pair(np.int64(2), "strides") == (2, 2)
    assert _windows.standardize_padding("SAME") == "same"
    assert _windows.standardize_padding(np.int32(2)) == ((2, 2), (2, 2))
    assert _windows.standardize_padding([[1, 0], [2, 3]]) == ((1, 0), (2, 3))
    assert _windows.output_size(None, 3, 1, 1, "same") is None
    assert _windows.output_size(2, 3, 1, 1, "valid") == 0


WITHOUT_ONEDNN = """
    import numpy as np, tensorflow as tf
    from kerascnn.ops import conv2d, native
    from kerascnn.ops.convolution import onednn, reference
    assert not onednn()
    random = np.random.default_rng(0)
    for dtype in ("float32", "bfloat16", "float16", "float64"):
        for groups, dilations in ((4, 1), (1, 2), (4, 2)):
            x = tf.cast(random.normal(size=(2, 7, 7, 8)), dtype)
            w = tf.cast(random.normal(size=(3, 3, 8 // groups, 8)), dtype)
            results = []
            for function in (conv2d, reference):
                with tf.GradientTape() as tape:
                    tape.watch((x, w))
                    y = function(x, w, 2, 1, dilations, groups)
                results.append([tf.cast(t, tf.float64) for t in (y, *tape.gradient(y, (x, w)))])
            for a, b in zip(*results):
                tolerance = {"float32": 1e-5, "float64": 1e-12, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
                assert np.max(np.abs(a - b)) <= tolerance * np.max(np.abs(b)), (dtype, groups, dilations)
    print("passed")
"""


@pytest.mark.after
@pytest.mark.parametrize("mode_name", ("require", "off"))
def test_gradients_without_onednn(mode_name):
    if mode_name == "require" and not _native.register():
        pytest.skip("the native library is not built here")
    environment = {
        **os.environ,
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "KERASCNN_NATIVE": mode_name,
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT_ONEDNN)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and "passed" in done.stdout, done.stderr[-2000:]


@pytest.mark.parametrize("activation", (None, "relu"))
@pytest.mark.parametrize("groups", (1, 4, 32))
def test_bias_and_activation_are_those_of_separate_ops(groups, activation):
    random = np.random.default_rng(5)
    x = tf.constant(random.normal(size=(2, 7, 6, 32)))
    filters, bias = tf.constant(random.normal(size=(3, 3, 32 // groups, 32))), tf.constant(random.normal(size=32))

    def separate(x, filters, bias):
        y = tf.nn.bias_add(reference(x, filters, 2, "same", 1, groups), bias)
        return y if activation is None else tf.nn.relu(y)

    def fused(x, filters, bias):
        return conv2d(x, filters, 2, "same", 1, groups, bias, activation)

    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        inputs = [tf.cast(value, dtype) for value in (x, filters, bias)]
        results = []
        for function in (separate, fused):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                y = function(*inputs)
                loss = tf.reduce_sum(y * y)
            results.append([y, *tape.gradient(loss, inputs)])
        for expected, got in zip(*results, strict=True):
            scale = float(tf.reduce_max(tf.abs(expected)))
            np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale)


def test_a_wrong_bias_or_activation_is_refused():
    x, filters = tf.zeros((1, 5, 5, 8)), tf.zeros((3, 3, 4, 8))
    with pytest.raises(InputError, match="one number for each output channel"):
        conv2d(x, filters, groups=2, bias=tf.zeros(7))
    with pytest.raises(InputError, match="in the dtype of `x`"):
        conv2d(x, filters, groups=2, bias=tf.zeros(8, tf.float64))
    with pytest.raises(InputError, match='must be None or "relu"'):
        conv2d(x, filters, groups=2, activation="tanh")


def test_tensorflow_cannot_join_a_bias_to_a_grouped_convolution():
    """The joint kernel refuses groups without oneDNN, also where a graph that was made with it is served."""

    def convolve(x, filters, bias):
        return conv2d(x, filters, groups=2, bias=bias)

    with native("off"):
        inputs = [tf.zeros((1, 5, 5, 8)), tf.zeros((3, 3, 4, 8)), tf.zeros(8)]
        graph = tf.function(convolve).get_concrete_function(*inputs).graph
    (convolution,) = [op for op in graph.get_operations() if op.type == "Conv2D"]
    assert [op.type for op in convolution.outputs[0].consumers()] == ["ExpandDims"]
    assert any(op.type == "BiasAdd" for op in graph.get_operations())

"""saf_pool2d: native against plain TensorFlow, bit for bit; derivatives, graphs, XLA, refusals."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import build_info, native, saf_pool2d
from kerascnn.ops.saf_pool2d import reference

NATIVE = build_info()["available"]
needs_native = pytest.mark.skipif(not NATIVE, reason="native library: " + build_info()["reason"])
MODES = [pytest.param("require", marks=needs_native), "off"]
SEED = (-5, 2**31 - 1)
# shape, pool_size, strides, padding
CASES = [
    ((2, 6, 7, 37), 2, None, "valid"),
    ((2, 7, 8, 5), 3, 2, "same"),
    ((1, 7, 9, 70), (3, 2), (2, 1), "valid"),
    ((3, 8, 8, 30), None, None, "valid"),
    ((1, 5, 5, 1100), 2, 3, "same"),
]


def data(shape, dtype="float64"):
    """Numbers at least 1e-3 apart, away from the kinks of the maximum."""
    count = int(np.prod(shape))
    return tf.constant(np.random.default_rng(len(shape)).permutation(count).reshape(shape) / 1000 - count / 2000, dtype)


def value_and_gradient(function, x, dy=None):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    dy = tf.cast(np.random.default_rng(0).normal(size=y.shape), y.dtype) if dy is None else dy
    return y, tape.gradient(y, x, output_gradients=dy)


def pooled(function, case, **options):
    options = {"rate": 0.3, "seed": SEED, "training": True, **options}
    return lambda x: function(x, *case[1:], **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", [((2, 4, 5, 3), 2, None, "valid"), ((1, 5, 4, 2), 3, 2, "same")])
def test_derivatives_agree_with_differences(mode, case):
    x = data(case[0])
    function = pooled(saf_pool2d, case)
    with native(mode):
        theory, numeric = tf.test.compute_gradient(tf.function(function), [x], delta=1e-5)
        np.testing.assert_allclose(theory[0], numeric[0], atol=1e-8)

        first = tf.function(lambda x, dy: value_and_gradient(function, x, dy)[1])
        theory, numeric = tf.test.compute_gradient(lambda dy: first(x, dy), [function(x)], delta=1e-5)
        np.testing.assert_allclose(theory[0], numeric[0], atol=1e-8)


@needs_native
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("mode", ["element", "channel"])
@pytest.mark.parametrize("case", CASES)
def test_native_equals_reference_bit_for_bit(case, mode, dtype):
    x = tf.cast(np.random.default_rng(1).integers(-20, 20, case[0]), dtype)  # with many shared maxima
    with native("require"):
        ours = value_and_gradient(pooled(saf_pool2d, case, mode=mode), x)
    plain = value_and_gradient(pooled(reference, case, mode=mode), x)
    assert ours[0].dtype == ours[1].dtype == dtype
    np.testing.assert_array_equal(ours[0], plain[0])
    if case[1] in (2, None):  # no pixel is in two windows, so no sum is rounded
        np.testing.assert_array_equal(ours[1], plain[1])
        return
    truth = value_and_gradient(
        pooled(reference, case, mode=mode),
        tf.cast(x, "float64"),
        tf.cast(tf.cast(np.random.default_rng(0).normal(size=plain[0].shape), dtype), "float64"),
    )[1]
    errors = [np.abs(tf.cast(values, "float64") - truth).max() for values in (ours[1], plain[1])]
    assert errors[0] <= 2 * errors[1] + 1e-14
    if dtype == "float32":
        np.testing.assert_allclose(ours[1], plain[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_xla_gives_the_same_bits(mode):
    with native(mode):
        for case in CASES[:4]:
            x = data(case[0], "float32")
            function = pooled(saf_pool2d, case)
            compiled = tf.function(lambda x, f=function: value_and_gradient(f, x), jit_compile=True)
            for got, want in zip(compiled(x), value_and_gradient(pooled(reference, case), x), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
            np.testing.assert_array_equal(compiled(x)[0], pooled(reference, case)(x))


@pytest.mark.parametrize("mode", MODES)
def test_it_is_max_pooling_and_dropout(mode):
    x = data((8, 16, 16, 50), "float32")
    with native(mode):
        y = saf_pool2d(x, rate=0.2, seed=SEED, training=True).numpy()
        by_channel = saf_pool2d(x, rate=0.2, mode="channel", seed=SEED, training=True).numpy()
        plain = saf_pool2d(x, seed=SEED)
    np.testing.assert_array_equal(plain, tf.nn.max_pool2d(x, 2, 2, "VALID"))
    for values in (y, by_channel):
        np.testing.assert_array_equal(values[values != 0], (plain * np.float32(1.25)).numpy()[values != 0])
    assert abs((y == 0).mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / y.size)
    gone = by_channel == 0
    assert (gone == gone[:, :1, :1]).all() and 0.1 < gone.mean() < 0.3


@pytest.mark.parametrize("mode", MODES)
def test_the_seed_decides(mode):
    x = tf.ones((4, 8, 8, 16))

    def mask(seed):
        return saf_pool2d(x, rate=0.5, seed=seed, training=True).numpy()

    with native(mode):
        first = mask(tf.constant([1, 2], "int64"))
        for same in ((1, 2), np.array([1, 2], "uint32"), np.array([1, 2], "uint64"), np.array([1 + 2**32, 2])):
            np.testing.assert_array_equal(mask(same), first)
        np.testing.assert_array_equal(mask(np.array([2**32 - 1, 2**31], "uint32")), mask((-1, -(2**31))))
        for other in ((2, 1), (1, 3), (0, 2)):
            assert (mask(other) != first).mean() > 0.4
        tf.random.set_seed(3)
        drawn = mask(None), mask(None)
        assert (drawn[0] != drawn[1]).any()
        tf.random.set_seed(3)
        np.testing.assert_array_equal(mask(None), drawn[0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pool_size", [2, None])
@pytest.mark.parametrize("shape", [[None, None, None, 8], [2, 4, 6, None], None])
def test_unknown_dimensions(mode, shape, pool_size):
    x = data((2, 4, 6, 8))
    case = (x.shape, pool_size, None, "valid")
    eager = value_and_gradient(pooled(reference, case), x)

    @tf.function(input_signature=[tf.TensorSpec(shape, "float64"), tf.TensorSpec(None, "float64")])
    def graph(x, dy):
        y, dx = value_and_gradient(pooled(saf_pool2d, case), x, dy)
        if shape:
            sizes = [1, 1] if pool_size is None else [2, 3] if shape[1] else [None, None]
            assert y.shape.as_list() == [shape[0], *sizes, shape[3]]
        return y, dx

    dy = tf.cast(np.random.default_rng(0).normal(size=eager[0].shape), "float64")
    with native(mode):
        for got, want in zip(graph(x, dy), eager, strict=True):
            np.testing.assert_array_equal(got, want)


@needs_native
def test_graphs_hold_the_native_op_exactly_when_wanted():
    def types(mode, training=True):
        with native(mode):
            graph = tf.function(lambda x: saf_pool2d(x, training=training)).get_concrete_function(tf.ones((1, 2, 2, 3)))
        return {operation.type for operation in graph.graph.get_operations()}

    assert "Kerascnn>SAFPool2D" in types("require")
    assert not any(name.startswith("Kerascnn") for name in types("off") | types("require", training=False))


@needs_native
def test_gradient_of_a_native_op_after_the_mode_changed():
    x = data((1, 4, 4, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        with native("require"):
            y = saf_pool2d(x, seed=SEED, training=True)
    with native("off"):
        dx = tape.gradient(y, x)
    np.testing.assert_array_equal(
        dx, value_and_gradient(lambda x: reference(x, seed=SEED, training=True), x, tf.ones_like(y))[1]
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 4, 4, 0)])
def test_no_images_or_channels(mode, shape):
    with native(mode):
        y, dx = value_and_gradient(lambda x: saf_pool2d(x, seed=SEED, training=True), tf.ones(shape))
    assert y.shape == (shape[0], 2, 2, shape[3]) and dx.shape == shape


@pytest.mark.parametrize("mode", MODES)
def test_windows_too_large_for_a_byte(mode):
    x = data((2, 16, 17, 3))
    case = (x.shape, 16, 1, "valid")
    with native(mode):
        for got, want in zip(
            value_and_gradient(pooled(saf_pool2d, case), x), value_and_gradient(pooled(reference, case), x), strict=True
        ):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"rate": 1}, "`rate` must be a number of at least 0 and less than 1. Received: rate=1"),
        ({"rate": "a"}, "`rate` must be a number"),
        ({"rate": float("nan")}, "`rate` must be a number"),
        ({"mode": "row"}, '`mode` must be "element" or "channel". Received: mode=\'row\''),
        ({"padding": 1}, '`padding` must be "same" or "valid". Received: padding=1'),
        ({"pool_size": 0}, "`pool_size` must be a whole number from 1 to 65536"),
        ({"strides": (1, 2, 3)}, "`strides` must be a whole number from 1 to 65536, or two"),
        ({"pool_size": None, "strides": 2}, "`strides` and `padding` have no meaning where `pool_size` is None"),
        ({"pool_size": (2, 5)}, "The dilated window must fit into the padded image. Received: x .*, pool_size"),
        ({"x": [[1.0]]}, r"`x` must be \[batch, height, width, channels\]. Received: shape=\(1, 1\)"),
        ({"x": np.ones((1, 2, 2, 1), int)}, "`x` must be float16, bfloat16, float32 or float64"),
        ({"seed": 3}, "`seed` must be two whole numbers"),
        ({"seed": (1.0, 2.0)}, "`seed` must be two whole numbers. Received: dtype=float32"),
    ],
)
def test_refusals(mode, arguments, message):
    with native(mode), pytest.raises(InputError, match=message):
        saf_pool2d(**{"x": tf.ones((1, 4, 4, 3)), "training": True, **arguments})


@needs_native
def test_the_op_itself_refuses_what_no_shape_revealed():
    specs = [tf.TensorSpec(None), tf.TensorSpec(None, "int32")]
    with native("require"):
        function = tf.function(lambda x, seed: saf_pool2d(x, (2, 3), seed=seed, training=True), input_signature=specs)
        with pytest.raises(tf.errors.InvalidArgumentError, match="fit into the padded image. Received: 2, 3, 4, 2"):
            function(tf.ones((1, 4, 2, 3)), SEED)
        with pytest.raises(tf.errors.InvalidArgumentError, match="x must have four dimensions"):
            function(tf.ones(3), SEED)
        with pytest.raises(tf.errors.InvalidArgumentError, match="seed must be two whole numbers"):
            function(tf.ones((1, 4, 3, 3)), (1, 2, 3))

"""kerascnn.ops.deform_conv2d: native against plain TensorFlow and torchvision, gradients, every mode, every refusal."""

import itertools
import os
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerascnn._errors import InputError
from kerascnn.ops import _native, conv2d, deform_conv2d, native
from kerascnn.ops._windows import output_size
from kerascnn.ops.deform_conv2d import reference

DTYPES = ("float16", "bfloat16", "float32", "float64")


@pytest.fixture(params=("auto", "off"))
def mode(request):
    """Native where the rule says so, and plain TensorFlow."""
    if request.param == "auto" and not _native.register():
        pytest.skip("the native library is not built here")
    with native(request.param):
        yield request.param


def make(x_shape, w_shape, options, masked=True, dtype="float64", seed=0):
    """x, filters, offset and mask (or not); samples keep off the kinks, which rounding and differences may cross."""
    strides, padding, dilations, _, offset_groups = options
    random = np.random.default_rng(seed)
    pair = lambda value: value if isinstance(value, tuple) else (value, value)  # noqa: E731
    sides = (padding, padding) if isinstance(padding, str) else padding if isinstance(padding, tuple) else None
    sides = sides or ((padding, padding), (padding, padding))
    extents = [output_size(x_shape[1 + i], w_shape[i], pair(strides)[i], pair(dilations)[i], sides[i]) for i in (0, 1)]
    taps = w_shape[0] * w_shape[1] * offset_groups
    offset = random.integers(-2, 3, (x_shape[0], *extents, 2 * taps)) + random.choice(
        [0.125, 0.25, 0.5, 0.75], (x_shape[0], *extents, 2 * taps)
    )
    values = [random.normal(size=x_shape), random.normal(size=w_shape), offset]
    if masked:
        values.append(random.uniform(size=(x_shape[0], *extents, taps)))
    return [tf.cast(value, dtype) for value in values]


def value_and_gradients(function, inputs, options, dy=None):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = function(*inputs, *([None] if len(inputs) == 3 else []), *options)
    dy = tf.cast(np.random.default_rng(9).normal(size=y.shape), y.dtype) if dy is None else dy + tf.zeros_like(y)
    return [y, *tape.gradient(y, inputs, output_gradients=dy)]


def wide(tensors):
    return [tf.cast(tensor, tf.float64).numpy() for tensor in tensors]


@pytest.mark.after
@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options"),
    [
        ((1, 3, 4, 4), (2, 2, 2, 2), (1, "same", 1, 2, 1)),
        ((1, 4, 3, 4), (2, 3, 2, 2), ((2, 1), ((1, 0), (1, 1)), (2, 1), 2, 4)),
    ],
)
@pytest.mark.parametrize("masked", (True, False))
def test_numeric_gradients(mode, x_shape, w_shape, options, masked):
    inputs = make(x_shape, w_shape, options, masked)

    @tf.function(autograph=False)  # one for all inputs: tracing its gradient takes most of the time
    def function(*given):
        return deform_conv2d(*given, *([] if masked else [None]), *options)

    for theory, numeric in zip(*tf.test.compute_gradient(function, inputs), strict=True):
        np.testing.assert_allclose(theory, numeric, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options"),
    [
        ((2, 7, 6, 24), (3, 3, 24, 20), (1, "same", 1, 1, 1)),
        ((3, 6, 7, 12), (3, 2, 3, 8), (2, 1, (1, 2), 4, 3)),
        ((1, 5, 5, 80), (3, 3, 80, 35), (1, "valid", 1, 1, 2)),
    ],
)
def test_both_forms_are_as_exact_as_the_type_allows(mode, dtype, x_shape, w_shape, options):
    """An implementation may be off by what another correct one in the same type is off, twice over."""
    inputs = make(x_shape, w_shape, options, dtype=dtype)
    dy = tf.cast(np.random.default_rng(9).normal(size=(*inputs[2].shape[:3], w_shape[3])), dtype)
    exact = [tf.cast(tensor, tf.float64) for tensor in (*inputs, dy)]
    truth = wide(value_and_gradients(reference, exact[:-1], options, exact[-1]))
    plain = wide(value_and_gradients(reference, inputs, options, dy))
    ours = wide(value_and_gradients(deform_conv2d, inputs, options, dy))
    for a, b, c in zip(ours, plain, truth, strict=True):
        unit = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-20, "float64": 2**-49}[dtype]
        assert np.abs(a - c).max() <= 2 * np.abs(b - c).max() + unit * np.abs(c).max()


@settings(deadline=None, derandomize=True, max_examples=30)
@given(draw=st.data())
def test_native_equals_reference_for_any_window(draw):
    if not _native.register():
        pytest.skip("the native library is not built here")
    number = lambda low, high: draw.draw(st.integers(low, high))  # noqa: E731
    groups, offset_groups = number(1, 4), number(1, 3)
    depth, multiplier = offset_groups * number(1, 4), number(1, 4)
    strides, dilations = (number(1, 3), number(1, 3)), (number(1, 3), number(1, 3))
    padding = draw.draw(
        st.sampled_from(["same", "valid", ((number(0, 3), number(0, 3)), (number(0, 3), number(0, 3)))])
    )
    kernel = (number(1, 3), number(1, 3))
    spans = [(kernel[i] - 1) * dilations[i] + 1 for i in (0, 1)]
    x_shape = (number(0, 3), spans[0] + number(0, 4), spans[1] + number(0, 4), groups * depth)
    options = (strides, padding, dilations, groups, offset_groups)
    inputs = make(x_shape, (*kernel, depth, groups * multiplier), options, draw.draw(st.booleans()))
    ours = value_and_gradients(deform_conv2d, inputs, options)
    plain = value_and_gradients(reference, inputs, options)
    for a, b in zip(wide(ours), wide(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


def test_without_offsets_it_is_a_convolution(mode):
    x, w = make((2, 6, 5, 4), (3, 3, 2, 6), (2, ((1, 0), (2, 1)), 1, 2, 1))[:2]
    offset, mask = tf.zeros((2, 3, 3, 18), x.dtype), tf.ones((2, 3, 3, 9), x.dtype)
    expected = conv2d(x, w, 2, ((1, 0), (2, 1)), 1, 2)
    for given_mask, scale in ((None, 1), (mask, 1), (mask / 2, 0.5)):
        y = deform_conv2d(x, w, offset, given_mask, 2, ((1, 0), (2, 1)), 1, 2)
        np.testing.assert_allclose(y, scale * expected, atol=1e-12)


def test_at_whole_coordinates_the_slope_is_the_one_towards_larger_ones(mode):
    x = tf.reshape(tf.constant([1.0, 10.0, 100.0]), (1, 1, 3, 1))
    slopes = {-2.0: 0, -1.0: 1, 0.0: 9, 1.0: 90, 2.0: -100, 3.0: 0, np.nan: 0, np.inf: 0}
    for right, slope in slopes.items():
        offset = tf.reshape(tf.constant([0.0, right]), (1, 1, 1, 2))
        inputs = [x, tf.ones((1, 1, 1, 1)), offset]
        y, _, _, gradient = value_and_gradients(deform_conv2d, inputs, ((1, 3), "valid"), tf.ones((1, 1, 1, 1)))
        assert gradient[0, 0, 0, 1] == slope
        assert y.numpy().item() == {0.0: 1, 1.0: 10, 2.0: 100}.get(right, 0)


@pytest.mark.parametrize("masked", (True, False))
def test_second_gradients(mode, masked):
    options = (1, "same", 1, 2, 1)
    inputs = make((1, 3, 4, 4), (2, 2, 2, 2), options, masked)

    def second(function):
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                y = tf.reduce_sum(tf.sin(function(*inputs, *([] if masked else [None]), *options)))
            first = inner.gradient(y, inputs)
            total = tf.add_n([tf.reduce_sum(tf.cos(g)) for g in first])
        return outer.gradient(total, inputs)

    for a, b in zip(second(deform_conv2d), second(reference), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


@pytest.mark.parametrize("shape", ((None, None, None, 4), (None,) * 4, (2, None, 6, 4), None))
@pytest.mark.parametrize("padding", ("same", ((2, 1), (0, 1))))
def test_unknown_dimensions(mode, padding, shape):
    options = (2, padding, 1, 2, 2)
    inputs = make((2, 7, 6, 4), (3, 3, 2, 6), options, dtype="float32")
    unknown = None if shape is None else (None,) * 4
    static = []

    @tf.function(
        input_signature=[tf.TensorSpec(shape), tf.TensorSpec(unknown), tf.TensorSpec(unknown)], autograph=False
    )
    def function(x, offset, mask):
        with tf.GradientTape() as tape:
            tape.watch((x, offset, mask))
            y = deform_conv2d(x, inputs[1], offset, mask, *options)
        static.append(y.shape)
        return y, *tape.gradient(y, (x, offset, mask))

    y, dx, _, doffset, dmask = value_and_gradients(reference, inputs, options, tf.ones(()))
    for a, b in zip(function(inputs[0], *inputs[2:]), (y, dx, doffset, dmask), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert static[0].rank == 4 and static[0][3] == 6 and static[0].is_compatible_with(y.shape)


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_batch(mode, dtype):
    options = (1, "same", 1, 2, 2)
    inputs = make((0, 5, 5, 4), (3, 3, 2, 6), options, dtype=dtype)
    y, *gradients = value_and_gradients(deform_conv2d, inputs, options)
    assert y.shape == (0, 5, 5, 6) and not np.any(wide(gradients)[1])
    assert [gradient.shape for gradient in gradients] == [value.shape for value in inputs]


@pytest.mark.after
def test_compiled_by_xla_gives_the_same():
    options = (2, 1, 1, 2, 1)
    inputs = make((2, 5, 5, 4), (3, 3, 2, 4), options, dtype="float32")

    @tf.function(jit_compile=True)
    def function(*inputs):
        return value_and_gradients(deform_conv2d, list(inputs), options, tf.ones(()))

    expected = value_and_gradients(reference, inputs, options, tf.ones(()))
    for a, b in zip(function(*inputs), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_plain_tensorflow_holds_stock_ops_only():
    options = (1, "same", 1, 1, 1)
    _, w, offset, _ = make((1, 4, 4, 2), (3, 3, 2, 2), options, dtype="float32")
    with native("off"):
        function = tf.function(lambda x: deform_conv2d(x, w, offset), autograph=False)
        graph = function.get_concrete_function(tf.TensorSpec((1, 4, 4, 2))).graph
    assert not [op.type for op in graph.get_operations() if "Kerascnn" in op.type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": tf.zeros((5, 5, 4))}, r"`x` must be \[batch, height, width, channels\]"),
        ({"x": tf.zeros((1, 5, 5, 6))}, r"`x` must have groups \* filters.shape\[2\] channels"),
        ({"filters": tf.zeros((3, 3, 2))}, "`filters` must be .height, width, in/groups, out."),
        ({"offset": tf.zeros((1, 5, 5, 17))}, r"`offset` must be.*offset_groups \* taps \* 2\], here \(1, 5, 5, 18\)"),
        ({"offset": tf.zeros((1, 4, 5, 18))}, "`offset` must be"),
        ({"offset": tf.zeros((18,))}, "`offset` must be"),
        ({"offset": tf.zeros((1, 5, 5, 18), tf.float64)}, "`offset` must have the dtype of `x`.*float64"),
        ({"mask": tf.zeros((1, 5, 5, 18))}, "`mask` must be.*here .1, 5, 5, 9."),
        ({"mask": tf.zeros((1, 5, 5, 9), tf.float64)}, "`mask` must have the dtype of `x`"),
        ({"offset_groups": 3}, "`offset_groups` must divide the channels of `x`.*offset_groups=3"),
        ({"offset_groups": 0}, "`offset_groups` must be a whole number of at least 1"),
        ({"groups": True}, "`groups` must be a whole number"),
        ({"padding": "valid", "dilations": 3}, "must fit into the padded image"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(change, message):
    arguments = {"x": tf.zeros((1, 5, 5, 4)), "filters": tf.zeros((3, 3, 2, 4)), "offset": tf.zeros((1, 5, 5, 18))}
    with pytest.raises(InputError, match=message) as caught:
        deform_conv2d(**(arguments | {"groups": 2} | change))
    assert "\n" not in str(caught.value)


def test_one_call_of_the_native_op_refuses_what_does_not_fit():
    if not _native.register():
        pytest.skip("the native library is not built here")
    given = dict(x=tf.zeros((1, 5, 5, 4)), filters=tf.zeros((3, 3, 2, 4)), offset=tf.zeros((1, 5, 5, 18)))
    given |= dict(mask=tf.zeros((1, 5, 5, 9)), modulated=True, strides=[1, 1], padding="SAME")
    for change, message in (
        ({"offset": tf.zeros((1, 5, 5, 17))}, "offset must have offset groups"),
        ({"offset": tf.zeros((1, 4, 5, 18))}, "offset must have the shape"),
        ({"offset": tf.zeros((1, 5, 5, 54))}, "offset groups must be at least 1 and divide"),
        ({"mask": tf.zeros((1, 5, 5, 8))}, "mask must have the shape"),
        ({"modulated": False}, "mask must be empty"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            _native.loaded().kerascnn_deform_conv2d(**(given | change))
    with pytest.raises(tf.errors.InvalidArgumentError, match="dy must have the shape"):
        _native.loaded().kerascnn_deform_conv2d_gradient(**given, dy=tf.zeros((1, 5, 4, 4)))


PEER = """
import sys, numpy as np, torch
from torchvision.ops import deform_conv2d
with np.load(sys.argv[1]) as file:
    given = dict(file)
found = {}
for case in range(int(given["cases"])):
    names = [f"{case}/{name}" for name in ("x", "offset", "w", "mask") if f"{case}/{name}" in given]
    tensors = [torch.tensor(given[name], requires_grad=True) for name in names]
    stride, pad, dilation = given[f"{case}/window"].tolist()
    mask = tensors[3] if len(tensors) == 4 else None
    y = deform_conv2d(*tensors[:3], None, stride, pad, dilation, mask)
    found[f"{case}/y"] = y.detach().numpy()
    for name, gradient in zip(names, torch.autograd.grad(y, tensors, torch.tensor(given[f"{case}/dy"]))):
        found[name] = gradient.numpy()
np.savez(sys.argv[2], **found)
"""


@pytest.mark.peers
def test_equals_torchvision(tmp_path):
    """Every combination of options; also at whole coordinates, as at the start of training."""
    python = os.environ.get("KERASCNN_PEERS_PYTHON")
    if not python:
        pytest.skip("needs KERASCNN_PEERS_PYTHON, an interpreter with torch and torchvision")
    random = np.random.default_rng(0)
    forms = itertools.product((1, 2), (1, 3), ((1, 1), (2, 1)), ((1, 1), (2, 1)), ((0, 0), (1, 2)), (False, True))
    cases, sent = [], {}
    last = lambda array: np.ascontiguousarray(np.moveaxis(array, 3, 1))  # noqa: E731
    for case, (groups, offset_groups, stride, dilation, pad, masked) in enumerate(forms):
        for_case = (stride, tuple((side, side) for side in pad), dilation, groups, offset_groups)
        dtype = "float32" if case % 4 else "float64"
        inputs = make((3, 6, 5, 6), (3, 2, 6 // groups, 4), for_case, masked, dtype, case)
        if case % 3 == 0:
            inputs[2] = tf.floor(inputs[2])
        dy = random.normal(size=(*inputs[2].shape[:3], 4)).astype(dtype)
        cases.append((inputs, for_case, dy))
        sent |= {f"{case}/x": last(inputs[0].numpy()), f"{case}/offset": last(inputs[2].numpy())}
        sent |= {f"{case}/w": inputs[1].numpy().transpose(3, 2, 0, 1), f"{case}/dy": last(dy)}
        sent |= {f"{case}/window": np.array([stride, pad, dilation])}
        if masked:
            sent[f"{case}/mask"] = last(inputs[3].numpy())
    np.savez(tmp_path / "given.npz", cases=len(cases), **sent)
    environment = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("KERASCNN_PEERS_LD_LIBRARY_PATH", "")}
    for key in ("PYTHONPATH", "LD_PRELOAD"):
        environment.pop(key, None)
    command = [python, "-c", PEER, str(tmp_path / "given.npz"), str(tmp_path / "found.npz")]
    subprocess.run(command, env=environment, check=True, timeout=300)
    with np.load(tmp_path / "found.npz") as file:
        theirs = dict(file)
    for case, (inputs, for_case, dy) in enumerate(cases):
        ours = value_and_gradients(deform_conv2d, inputs, for_case, tf.constant(dy))
        for name, value in zip(("y", "x", "w", "offset", "mask"), ours, strict=False):
            truth = theirs[f"{case}/{name}"].transpose((2, 3, 1, 0) if name == "w" else (0, 2, 3, 1))
            limit = (1e-5 if dy.dtype == np.float32 else 1e-12) * np.abs(truth).max()
            np.testing.assert_allclose(value, truth, rtol=0, atol=limit, err_msg=f"{case} {name} {for_case}")

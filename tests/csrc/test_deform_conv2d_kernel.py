"""The deform_conv2d kernels on NumPy arrays: against plain loops, awkward sizes, any number of threads, any offsets."""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from kernel_arrays import kernels, stored, widened

CASES = {  # x shape, filters shape, offset groups, mask, strides, padding (top, bottom, left, right), dilations
    "plain": ((2, 5, 6, 4), (3, 3, 4, 3), 1, True, (1, 1), (1, 1, 1, 1), (1, 1)),
    "version 1": ((1, 5, 4, 3), (3, 2, 3, 2), 1, False, (2, 1), (1, 0, 1, 1), (2, 1)),
    "groups": ((3, 5, 4, 6), (3, 2, 3, 4), 3, True, (2, 1), (1, 0, 1, 1), (2, 1)),
    "many groups": ((1, 4, 4, 40), (2, 2, 2, 20), 5, True, (1, 1), (0, 1, 1, 0), (1, 1)),
    "offsets across groups": ((2, 3, 4, 18), (1, 3, 6, 9), 2, True, (1, 2), (0, 0, 1, 1), (1, 1)),
    "channels of their own": ((1, 3, 3, 20), (2, 2, 20, 3), 20, True, (1, 1), (1, 1, 1, 1), (1, 1)),
    "several slabs": ((2, 3, 4, 150), (2, 2, 150, 37), 3, True, (1, 1), (1, 0, 1, 0), (1, 1)),
    "deep": ((1, 2, 3, 70), (3, 3, 70, 300), 1, False, (1, 1), (1, 1, 1, 1), (1, 1)),
    "many pixels": ((1, 17, 23, 3), (3, 3, 3, 2), 1, True, (1, 1), (1, 1, 1, 1), (1, 1)),
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1), 1, True, (1, 1), (0, 0, 0, 0), (1, 1)),
    "empty batch": ((0, 5, 5, 4), (3, 3, 2, 4), 1, True, (1, 1), (1, 1, 1, 1), (1, 1)),
    "no pixels in": ((1, 0, 3, 2), (2, 2, 2, 2), 1, True, (1, 1), (1, 1, 1, 1), (1, 1)),
    "no pixels out": ((2, 2, 2, 4), (3, 3, 2, 4), 1, True, (1, 1), (0, 0, 0, 0), (1, 1)),
}
TYPES = {"float32": ("", 3e-5), "float64": ("", 1e-12), "float16": ("_float16", 2e-3), "bfloat16": ("_bfloat16", 8e-3)}


def loops(x, w, offset, mask, dy, offset_groups, strides, padding, dilations):
    """(y, dx, dw, doffset, dmask) in float64, sample by sample. Without dy, only y."""
    batch, height, width, channels = x.shape
    kernel_height, kernel_width, depth, filters = w.shape
    each, own = filters // (channels // depth), channels // offset_groups
    shape = (*offset.shape[:3], offset_groups, kernel_height, kernel_width)
    offset = offset.reshape(*shape, 2)
    weights = np.ones(shape) if mask is None else mask.reshape(shape)
    y, dx, dw = np.zeros((*shape[:3], filters)), np.zeros(x.shape), np.zeros(w.shape)
    doffset, dmask = np.zeros(offset.shape), np.zeros(shape)
    for n, i, j, d, a, b in itertools.product(*map(range, shape)):
        down = i * strides[0] - padding[0] + a * dilations[0] + offset[n, i, j, d, a, b, 0]
        right = j * strides[1] - padding[2] + b * dilations[1] + offset[n, i, j, d, a, b, 1]
        if not (-1 <= down < height and -1 <= right < width):
            continue
        top, left = math.floor(down), math.floor(right)
        ly, lx, m = down - top, right - left, weights[n, i, j, d, a, b]
        sample, slope_y, slope_x = np.zeros(own), np.zeros(own), np.zeros(own)
        corners = []
        for r, c in itertools.product((0, 1), (0, 1)):
            if 0 <= top + r < height and 0 <= left + c < width:
                pixel = x[n, top + r, left + c, d * own : (d + 1) * own]
                weight = (ly if r else 1 - ly) * (lx if c else 1 - lx)
                corners.append((top + r, left + c, weight))
                sample += weight * pixel
                slope_y += (1 if r else -1) * (lx if c else 1 - lx) * pixel
                slope_x += (1 if c else -1) * (ly if r else 1 - ly) * pixel
        for k in range(own):
            g, inside = divmod(d * own + k, depth)
            outs = slice(g * each, (g + 1) * each)
            y[n, i, j, outs] += m * sample[k] * w[a, b, inside, outs]
            if dy is None:
                continue
            column = dy[n, i, j, outs] @ w[a, b, inside, outs]
            dw[a, b, inside, outs] += m * sample[k] * dy[n, i, j, outs]
            dmask[n, i, j, d, a, b] += column * sample[k]
            doffset[n, i, j, d, a, b] += m * column * np.array([slope_y[k], slope_x[k]])
            for row, place, weight in corners:
                dx[n, row, place, d * own + k] += m * weight * column
    if dy is None:
        return y
    flat = (*shape[:3], offset_groups * kernel_height * kernel_width)
    return y, dx, dw, doffset.reshape(*flat[:3], 2 * flat[3]), None if mask is None else dmask.reshape(flat)


def sizes(x_shape, w_shape, strides, padding, dilations):
    room = [x_shape[1 + i] + padding[2 * i] + padding[2 * i + 1] - (w_shape[i] - 1) * dilations[i] - 1 for i in (0, 1)]
    return tuple(0 if room[i] < 0 else room[i] // strides[i] + 1 for i in (0, 1))


def tensors(case, dtype, seed=0):
    """Stored and exact x, filters, offset, mask, dy. Offsets keep off the kinks, which rounding may cross."""
    x_shape, w_shape, offset_groups, masked, *window = case
    random = np.random.default_rng(seed)
    height, width = sizes(x_shape, w_shape, *window)
    taps = w_shape[0] * w_shape[1] * offset_groups
    offset = random.integers(-2, 3, size=(x_shape[0], height, width, 2 * taps))
    offset = offset + random.choice([0.125, 0.25, 0.5, 0.75], size=offset.shape)
    mask = random.uniform(size=(*offset.shape[:3], taps)) if masked else None
    values = (random.normal(size=x_shape), random.normal(size=w_shape), offset, mask)
    values = (*values, random.normal(size=(*offset.shape[:3], w_shape[3])))
    pairs = [stored(value, dtype) for value in values]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs], (offset_groups, *window)


def run(given, options, suffix="", threads=1):
    x, w, offset, mask, dy = given
    y = getattr(kernels, "deform_conv2d_forward" + suffix)(x, w, offset, mask, *options, n_threads=threads)
    results = getattr(kernels, "deform_conv2d_gradient" + suffix)(x, w, offset, mask, dy, *options, n_threads=threads)
    return (y, *results)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CASES)
def test_kernels_equal_plain_loops(case, dtype):
    given, exact, options = tensors(CASES[case], dtype)
    suffix, tolerance = TYPES[dtype]
    for ours, truth in zip(run(given, options, suffix, 2), loops(*exact, *options), strict=True):
        assert (ours is None) == (truth is None)
        if truth is not None:
            assert ours.shape == truth.shape
            limit = tolerance * max(1.0, np.abs(truth).max(initial=0))
            np.testing.assert_allclose(widened(ours, dtype), truth, rtol=0, atol=limit)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", ("groups", "several slabs", "many pixels", "many groups"))
def test_bits_do_not_depend_on_threads(case, dtype):
    given, _, options = tensors(CASES[case], dtype)
    one = run(given, options, TYPES[dtype][0])
    for threads in (2, 3, 7):
        for a, b in zip(one, run(given, options, TYPES[dtype][0], threads), strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("level", ("baseline", "avx2"))
def test_every_instruction_set(level):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", __file__]
    command += ["-k", "equal_plain_loops"]
    done = subprocess.run(
        command, env={**os.environ, "KERASCNN_CPU_LEVEL": level}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_any_offset_is_safe_and_what_is_not_a_number_lies_outside():
    random = np.random.default_rng(0)
    x, w = random.normal(size=(1, 4, 5, 3)).astype("float32"), random.normal(size=(2, 2, 3, 2)).astype("float32")
    odd = np.array(
        [np.nan, np.inf, -np.inf, 3e38, -3e38, 2.0**31, -(2.0**31), 2.0**63, 1e-45, -1.0, 4.0, 5.0, 1e9, -1e9]
    )
    offset = random.choice(odd, size=(1, 3, 4, 8)).astype("float32")
    mask, dy = np.ones((1, 3, 4, 4), np.float32), random.normal(size=(1, 3, 4, 2)).astype("float32")
    exact = [array.astype(np.float64) for array in (x, w, offset, mask, dy)]
    truth = loops(*exact, 1, (1, 1), (0, 0, 0, 0), (1, 1))
    for ours, expected in zip(run((x, w, offset, mask, dy), (1,), threads=2), truth, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_pixels_outside_are_not_multiplied_by_zero():
    x = np.full((1, 2, 2, 1), np.inf)
    offset = np.full((1, 1, 1, 2), -0.5)  # half a pixel above and beside pixel (0, 0)
    y = kernels.deform_conv2d_forward(x, np.ones((1, 1, 1, 1)), offset, strides=(2, 2))
    assert np.isposinf(y).all()
    offset = np.full((1, 1, 1, 2), 7.0)
    assert not kernels.deform_conv2d_forward(x, np.ones((1, 1, 1, 1)), offset, strides=(2, 2)).any()


def test_at_whole_coordinates_the_slope_is_the_one_towards_larger_ones():
    x = np.array([1.0, 10.0, 100.0]).reshape(1, 1, 3, 1)
    slopes = {-2.0: 0, -1.0: 1, 0.0: 9, 1.0: 90, 2.0: -100, 3.0: 0}
    for right, slope in slopes.items():
        given = (x, np.ones((1, 1, 1, 1)), np.array([0.0, right]).reshape(1, 1, 1, 2), None, np.ones((1, 1, 1, 1)))
        y, _, _, doffset, _ = run(given, (1, (1, 3)))
        assert doffset[0, 0, 0, 1] == slope
        assert y.item() == {0.0: 1, 1.0: 10, 2.0: 100}.get(right, 0)


@pytest.mark.parametrize("dtype", ("float32", "float16"))
def test_large_images_stay_within_the_working_memory(dtype):
    """The slabs' shares of one image, or dx in float32, would not fit; the result is still that of smaller pieces."""
    random = np.random.default_rng(0)
    suffix = TYPES[dtype][0]
    shape = (1, 400, 300, 34) if dtype == "float32" else (1, 520, 420, 20)
    taps = 9
    x, w = stored(random.normal(size=shape), dtype)[0], stored(random.normal(size=(3, 3, shape[3], 1)), dtype)[0]
    offset, wide_offset = stored(random.uniform(-2, 2, size=(*shape[:3], 2 * taps)), dtype)
    mask, wide_mask = stored(random.uniform(size=(*shape[:3], taps)), dtype)
    dy, wide_dy = stored(random.normal(size=(*shape[:3], 1)), dtype)
    options = (1, (1, 1), (1, 1, 1, 1), (1, 1))
    size = getattr(kernels, "deform_conv2d_scratch" + suffix)
    assert size(x, w, offset, True, *options, n_threads=8) < 64 << 20
    results = run((x, w, offset, mask, dy), options, suffix, 2)
    # y is linear in each of three inputs, so <dy, y> = <dx, x> = <dw, w> = <dmask, mask>.
    total = np.vdot(wide_dy, widened(results[0], dtype))
    scale = np.linalg.norm(wide_dy) * np.linalg.norm(widened(results[0], dtype))
    for gradient, value in ((results[1], x), (results[2], w), (results[4], mask)):
        inner = np.vdot(widened(gradient, dtype), widened(value, dtype))
        assert abs(inner - total) < (1e-5 if dtype == "float32" else 2e-3) * scale
    wide_x, wide_w, doffset = widened(x, dtype), widened(w, dtype), widened(results[3], dtype)
    for i, j, tap in zip(
        *(random.integers(5, high, size=50) for high in (shape[1] - 5, shape[2] - 5, taps)), strict=True
    ):
        move = wide_offset[0, i, j].reshape(taps, 2)[tap]
        down, right = (
            np.float32(i + tap // 3 - 1) + np.float32(move[0]),
            np.float32(j + tap % 3 - 1) + np.float32(move[1]),
        )
        top, left = math.floor(down), math.floor(right)
        four = wide_x[0, top : top + 2, left : left + 2] @ (wide_w[tap // 3, tap % 3, :, 0] * wide_dy[0, i, j, 0])
        slope = (four[1] - four[0]) @ (1 - right + left, right - left) * wide_mask[0, i, j, tap]
        assert doffset[0, i, j, 2 * tap] == pytest.approx(slope, rel=3e-3, abs=3e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": (0, 1)}, "Strides must be at least 1"),
        ({"offset_groups": 3}, "offset groups must be at least 1 and divide"),
        ({"offset_groups": 0}, "offset groups must be at least 1"),
        ({"offset_groups": 2**62}, "offset groups must"),
        ({"offset_groups": 2}, "offset must be"),
        ({"offset": np.zeros((1, 3, 3, 16), np.float32)}, "offset must be"),
        ({"offset": np.zeros((1, 3, 4, 18), np.float32)}, "offset must be"),
        ({"mask": np.zeros((1, 3, 3, 18), np.float32)}, "mask must be"),
        ({"filters": np.zeros((3, 3, 3, 4), np.float32)}, "groups \\* the filters' input channels"),
        ({"padding": (2**31 - 1, 2**31 - 1, 0, 0)}, "must be smaller than 2\\^31"),
    ],
)
def test_wrong_arguments_are_refused_in_words(change, message):
    arguments = {
        "x": np.zeros((1, 5, 5, 4), np.float32),
        "filters": np.zeros((3, 3, 2, 4), np.float32),
        "offset": np.zeros((1, 3, 3, 18), np.float32),
    } | change
    with pytest.raises(ValueError, match=message):
        kernels.deform_conv2d_forward(**arguments)

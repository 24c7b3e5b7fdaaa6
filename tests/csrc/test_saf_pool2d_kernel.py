"""The kernel of SAF-pooling on NumPy arrays: random words, values, gradients, threads, instruction sets."""

import os
import subprocess
import sys

import numpy as np
import pytest
from kernel_arrays import kernels, stored, widened

KEY = (0x9ABCDEF0, 0x12345678)
# shape, window, strides, padding: 2x2; odd sizes and channels that fill no vector; overlap; gaps; many channels; the
# whole image; a window of 255
CASES = [
    ((2, 6, 8, 192), (2, 2), (2, 2), (0, 0, 0, 0)),
    ((2, 5, 7, 37), (2, 2), (2, 2), (0, 1, 0, 1)),
    ((1, 6, 5, 3), (3, 2), (3, 2), (1, 1, 1, 0)),
    ((2, 7, 7, 21), (3, 3), (2, 2), (1, 1, 0, 2)),
    ((1, 6, 6, 70), (2, 3), (1, 1), (1, 0, 1, 1)),
    ((1, 9, 8, 18), (2, 2), (4, 3), (0, 0, 0, 0)),
    ((1, 4, 4, 2051), (2, 2), (2, 2), (0, 0, 0, 0)),
    ((3, 8, 8, 90), (8, 8), (8, 8), (0, 0, 0, 0)),
    ((1, 17, 15, 19), (17, 15), (1, 1), (3, 0, 2, 1)),
]
TYPES = [("float32", ""), ("float64", ""), ("float16", "_float16"), ("bfloat16", "_bfloat16")]


def arguments(case):
    return dict(zip(("window", "strides", "padding"), case[1:], strict=True))


def images(shape, dtype="float32"):
    """Few different numbers, so that maxima are shared."""
    return np.random.default_rng(sum(shape)).integers(-9, 9, shape).astype(dtype)


def random_words(count, key=KEY):
    return np.array([kernels.philox(block, key) for block in range(-(-count // 4))], "uint32").ravel()[:count]


def expected(x, window, strides, padding, rate, per_channel, key=KEY):
    """y and state by the definition, one output at a time."""
    n, height, width, channels = x.shape
    top, bottom, left, right = padding
    rows = (height + top + bottom - window[0]) // strides[0] + 1
    columns = (width + left + right - window[1]) // strides[1] + 1
    padded = np.pad(x.astype("float64"), ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-np.inf)
    y, state = np.zeros((n, rows, columns, channels)), np.zeros((n, rows, columns, channels), "uint8")
    for i, j in np.ndindex(rows, columns):
        taps = padded[:, i * strides[0] :, j * strides[1] :][:, : window[0], : window[1]].reshape(n, -1, channels)
        y[:, i, j], state[:, i, j] = taps.max(1), taps.argmax(1)
    shape = (n, 1, 1, channels) if per_channel else y.shape
    dropped = random_words(np.prod(shape), key).reshape(shape) < round(rate * 2**32)
    state[np.broadcast_to(dropped, y.shape)] = 255
    return np.where(dropped, 0, y / (1 - rate)), state


def scattered(x_shape, state, dy, window, strides, padding, rate):
    """The gradient, by adding each dy where its state points."""
    dx = np.zeros(x_shape)
    for n, i, j, c in np.argwhere(state != 255):
        a, b = divmod(int(state[n, i, j, c]), window[1])
        dx[n, i * strides[0] - padding[0] + a, j * strides[1] - padding[2] + b, c] += dy[n, i, j, c] / (1 - rate)
    return dx


def test_the_generator_gives_the_published_words():
    # Random123's known answers for philox4x32-10 with a counter and a key of zeros
    assert [f"{word:08x}" for word in kernels.philox(0, (0, 0))] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


@pytest.mark.parametrize("dtype, tolerance", [("float32", 3e-7), ("float64", 1e-15)])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradient(case, dtype, tolerance):
    x = images(case[0], dtype)
    for rate, per_channel in [(0.3, False), (0.3, True), (0.0, False)]:
        y, state = kernels.saf_pool2d_forward(x, KEY, **arguments(case), rate=rate, per_channel=per_channel)
        true_y, true_state = expected(x, *case[1:], rate, per_channel)
        np.testing.assert_allclose(y, true_y, rtol=tolerance)
        np.testing.assert_array_equal(state, true_state)
        dy = np.random.default_rng(1).normal(size=y.shape).astype(dtype)
        dx = kernels.saf_pool2d_gradient(x.shape, state, dy, **arguments(case), rate=rate)
        assert dx.dtype == y.dtype == dtype
        true_dx = scattered(x.shape, state, dy, *case[1:], rate)
        np.testing.assert_allclose(dx, true_dx, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("case", CASES[:5])
def test_halves_round_once(case, dtype):
    forward, gradient = (getattr(kernels, f"saf_pool2d_{name}_{dtype}") for name in ("forward", "gradient"))
    x = images(case[0])
    bits, state = forward(stored(x, dtype)[0], KEY, **arguments(case), rate=0.5)  # twice a small number is exact
    y, state32 = kernels.saf_pool2d_forward(x, KEY, **arguments(case), rate=0.5)
    np.testing.assert_array_equal(widened(bits, dtype), y)
    np.testing.assert_array_equal(state, state32)
    dy = images(y.shape)
    dx = gradient(x.shape, state, stored(dy, dtype)[0], **arguments(case), rate=0.5)
    want = kernels.saf_pool2d_gradient(x.shape, state, dy, **arguments(case), rate=0.5)
    np.testing.assert_array_equal(widened(dx, dtype), want)


@pytest.mark.parametrize("case", CASES)
def test_threads_do_not_change_a_bit(case):
    x = np.random.default_rng(0).normal(size=case[0]).astype("float32")
    one = kernels.saf_pool2d_forward(x, KEY, **arguments(case))
    dx = kernels.saf_pool2d_gradient(x.shape, one[1], one[0], **arguments(case))
    for threads in (2, 3, 8):
        more = kernels.saf_pool2d_forward(x, KEY, **arguments(case), n_threads=threads)
        for a, b in zip(one, more, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(
            kernels.saf_pool2d_gradient(x.shape, one[1], one[0], **arguments(case), n_threads=threads), dx
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_is_no_maximum_and_the_first_of_equals_wins(dtype):
    nan, inf, lowest = np.nan, np.inf, np.finfo(dtype).min
    windows = [([nan, 1, 3, 3], 3, 2), ([5, nan, 5, nan], 5, 0), ([nan] * 4, lowest, 0), ([-inf] * 4, lowest, 0),
               ([-inf, lowest, inf, inf], inf, 2), ([0, 0, 0, 0], 0, 0)]  # fmt: skip
    for channels in (1, 40):
        x = np.array([values for values, _, _ in windows], dtype).reshape(-1, 2, 2, 1).repeat(channels, 3)
        y, state = kernels.saf_pool2d_forward(x, KEY, rate=0.0)
        np.testing.assert_array_equal(y[..., 0].ravel(), [maximum for _, maximum, _ in windows])
        np.testing.assert_array_equal(state[..., 0].ravel(), [at for _, _, at in windows])
        assert (y == y[..., :1]).all() and (state == state[..., :1]).all()


def test_a_dropped_infinity_leaves_nothing():
    y, state = kernels.saf_pool2d_forward(np.full((1, 64, 64, 20), np.inf, "float32"), KEY, rate=0.5)
    np.testing.assert_array_equal(y, np.where(state == 255, 0, np.inf))
    dx = kernels.saf_pool2d_gradient((1, 64, 64, 20), state, np.full(y.shape, np.inf, "float32"), rate=0.5)
    assert not np.isnan(dx).any()


@pytest.mark.parametrize("rate", [0.0, 1e-9, 2**-16, 0.2, 0.75, 1 - 1e-9])
def test_the_rate_is_kept(rate):
    y, state = kernels.saf_pool2d_forward(np.ones((4, 100, 100, 40), "float32"), KEY, rate=rate)
    share, count = (state == 255).mean(), state.size
    assert abs(share - rate) <= 4 * np.sqrt(rate * (1 - rate) / count)
    np.testing.assert_allclose(y[state != 255], 1 / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("case", CASES[:6])
def test_any_state_is_safe(case):
    x = images(case[0])
    y, _ = kernels.saf_pool2d_forward(x, KEY, **arguments(case))
    state = np.random.default_rng(0).integers(0, 256, y.shape).astype("uint8")
    dx = kernels.saf_pool2d_gradient(x.shape, state, np.ones_like(y), **arguments(case), rate=0.0)
    assert np.isfinite(dx).all() and dx.sum() <= y.size


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 0, 4, 3), (2, 4, 0, 3), (2, 4, 4, 0)])
def test_nothing_to_do(shape):
    y, state = kernels.saf_pool2d_forward(np.zeros(shape, "float32"), KEY)
    assert y.size == 0 and state.shape == y.shape
    assert kernels.saf_pool2d_gradient(shape, state, y).shape == shape


@pytest.mark.parametrize(
    "change, message",
    [
        ({"window": (0, 2)}, "at least 1 and at most 255 elements. Received: 0, 2"),
        ({"window": (16, 16)}, "at least 1 and at most 255 elements. Received: 16, 16"),
        ({"window": (2**62, 2**62)}, "at most 255 elements"),
        ({"strides": (1, 0)}, "Strides must be at least 1 and below 2^31. Received: 1, 0"),
        ({"strides": (2**62, 1)}, "Strides must be at least 1"),
        ({"padding": (0, 2, 0, 0)}, "smaller than the window. Received: 0, 2, 0, 0"),
        ({"padding": (-1, 0, 0, 0)}, "Padding must be at least 0"),
        ({"padding": (0, 0, 0, 2**62)}, "smaller than the window"),
        ({"window": (2, 5)}, "The window must fit into the padded image. Received: 2, 5, 4, 4"),
        ({"rate": 1.0}, "The rate must be at least 0 and less than 1. Received: 1"),
        ({"rate": -0.1}, "The rate must be"),
        ({"rate": float("nan")}, "The rate must be"),
    ],
)
def test_check_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message.replace("^", r"\^")):
        kernels.saf_pool2d_forward(np.ones((1, 4, 4, 3), "float32"), KEY, **change)


@pytest.mark.parametrize("shape", [(-1, 4, 4, 3), (1, 2**31, 4, 3), (2**30, 2**30, 2**30, 2**30), (2**62, 4, 4, 4)])
def test_check_refuses_shapes(shape):
    nothing = np.zeros((0, 2, 2, 3), "float32")
    with pytest.raises(ValueError, match="extents must be below|too large to address"):
        kernels.saf_pool2d_gradient(shape, nothing.astype("uint8"), nothing)
    with pytest.raises(ValueError, match="state and dy must have the shape of the pooled images"):
        kernels.saf_pool2d_gradient((1, 4, 4, 3), nothing.astype("uint8"), nothing)


@pytest.mark.parametrize("level", ["baseline", "avx2"])
def test_every_instruction_set_gives_the_same_bits(level, tmp_path):
    script = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1]); import test_saf_pool2d_kernel as t;"
        "np.savez(sys.argv[2], *t.results()); print(t.kernels.cpu_level())"
    )
    command = [sys.executable, "-c", script, os.path.dirname(__file__), str(tmp_path / "out.npz")]
    environment = {**os.environ, "KERASCNN_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in (level, "baseline")
    theirs = np.load(tmp_path / "out.npz")
    for index, ours in enumerate(results()):
        np.testing.assert_array_equal(theirs[f"arr_{index}"], ours)


def results():
    """Values, states and gradients of every case and type."""
    found = []
    for case in CASES:
        x = np.random.default_rng(0).normal(size=case[0]).astype("float32")
        for dtype, suffix in TYPES:
            y, state = getattr(kernels, f"saf_pool2d_forward{suffix}")(
                stored(x, dtype)[0], KEY, **arguments(case), rate=0.3
            )
            dx = getattr(kernels, f"saf_pool2d_gradient{suffix}")(x.shape, state, y, **arguments(case), rate=0.3)
            found += [y, state, dx]
    return found

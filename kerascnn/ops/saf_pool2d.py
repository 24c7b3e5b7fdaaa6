"""SAF-pooling: max-pooling and dropout of its results in one pass."""

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native
from kerascnn.ops._pooling import global_max_pool2d, max_pool2d
from kerascnn.ops._windows import DTYPES, Pair, check_fit, pair

_SEEDS = (tf.int32, tf.int64, tf.uint32, tf.uint64)
_MOST_TAPS = 255  # the native gradient keeps the place of a maximum in a byte, and one value says "dropped"
_PHILOX = 1  # tf.random.Algorithm.PHILOX


def check_arguments(
    pool_size: Pair | None, strides: Pair | None, padding: str, rate: float, mode: str
) -> tuple[Pair | None, Pair | None, str]:
    """Refuses what breaks the rules of `saf_pool2d`.

    Args:
        pool_size, strides, padding, rate, mode: see `saf_pool2d`.

    Returns:
        pool_size and strides as pairs (None where the window is the whole image), padding in lower case.

    Raises:
        InputError: one of them breaks its rule.
    """
    if not isinstance(rate, float | int | np.number) or isinstance(rate, bool) or not 0 <= rate < 1:
        raise InputError(f"`rate` must be a number of at least 0 and less than 1. Received: rate={rate!r}")
    if mode not in ("element", "channel"):
        raise InputError(f'`mode` must be "element" or "channel". Received: mode={mode!r}')
    if not isinstance(padding, str) or padding.lower() not in ("same", "valid"):
        raise InputError(f'`padding` must be "same" or "valid". Received: padding={padding!r}')
    padding = padding.lower()
    if pool_size is None:
        if strides is not None or padding != "valid":
            raise InputError(
                "`strides` and `padding` have no meaning where `pool_size` is None, the whole image. "
                f"Received: strides={strides!r}, padding={padding!r}"
            )
        return None, None, padding
    pool_size = pair(pool_size, "pool_size")
    return pool_size, pool_size if strides is None else pair(strides, "strides"), padding


def saf_pool2d(
    x: tf.Tensor,
    pool_size: Pair | None = 2,
    strides: Pair | None = None,
    padding: str = "valid",
    rate: float = 0.2,
    mode: str = "element",
    seed: tf.Tensor | None = None,
    training: bool = False,
) -> tf.Tensor:
    """Max-pools images and, while training, sets pooled values to zero at random and scales the others up.

    y[n, i, j, c] = k · max of x[n, i·sy + a - top, j·sx + b - left, c] over the window's places (a, b) inside the
    image, where k is 0 with probability `rate`, else 1 / (1 - rate). Without training, plain max-pooling.
    Differentiable any number of times; the gradient of an output goes to the first of equal maxima.

    Whether an output is dropped depends only on `seed` and on its own place: its random number is word q mod 4 of
    block q // 4 of Philox4x32-10 under the two words of the seed, q being its index in the flattened y, or
    n · channels + c in mode "channel"; it is dropped where that number is below rate · 2^32, rounded. So results
    repeat on any device, with any number of threads, natively or not, and `rate` is kept to 2^-32.

    NaN never is a maximum, as for `tf.nn.max_pool` on a CPU; a window of nothing but NaN gives the lowest finite
    number (minus infinity in 16 bits). Where a window holds NaN beside numbers, the plain form may send the gradient
    to the NaN, as TensorFlow does; under XLA a NaN is the maximum.

    Which implementation runs: while training, this package's kernel, on a CPU or a GPU, for windows of at most 255
    pixels; plain TensorFlow (`reference`) for larger ones, where `pool_size` is None and the image's size is unknown,
    where the library is absent or switched off, under XLA, and on machines with a GPU that it was not built for.

    Args:
        x: images [batch, height, width, channels]; float32, float64, bfloat16 or float16.
        pool_size: the window, one int or (vertical, horizontal); None is the whole image (global pooling).
        strides: step between windows, one int or (vertical, horizontal); None is `pool_size`.
        padding: "valid" (windows lie inside the image) or "same" (as many windows as steps fit; places outside the
            image are left out).
        rate: probability of a pooled value to be dropped, at least 0 and less than 1.
        mode: "element" drops single values; "channel" all values of a channel of an image together.
        seed: two whole numbers (int32, int64, uint32 or uint64), of which the lower 32 bits count; None draws them from
            TensorFlow's global generator at each call.
        training: whether values are dropped.

    Returns:
        [batch, out height, out width, channels], dtype of `x`; out height and width are 1 where `pool_size` is None.

    Raises:
        InputError: an argument breaks one of these rules; or native ops are required and absent.

    Source: Hasanpour, Rouhani, Fayyaz, Sabokrou, Adeli, Towards principled design of deep convolutional networks:
    introducing SimpNet, 2018, arXiv:1802.06205; the generator: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as
    easy as 1, 2, 3, 2011.
    """
    _native.mode()  # refuses a word in KERASCNN_NATIVE that says nothing, whichever implementation runs
    x = tf.convert_to_tensor(x)
    size, strides, padding = check_arguments(pool_size, strides, padding, rate, mode)
    _check_images(x, size, strides, padding)
    if not training or rate == 0:
        return _max_pool(x, size, strides, padding)
    seed = _checked_seed(seed)
    window = size
    if window is None and x.shape.rank == 4 and None not in x.shape[1:3] and 0 not in x.shape[1:3]:
        window = strides = tuple(x.shape[1:3])
    if window is None or window[0] * window[1] > _MOST_TAPS or not _native.usable(gpu=True):
        return reference(x, pool_size, strides if size else None, padding, rate, mode, seed, training)
    y, _ = _native.library().kerascnn_saf_pool2d(
        x=x,
        seed=seed if seed.dtype.is_integer and not seed.dtype.is_unsigned else tf.bitcast(seed, _signed(seed.dtype)),
        ksize=window,
        strides=strides,
        padding=padding.upper(),
        rate=_thirds(float(rate)),
        per_channel=mode == "channel",
    )
    return y


def reference(x, pool_size=2, strides=None, padding="valid", rate=0.2, mode="element", seed=None, training=False):
    """The same in plain TensorFlow: bit for bit the native result for the same seed.

    Takes and returns what `saf_pool2d` does.
    """
    size, strides, padding = check_arguments(pool_size, strides, padding, rate, mode)
    y = _max_pool(x, size, strides, padding)
    if not training or rate == 0:
        return y
    shape = tf.shape(y)
    if mode == "channel":
        shape = tf.stack([shape[0], 1, 1, shape[3]])
    words = _random_words(_checked_seed(seed), shape)
    return tf.where(words < _threshold(rate), tf.zeros([], y.dtype), _scaled(y, 1 / (1 - rate)))


def _check_images(x: tf.Tensor, size, strides, padding: str) -> None:
    """Refuses what no implementation takes, as far as the static shape tells."""
    if x.dtype not in DTYPES:
        raise InputError(f"`x` must be float16, bfloat16, float32 or float64. Received: dtype={x.dtype.name}")
    if x.shape.rank not in (None, 4):
        raise InputError(f"`x` must be [batch, height, width, channels]. Received: shape={tuple(x.shape)}")
    if size is None and x.shape.rank is not None and 0 in x.shape[1:3]:
        raise InputError(f"An image must have pixels to be pooled. Received: x {x.shape}, pool_size=None")
    if size is not None:
        check_fit(x, size, strides, padding, (1, 1), "pool_size")


def _checked_seed(seed) -> tf.Tensor:
    if seed is None:
        return tf.random.uniform([2], tf.int32.min, tf.int32.max, tf.int32)
    seed = tf.convert_to_tensor(seed)
    if seed.dtype not in _SEEDS or not seed.shape.is_compatible_with([2]):
        raise InputError(f"`seed` must be two whole numbers. Received: dtype={seed.dtype.name}, shape={seed.shape}")
    return seed


def _signed(dtype: tf.DType) -> tf.DType:
    return {tf.uint32: tf.int32, tf.uint64: tf.int64}[dtype]


def _threshold(rate: float) -> int:
    """Random words below it are dropped: rate · 2^32 to the nearest whole number that a word can have."""
    return min(int(float(rate) * 2**32 + 0.5), 2**32 - 1)


def _thirds(rate: float) -> list[float]:
    """The number as three single-precision ones that add up to it: attributes of ops have no double."""
    parts = []
    for _ in range(3):
        parts.append(float(np.float32(rate)))
        rate -= parts[-1]
    return parts


def _scaled(values: tf.Tensor, scale: float) -> tf.Tensor:
    """The product as the kernel forms it: the halves are rounded once."""
    if values.dtype in (tf.float16, tf.bfloat16):
        return tf.cast(tf.cast(values, tf.float32) * scale, values.dtype)
    return values * tf.constant(scale, values.dtype)


def _max_pool(x: tf.Tensor, size, strides, padding: str) -> tf.Tensor:
    return global_max_pool2d(x) if size is None else max_pool2d(x, size, strides, padding)


def _random_words(seed: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """uint32 of this shape: the blocks of Philox one after another. TensorFlow's op is the published generator."""
    key = tf.reshape(tf.bitcast(tf.cast(seed, tf.uint32), tf.uint64), [1])
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=key, counter=tf.zeros([2], tf.uint64), alg=_PHILOX, dtype=tf.uint32
    )


_ATTRIBUTES = ("ksize", "strides", "padding", "rate", "per_channel")


@tf.RegisterGradient("Kerascnn>SAFPool2D")
def _gradient(op, dy, _):
    x, state = op.inputs[0], op.outputs[1]
    # The forward op exists, so the library is loaded whatever the mode is by now.
    dx = _native.loaded().kerascnn_saf_pool2d_gradient(
        x_shape=tf.shape(x, out_type=tf.int64),
        state=state,
        dy=dy,
        **{name: op.get_attr(name) for name in _ATTRIBUTES},
    )
    return dx, None


@tf.RegisterGradient("Kerascnn>SAFPool2DGradient")
def _second_gradient(op, ddx):
    """dx is linear in dy: each output takes what stands at its maximum."""
    x_shape, state, _ = op.inputs
    window, strides = op.get_attr("ksize"), op.get_attr("strides")
    same = op.get_attr("padding") == b"SAME"
    _, height, width, channels = tf.unstack(x_shape, num=4)
    outputs = tf.unstack(tf.shape(state, out_type=tf.int64), num=4)
    tap = tf.cast(state, tf.int64)
    index = tf.range(outputs[0])[:, None, None, None]
    for axis, length in enumerate((height, width)):
        before = 0
        if same:
            total = (outputs[1 + axis] - 1) * strides[axis] + window[axis] - length
            before = tf.maximum(total, tf.zeros_like(total)) // 2
        first = tf.range(outputs[1 + axis]) * strides[axis] - before
        place = tap // window[1] if axis == 0 else tap % window[1]
        index = index * length + tf.reshape(first, [1, -1, 1, 1] if axis == 0 else [1, 1, -1, 1]) + place
    index = index * channels + tf.range(channels)
    dropped = tap == 255
    taken = tf.gather(tf.reshape(ddx, [-1]), tf.where(dropped, tf.zeros_like(index), index))
    scale = 1 / (1 - sum(op.get_attr("rate")[::-1]))
    return None, None, tf.where(dropped, tf.zeros([], ddx.dtype), _scaled(taken, scale))

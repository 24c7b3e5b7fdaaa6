"""conv2d: 2-D convolution with any mix of groups, strides, dilations and explicit padding."""

import functools
import os

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native
from kerascnn.ops._guards import guarded, in_guarded_network
from kerascnn.ops._windows import (
    Padding,
    Pair,
    check_count,
    check_filters,
    check_fit,
    native_attributes,
    output_sizes,
    pair,
    standardize_padding,
)


def conv2d(
    x: tf.Tensor,
    filters: tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "same",
    dilations: Pair = 1,
    groups: int = 1,
    bias: tf.Tensor | None = None,
    activation: str | None = None,
) -> tf.Tensor:
    """Convolves (cross-correlates) a batch of images with a set of filters.

    y[n, i, j, o] = Σ x[n, i·sy + a·dy - top, j·sx + b·dx - left, g·C/G + c] · filters[a, b, c, o] over taps a, b and
    the channels c of o's group g; pixels outside the image count as zero. Differentiable any number of times.

    With `bias` the result is y + bias, and with `activation` "relu" the maximum of that and 0. This package's kernel on
    CPUs adds and clips while the results are in the caches; the values are those of separate ops.

    Which implementation runs is decided when the call is made or traced, from the mode (`kerascnn.ops.native`):

    | where | which |
    | --- | --- |
    | GPU, or tracing for XLA | tf.nn.conv2d; the CUDA kernels, not yet timed, are for graphs traced on a CPU |
    | CPU, float32, oneDNN on | this package's kernel for groups of 1, 2, 4, 8, 16 or 32 channels in and out |
    | CPU, bfloat16, oneDNN on | this package's kernel for groups of 2 or 4 channels in and out, or with dilation |
    | the same on a CPU with AMX, one group | tf.nn.conv2d; this package's kernel for the gradient of the filters |
    | CPU, float32, oneDNN off | this package's kernel with groups or dilation, which TensorFlow cannot differentiate |
    | CPU, float64, float16; bfloat16 with oneDNN off | this package's kernel |
    | all else, or no library | tf.nn.conv2d, float16 and dilated bfloat16 as float32; or the gradient of `reference` |

    Measured times are in results/ops. TensorFlow gives gradients of "EXPLICIT" padding to Eigen, so its kernel gets
    padded images instead. Groups of 16 or 32 channels with 3x3 taps and no stride go through Winograd's F(2x2, 3x3) in
    float32 and the halves: an infinite or NaN pixel then makes up to a pixel more of `y` NaN than the taps reach.

    Args:
        x: images [batch, height, width, in]; float16, bfloat16, float32 or float64 (halves are summed in float32).
        filters: [kernel height, kernel width, in/groups, out], same dtype.
        strides: step between outputs, one int or (vertical, horizontal).
        padding: "same" (as TensorFlow pads), "valid", one int for all sides, or ((top, bottom), (left, right)).
        dilations: step between taps, one int or (vertical, horizontal); may be mixed with strides.
        groups: output channels [i*out/groups, (i+1)*out/groups) see input channels [i*in/groups, (i+1)*in/groups).
        bias: [out], same dtype; None for none.
        activation: None or "relu".

    Returns:
        [batch, out height, out width, out], dtype of `x`.

    Raises:
        InputError: an argument breaks one of these rules; or native ops are required and absent.
    """
    _native.mode()  # refuses a word in KERASCNN_NATIVE that says nothing, whichever implementation runs
    strides, dilations = pair(strides, "strides"), pair(dilations, "dilations")
    padding = standardize_padding(padding)
    check_count(groups, "groups")
    x, filters = tf.convert_to_tensor(x), tf.convert_to_tensor(filters)
    check_filters(x, filters, groups)
    window = (None, None) if filters.shape.rank is None else tuple(filters.shape[:2])
    check_fit(x, window, strides, padding, dilations)
    if filters.shape.rank == 4 and filters.shape[2] is not None:
        x = _native.shaped(x, (None, None, None, filters.shape[2] * groups))
    if activation not in (None, "relu"):
        raise InputError(f'`activation` must be None or "relu". Received: activation={activation!r}')
    if bias is not None:
        bias = _checked_bias(bias, x, filters)
    if _prefers_native(x.dtype, filters.shape, dilations, groups) and _native.usable():
        attributes = native_attributes(strides, padding, dilations)
        if bias is not None and not _native.has_gpu():
            relu = activation == "relu"
            return _native.library().kerascnn_fused_conv2d(x=x, filters=filters, bias=bias, relu=relu, **attributes)
        y = _native.library().kerascnn_conv2d(x=x, filters=filters, **attributes)
        return _finished(y, bias, activation)
    if _native.has_gpu() or _native.tracing_for_xla():
        return _finished(_stock(x, filters, strides, padding, dilations), bias, activation)

    def compute(x):
        return _finished(_stock_on_cpu(x, filters, strides, padding, dilations, groups), bias, activation)

    return guarded(compute, x, window, strides, padding, dilations)


def _finished(y: tf.Tensor, bias: tf.Tensor | None, activation: str | None) -> tf.Tensor:
    y = y if bias is None else tf.nn.bias_add(y, bias)
    return y if activation is None else tf.nn.relu(y)


def _checked_bias(bias, x: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
    bias = tf.convert_to_tensor(bias)
    out = None if filters.shape.rank is None else filters.shape[3]
    if bias.dtype != x.dtype or not bias.shape.is_compatible_with([out]):
        raise InputError(
            "`bias` must have one number for each output channel, in the dtype of `x`. "
            f"Received: bias {bias.shape} {bias.dtype.name}, filters {filters.shape}, x {x.dtype.name}"
        )
    return bias


def _prefers_native(dtype: tf.DType, filters: tf.TensorShape, dilations: tuple[int, int], groups: int) -> bool:
    """The rule of `conv2d` for the CPU."""
    depth, out = (None, None) if filters.rank is None else filters[2:]
    if dtype not in (tf.float32, tf.bfloat16) or not onednn():
        return dtype != tf.float32 or groups > 1 or max(dilations) > 1
    if dtype == tf.bfloat16 and max(dilations) > 1:
        return groups > 1
    ours = {tf.float32: (1, 2, 4, 8, 16, 32), tf.bfloat16: (2, 4)}[dtype]
    return groups > 1 and depth in ours and out == depth * groups


@functools.cache
def onednn() -> bool:
    """Whether TensorFlow runs convolutions on the CPU with oneDNN; without it they lack gradients with groups.

    Returns:
        What trying one out has shown, once in a process.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return False
    with tf.init_scope(), tf.device("CPU:0"):
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=(1, 1, 1, 4), filter=tf.zeros((1, 1, 2, 4)), out_backprop=tf.zeros((1, 1, 1, 4)),
                strides=(1, 1, 1, 1), padding="VALID",
            )  # fmt: skip
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def _stock(x: tf.Tensor, filters: tf.Tensor, strides, padding, dilations) -> tf.Tensor:
    """tf.nn.conv2d; on CPUs without its "EXPLICIT" padding, whose gradients TensorFlow does not give to oneDNN."""
    if isinstance(padding, tuple):
        sizes = (None, None) if x.shape.rank is None else x.shape[1:3]
        taps = (None, None) if filters.shape.rank is None else filters.shape[:2]
        axes = zip(sizes, taps, strides, dilations, padding, strict=True)
        if all(side == _same_padding(*axis) for *axis, side in axes):
            padding = "same"
        elif _native.has_gpu():
            return tf.nn.conv2d(x, filters, strides, ((0, 0), *padding, (0, 0)), dilations=dilations)
        else:
            x, padding = tf.pad(x, ((0, 0), *padding, (0, 0))), "valid"
            # TensorFlow joins this to the convolution, but not to the op below.
            return _apart(tf.nn.conv2d(x, filters, strides, "VALID", dilations=dilations), x, filters)
    if in_guarded_network() and filters.shape[2] == 1 and x.dtype == tf.float32:
        if x.shape[3] not in (None, 1) and strides[0] == strides[1] and max(dilations) == 1:
            # TensorFlow joins a bias and an activation to this op wherever it has a kernel for the three. Gradients of
            # this op are slower, but a network for inference needs none.
            channels, taps = x.shape[3], filters.shape[:2]
            depthwise = tf.reshape(filters, (*taps, channels, filters.shape[3] // channels))
            return tf.nn.depthwise_conv2d(x, depthwise, (1, *strides, 1), padding.upper())
    return _apart(tf.nn.conv2d(x, filters, strides, padding.upper(), dilations=dilations), x, filters)


def _apart(y: tf.Tensor, x: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
    """`y`, a convolution, so that TensorFlow does not join a bias that follows where there may be groups.

    The joint kernel refuses groups where oneDNN is off, as it may be where a saved graph runs.
    """
    if x.shape.rank != 4 or x.shape[3] == filters.shape[2]:
        return y
    return tf.squeeze(tf.expand_dims(y, 0), 0)  # costs nothing, and TensorFlow does not look past an axis more


def _same_padding(size: int | None, kernel: int | None, stride: int, dilation: int) -> tuple[int, int] | None:
    """What "same" pads before and after an axis; None where unknown sizes leave it open."""
    if kernel is None or (size is None and stride > 1):
        return None
    if size is None:  # with stride 1 it cancels
        total = (kernel - 1) * dilation
    else:
        total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _stock_on_cpu(x, filters, strides, padding, dilations, groups) -> tf.Tensor:
    """TensorFlow's kernel forward, which takes anything, and the plain form's gradient where it has none."""
    if x.dtype == tf.float16 or (x.dtype == tf.bfloat16 and (max(dilations) > 1 or not onednn())):
        # TensorFlow sums gradients of these types in these types, inexactly and an order of magnitude more slowly; and
        # oneDNN's gradient of dilated bfloat16 filters reads beyond its arrays and ends the process.
        wide = (tf.cast(x, tf.float32), tf.cast(filters, tf.float32))
        return tf.cast(_stock_on_cpu(*wide, strides, padding, dilations, groups), x.dtype)
    if tiles_pay(x.dtype, filters.shape, groups) and max(dilations) == 1 and _native.usable():
        return _with_tiles(x, filters, strides, padding)
    if (groups == 1 and max(dilations) == 1) or (x.dtype != tf.float64 and onednn()):
        return _stock(x, filters, strides, padding, dilations)

    @tf.custom_gradient
    def convolve(x, filters):
        def gradient(dy):
            with tf.GradientTape() as tape:
                tape.watch((x, filters))
                y = reference(x, filters, strides, padding, dilations, groups)
            return tape.gradient(y, (x, filters), output_gradients=dy)

        return _stock(x, filters, strides, padding, dilations), gradient

    return convolve(x, filters)


def tiles_pay(dtype: tf.DType, filters: tf.TensorShape, groups: int = 1) -> bool:
    """Whether this package's kernel is the faster one for the gradient of such filters, on a CPU that has AMX.

    It takes 0.4 to 0.9 of oneDNN's time (results/ops/filter_gradient.txt), but not where channels are few.
    """
    few = filters.rank is None or min(filters[2] or 0, filters[3] or 0) < 32
    return dtype == tf.bfloat16 and groups == 1 and not few and _native.tile_unit() != "none"


def _with_tiles(x, filters, strides, padding) -> tf.Tensor:
    """TensorFlow's convolution, and its gradient but for the filters."""

    @tf.custom_gradient
    def convolve(x, filters):
        # The same op again, from inside, is what TensorFlow differentiates with respect to x.
        def gradient(dy):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = _stock(x, filters, strides, padding, (1, 1))
            dx = tape.gradient(y, x, output_gradients=dy)
            return dx, _filter_gradient(x, filters, dy, native_attributes(strides, padding, (1, 1)))

        return _stock(x, filters, strides, padding, (1, 1)), gradient

    return convolve(x, filters)


def reference(x, filters, strides=1, padding="same", dilations=1, groups=1) -> tf.Tensor:
    """The same from slices and matrix products: what native kernels are compared with, and a gradient for every case.

    Takes and returns what `conv2d` does.
    """
    strides, dilations = pair(strides, "strides"), pair(dilations, "dilations")
    padding = standardize_padding(padding)
    wide = tf.float32 if x.dtype in (tf.float16, tf.bfloat16) else x.dtype
    shape, (height, width, depth, out) = tf.shape(x), filters.shape
    sides, extents = [], []
    for axis, kernel in enumerate((height, width)):
        stride, span = strides[axis], (kernel - 1) * dilations[axis] + 1
        size = shape[1 + axis]
        if padding == "same":
            extent = -(-size // stride)
            total = tf.maximum(0, (extent - 1) * stride + span - size)
            side = (total // 2, total - total // 2)
        else:
            side = (0, 0) if padding == "valid" else padding[axis]
            extent = tf.maximum(0, (size + sum(side) - span) // stride + 1)
        sides.append(side)
        extents.append(extent)
    padded = tf.pad(tf.cast(x, wide), ((0, 0), *sides, (0, 0)))
    weights = tf.reshape(tf.cast(filters, wide), (height, width, depth, groups, out // groups))
    terms = []
    for a in range(height):
        rows = _every(padded, 1, a * dilations[0], extents[0], strides[0])
        for b in range(width):
            tap = _every(rows, 2, b * dilations[1], extents[1], strides[1])
            tap = tf.reshape(tap, (shape[0], *extents, groups, depth))
            terms.append(tf.einsum("nhwgc,cgo->nhwgo", tap, weights[a, b]))
    y = tf.cast(tf.reshape(tf.add_n(terms), (shape[0], *extents, out)), x.dtype)
    known = (None, None) if x.shape.rank is None else x.shape[1:3]
    sizes = output_sizes(known, (height, width), strides, dilations, padding)
    return _native.shaped(y, (None if x.shape.rank is None else x.shape[0], *sizes, out))


def _every(x: tf.Tensor, axis: int, start: int, count, stride: int) -> tf.Tensor:
    """`count` slices of an axis from `start` on, `stride` apart."""
    stop = start + tf.maximum(0, (count - 1) * stride + 1)
    return x[(slice(None),) * axis + (slice(start, stop, stride),)]


def _registered_attributes(op: tf.Operation) -> dict:
    return {name: op.get_attr(name) for name in ("strides", "padding", "explicit_padding", "dilations")}


# The forward op exists, so the library is loaded whatever the mode is by now.
@tf.RegisterGradient("Kerascnn>Conv2D")
def _gradient(op, dy):
    x, filters = op.inputs
    attributes = _registered_attributes(op)
    return _input_gradient(x, filters, dy, attributes), _filter_gradient(x, filters, dy, attributes)


@tf.RegisterGradient("Kerascnn>FusedConv2D")
def _gradient_of_fused(op, dy):
    x, filters, bias = op.inputs
    if op.get_attr("relu"):
        dy = tf.where(op.outputs[0] > 0, dy, tf.zeros_like(dy))
    attributes = _registered_attributes(op)
    wide = tf.float32 if dy.dtype in (tf.float16, tf.bfloat16) else dy.dtype
    dbias = tf.cast(tf.reduce_sum(tf.cast(dy, wide), (0, 1, 2)), bias.dtype)
    return _input_gradient(x, filters, dy, attributes), _filter_gradient(x, filters, dy, attributes), dbias


@tf.RegisterGradient("Kerascnn>Conv2DInputGradient")
def _gradient_of_input_gradient(op, ddx):
    _, filters, dy = op.inputs
    attributes = _registered_attributes(op)
    ddy = _native.loaded().kerascnn_conv2d(x=ddx, filters=filters, **attributes)
    return None, _filter_gradient(ddx, filters, dy, attributes), ddy


@tf.RegisterGradient("Kerascnn>Conv2DFilterGradient")
def _gradient_of_filter_gradient(op, dfilters):
    x, _, dy = op.inputs
    attributes = _registered_attributes(op)
    ddy = _native.loaded().kerascnn_conv2d(x=x, filters=dfilters, **attributes)
    return _input_gradient(x, dfilters, dy, attributes), None, ddy


def _input_gradient(x, filters, dy, attributes: dict) -> tf.Tensor:
    return _native.loaded().kerascnn_conv2d_input_gradient(
        x_shape=tf.shape(x, out_type=tf.int64), filters=filters, dy=dy, **attributes
    )


def _filter_gradient(x, filters, dy, attributes: dict) -> tf.Tensor:
    return _native.loaded().kerascnn_conv2d_filter_gradient(
        x=x, filters_shape=tf.shape(filters, out_type=tf.int64), dy=dy, **attributes
    )

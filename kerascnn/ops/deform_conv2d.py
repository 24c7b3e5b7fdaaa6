"""deform_conv2d: convolution whose taps move by learned offsets, with or without a mask."""

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native
from kerascnn.ops._guards import check, length
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


def deform_conv2d(
    x: tf.Tensor,
    filters: tf.Tensor,
    offset: tf.Tensor,
    mask: tf.Tensor | None = None,
    strides: Pair = 1,
    padding: Padding = "same",
    dilations: Pair = 1,
    groups: int = 1,
    offset_groups: int = 1,
) -> tf.Tensor:
    """Convolves images at taps that each output pixel moves by offsets of its own, and weighs by a mask.

    y[n, i, j, o] = Σ mask[n, i, j, d, a, b] · S(x[n, :, :, c'], i·sy + a·dy - top + p, j·sx + b·dx - left + q)
    · filters[a, b, c, o] over taps a, b and the channels c of o's group g, where (p, q) = offset[n, i, j, d, a, b, :],
    c' = g·C/G + c, and d is the offset group of c'. S interpolates bilinearly between the four pixels around a sample;
    pixels outside the image count as zero, so that a sample fades out within one pixel of the border. These are the
    conventions of DCNv2 and of torchvision's operator of this name, in another layout.

    Differentiable with respect to all four tensors any number of times; the first derivative is native. S has kinks
    where a coordinate is a whole number: the derivative there is the one towards larger coordinates. Offsets that are
    infinite or NaN put the sample outside the image.

    Which implementation runs: this package's kernel, on a CPU or a GPU; plain TensorFlow (`reference`) where the
    library is absent or switched off, under XLA, and on machines with a GPU that it was not built for. On a GPU the
    gradient of `x` is summed in no fixed order, so that its last bits differ between runs.

    Args:
        x: images [batch, height, width, in]; float16, bfloat16, float32 or float64 (halves are computed in float32).
        filters: [kernel height, kernel width, in/groups, out], same dtype, its shape known.
        offset: [batch, out height, out width, offset_groups · kernel height · kernel width · 2], same dtype, in pixels:
            for every offset group and tap, in the order of `filters`, first down, then to the right.
        mask: None (version 1: all ones), or [batch, out height, out width, offset_groups · kernel height · kernel
            width], same dtype.
        strides: step between outputs, one int or (vertical, horizontal).
        padding: "same" (as TensorFlow pads), "valid", one int for all sides, or ((top, bottom), (left, right)).
        dilations: step between taps, one int or (vertical, horizontal); may be mixed with strides.
        groups: output channels [i*out/groups, (i+1)*out/groups) see input channels [i*in/groups, (i+1)*in/groups).
        offset_groups: input channels [i*in/offset_groups, (i+1)*in/offset_groups) share offsets and masks; independent
            of `groups`.

    Returns:
        [batch, out height, out width, out], dtype of `x`.

    Raises:
        InputError: an argument breaks one of these rules; or native ops are required and absent.

    Source: Dai et al., Deformable convolutional networks, ICCV 2017; Zhu et al., Deformable ConvNets v2: more
    deformable, better results, CVPR 2019.
    """
    strides, dilations = pair(strides, "strides"), pair(dilations, "dilations")
    padding = standardize_padding(padding)
    check_count(groups, "groups")
    check_count(offset_groups, "offset_groups")
    x, filters, offset = (tf.convert_to_tensor(tensor) for tensor in (x, filters, offset))
    mask = None if mask is None else tf.convert_to_tensor(mask)
    if not filters.shape.is_fully_defined():
        raise InputError(f"`filters` must have a known shape. Received: shape={filters.shape}")
    check_filters(x, filters, groups)
    check_fit(x, tuple(filters.shape[:2]), strides, padding, dilations)
    channels = filters.shape[2] * groups
    if channels % offset_groups:
        raise InputError(
            f"`offset_groups` must divide the channels of `x`. Received: {channels} channels, {offset_groups=}"
        )
    x = _native.shaped(x, (None, None, None, channels))
    taps = filters.shape[0] * filters.shape[1] * offset_groups
    expected = (x.shape[0], *output_sizes(x.shape[1:3], filters.shape[:2], strides, dilations, padding))
    offset = _checked(offset, "offset", x, (*expected, 2 * taps))
    if mask is not None:
        mask = _checked(mask, "mask", x, (*expected, taps))
    if not _native.usable(gpu=True):
        if not _native.tracing_for_xla():
            geometry = (filters.shape[:2], strides, dilations, padding)
            offset = _of_places(offset, "offset", x, *geometry)
            mask = None if mask is None else _of_places(mask, "mask", x, *geometry)
        return reference(x, filters, offset, mask, strides, padding, dilations, groups, offset_groups)
    return _native.library().kerascnn_deform_conv2d(
        x=x, filters=filters, offset=offset, mask=tf.zeros((0,), x.dtype) if mask is None else mask,
        modulated=mask is not None, **native_attributes(strides, padding, dilations),
    )  # fmt: skip


def _checked(tensor: tf.Tensor, name: str, x: tf.Tensor, shape: tuple[int | None, ...]) -> tf.Tensor:
    """`tensor`, with what is known about its shape."""
    if tensor.dtype != x.dtype:
        raise InputError(f"`{name}` must have the dtype of `x`. Received: x {x.dtype.name}, {name} {tensor.dtype.name}")
    if not tensor.shape.is_compatible_with(shape):
        each = "offset_groups * taps * 2" if name == "offset" else "offset_groups * taps"
        raise InputError(
            f"`{name}` must be [batch, out height, out width, {each}], here {shape}. Received: shape={tensor.shape}"
        )
    return _native.shaped(tensor, shape)


def _of_places(tensor: tf.Tensor, name: str, x: tf.Tensor, window, strides, dilations, padding) -> tf.Tensor:
    """`tensor`, after a look at its rows and columns where they are known only when the graph runs."""
    if tensor.shape[:3].is_fully_defined() and x.shape[:3].is_fully_defined():
        return tensor
    forms = (padding, padding) if isinstance(padding, str) else padding
    shape, extents = tf.shape(x, tf.int64), tf.shape(tensor, tf.int64)
    axes = zip((shape[1], shape[2]), window, strides, dilations, forms, strict=True)
    same = [extents[0] == shape[0]]
    same += [extents[1 + i] == length(*axis) for i, axis in enumerate(axes)]
    with check(tf.reduce_all(same), f"`{name}` must have the rows and columns of the result. Received: shape", extents):
        return tf.identity(tensor)


def reference(x, filters, offset, mask=None, strides=1, padding="same", dilations=1, groups=1, offset_groups=1):
    """The same in plain TensorFlow: what XLA and exported models run, and what the kernels are compared with.

    Takes and returns what `deform_conv2d` does.
    """
    strides, dilations = pair(strides, "strides"), pair(dilations, "dilations")
    padding = standardize_padding(padding)
    wide = tf.float32 if x.dtype in (tf.float16, tf.bfloat16) else x.dtype
    kernel_height, kernel_width, depth, out = filters.shape
    channels, taps = depth * groups, kernel_height * kernel_width
    shape, extents = tf.shape(x, tf.int64), tf.shape(offset, tf.int64)
    forms = (padding, padding) if isinstance(padding, str) else padding
    outer = [extents[axis] for axis in range(3)]  # not tf.unstack, which TFLite lacks for whole numbers of 64 bits
    origins = []  # of the first tap, for each row and for each column of the result
    for axis in (0, 1):
        before = forms[axis]
        if before == "same":
            span = (filters.shape[axis] - 1) * dilations[axis] + 1
            needed = (-(-shape[1 + axis] // strides[axis]) - 1) * strides[axis] + span - shape[1 + axis]
            before = tf.maximum(tf.constant(0, tf.int64), needed) // 2
        else:
            before = 0 if before == "valid" else before[0]
        origins.append(tf.range(extents[1 + axis]) * strides[axis] - before)
    moves = tf.reshape(tf.cast(offset, wide), (*outer, offset_groups, 2 * taps))
    scale = None
    if mask is not None:
        scale = tf.reshape(tf.cast(mask, wide), (*outer, offset_groups, taps))
    # A row for each pixel and offset group, and one of zeros for what lies outside.
    rows = tf.reshape(tf.cast(x, wide), (-1, channels // offset_groups))
    rows = tf.concat([rows, tf.zeros((1, channels // offset_groups), wide)], axis=0)
    weights = tf.reshape(tf.cast(filters, wide), (taps, depth, groups, out // groups))
    terms = []
    for tap in range(taps):
        down = origins[0] + tap // kernel_width * dilations[0]
        right = origins[1] + tap % kernel_width * dilations[1]
        samples = _sample(
            rows,
            shape,
            tf.cast(down, wide)[:, None, None] + moves[..., 2 * tap],
            tf.cast(right, wide)[:, None] + moves[..., 2 * tap + 1],
            offset_groups,
        )
        if scale is not None:
            samples *= tf.expand_dims(scale[..., tap], -1)
        samples = tf.reshape(samples, (*outer, groups, depth))
        terms.append(tf.einsum("nhwgc,cgo->nhwgo", samples, weights[tap]))
    y = tf.cast(tf.reshape(tf.add_n(terms), (*outer, out)), x.dtype)
    return _native.shaped(y, (*offset.shape[:3], out) if offset.shape.rank is not None else (None, None, None, out))


def _sample(rows, shape, y, x, groups: int) -> tf.Tensor:
    """S at coordinates y, x [batch, out height, out width, groups]: [..., channels of a group]."""
    height, width = tf.cast(shape[1], y.dtype), tf.cast(shape[2], y.dtype)
    inside = (y >= -1) & (y < height) & (x >= -1) & (x < width)  # false for NaN
    y, x = tf.where(inside, y, -2.0), tf.where(inside, x, -2.0)
    top, left = tf.floor(y), tf.floor(x)
    below, right = y - top, x - left
    top, left = tf.cast(top, tf.int64), tf.cast(left, tf.int64)
    image = tf.range(shape[0])[:, None, None, None]
    total = 0.0
    for down in (0, 1):
        for aside in (0, 1):
            row, column = top + down, left + aside
            valid = (row >= 0) & (row < shape[1]) & (column >= 0) & (column < shape[2])
            index = ((image * shape[1] + row) * shape[2] + column) * groups + tf.range(groups, dtype=tf.int64)
            index = tf.where(valid, index, tf.shape(rows, tf.int64)[0] - 1)
            weight = (below if down else 1 - below) * (right if aside else 1 - right)
            total += _gather(rows, index) * weight[..., None]
    return total


@tf.custom_gradient
def _gather(rows, index):
    """tf.gather; its gradient is dense, so that it can be differentiated again without a warning."""

    def gradient(upstream):
        return tf.math.unsorted_segment_sum(upstream, index, tf.shape(rows, tf.int64)[0]), None

    return tf.gather(rows, index), gradient


def _inputs(op) -> tuple[list[tf.Tensor], dict]:
    names = ("modulated", "strides", "padding", "explicit_padding", "dilations")
    return list(op.inputs), {name: op.get_attr(name) for name in names}


# The forward op exists, so the library is loaded whatever the mode is by now.
@tf.RegisterGradient("Kerascnn>DeformConv2D")
def _gradient(op, dy):
    (x, filters, offset, mask), attributes = _inputs(op)
    return _native.loaded().kerascnn_deform_conv2d_gradient(
        x=x, filters=filters, offset=offset, mask=mask, dy=dy, **attributes
    )


@tf.RegisterGradient("Kerascnn>DeformConv2DGradient")
def _second_gradient(op, *upstream):
    """Both derivatives of the plain form."""
    (x, filters, offset, mask, dy), attributes = _inputs(op)
    padding = attributes["padding"].decode().lower()
    if padding == "explicit":
        sides = attributes["explicit_padding"]
        padding = (tuple(sides[:2]), tuple(sides[2:]))
    modulated = attributes["modulated"]
    groups = x.shape[3] // filters.shape[2]
    offset_groups = offset.shape[3] // (2 * filters.shape[0] * filters.shape[1])
    options = (attributes["strides"], padding, attributes["dilations"], groups, offset_groups)
    watched = [x, filters, offset, *([mask] if modulated else [])]
    with tf.GradientTape() as outer:
        outer.watch([*watched, dy])
        with tf.GradientTape() as inner:
            inner.watch(watched)
            y = reference(x, filters, offset, mask if modulated else None, *options)
        first = inner.gradient(y, watched, output_gradients=dy)
    second = outer.gradient(first, [*watched, dy], output_gradients=list(upstream[: len(first)]))
    return [*second[:3], second[3] if modulated else None, second[-1]]

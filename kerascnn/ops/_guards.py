"""Guards around TensorFlow's CPU kernels, which err or end the process where a tensor is empty or a window too large.

oneDNN's convolution gives an empty result the shape of its input (tensorflow/tensorflow#65214), and the gradients of
pooling divide by zero or abort. Where shapes are known when a call is made, nothing is added to it. Elsewhere the
kernels see images that are grown to one image, pixel and channel at least, and what is too much is cut off the result.
Growing by nothing and cutting off nothing copy nothing, so that the guards cost microseconds.
"""

import contextvars
from collections.abc import Callable

import tensorflow as tf

from kerascnn.ops import _native
from kerascnn.ops._windows import check_fit, output_size

Extent = int | tf.Tensor
_WHOLE: contextvars.ContextVar[bool] = contextvars.ContextVar("whole", default=False)


def guarded(
    compute: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    window: tuple[int | None, int | None],
    strides: tuple[int, int],
    padding,
    dilations: tuple[int, int] = (1, 1),
    per_channel: bool = False,
) -> tf.Tensor:
    """compute(x), where `compute` moves a window over images on a CPU.

    In a graph that is exported there is only the check whether the window fits: a converter should see the network.

    Args:
        compute: from images [batch, height, width, channels] to images, with TensorFlow's kernels.
        x: what it is called with, or made larger.
        window: height and width of the window; None where unknown, which leaves the call as it is.
        strides, dilations: vertical and horizontal.
        padding: "same", "valid" or ((top, bottom), (left, right)).
        per_channel: whether the result has the channels of `x`, of which there may then be none.

    Raises:
        InputError: the window does not fit into images of known size.

    Returns:
        compute(x); the right empty tensor where there are no images, pixels or channels. Running the graph is an
        InvalidArgumentError where images of unknown size turn out to be smaller than the window.
    """
    check_fit(x, window, strides, padding, dilations, "window")
    known = tuple(x.shape) if x.shape.rank == 4 else (None,) * 4
    relevant = known if per_channel else known[:3]
    settled = None not in relevant and 0 not in relevant
    if None in window or settled or _native.has_gpu() or _native.tracing_for_xla():
        return compute(x)
    spans = [(w - 1) * d + 1 for w, d in zip(window, dilations, strict=True)]
    forms = (padding, padding) if isinstance(padding, str) else padding
    shape = tf.shape(x, out_type=tf.int64)
    # The least sizes of images into which the window fits.
    least = [1 if form == "same" else max(1, span - (0 if form == "valid" else sum(form)))
             for span, form in zip(spans, forms, strict=True)]  # fmt: skip
    x = _fitting(x, shape, known[1:3], least, spans)
    if _native.exporting() or in_guarded_network():
        return compute(x)
    extents = [shape[i] if size is None else size for i, size in enumerate(known)]
    least = [1, *least, 1 if per_channel else 0]
    missing = [_missing(size, low) for size, low in zip(extents, least, strict=True)]
    static = [None if tf.is_tensor(more) else size + more for size, more in zip(extents, missing, strict=True)]
    y = compute(_native.shaped(_grown(x, _stacked(missing)), static))
    axes = zip(extents[1:3], window, strides, dilations, forms, strict=True)
    channels = extents[3] if per_channel else y.shape[3]
    channels = tf.shape(y, out_type=tf.int64)[3] if channels is None else channels
    extents = [extents[0], *[length(*axis) for axis in axes], channels]
    static = [None if tf.is_tensor(size) else size for size in extents]
    return _native.shaped(_cut(y, _stacked(extents)), static)


def guarded_global(compute: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """compute(x), where `compute` takes each image's pixels together, of which there must be some.

    Args:
        compute: from images [batch, height, width, channels] to [batch, 1, 1, channels].
        x: what it is called with, or made larger.

    Returns:
        compute(x); the right empty tensor where there are no images or channels.
    """
    if _native.has_gpu() or _native.tracing_for_xla() or _native.exporting() or in_guarded_network():
        return compute(x)
    batch, _, _, channels = tf.unstack(tf.shape(x, out_type=tf.int64), num=4)
    y = compute(_grown(x, _stacked([_missing(batch, 1), 0, 0, _missing(channels, 1)])))
    return _cut(y, _stacked([batch, 1, 1, channels]))


def guarded_network(compute: Callable[[tf.Tensor], dict[str, tf.Tensor]], images: tf.Tensor) -> dict[str, tf.Tensor]:
    """compute(images), a whole network for inference: one guard around it in the place of one around each layer.

    What a layer's guard cuts off stands between a convolution and its bias, which TensorFlow then does not join.

    Args:
        compute: from images to its outputs, whose first axis is the batch.
        images: [batch, height, width, channels]; there are pixels and channels, but perhaps no image.
    """
    batch = tf.shape(images, out_type=tf.int64)[0]
    missing = _stacked([_missing(batch, 1), 0, 0, 0])
    token = _WHOLE.set(True)
    try:
        answers = compute(tf.ensure_shape(_padded(images, missing), images.shape))
    finally:
        _WHOLE.reset(token)
    return {name: y[:batch] for name, y in answers.items()}


def in_guarded_network() -> bool:
    """Whether what is being called or traced is part of such a network, of which nobody asks gradients."""
    return _WHOLE.get()


def check(condition: tf.Tensor, rule: str, received: tf.Tensor):
    """A context whose ops run where the condition holds; else the graph ends in an InvalidArgumentError."""
    # The raw op: that of tf.debugging puts a conditional around it.
    return tf.control_dependencies([tf.raw_ops.Assert(condition=condition, data=[rule, received], summarize=4)])


def _fitting(x: tf.Tensor, shape: tf.Tensor, known, least: list[int], spans: list[int]) -> tf.Tensor:
    """`x`, after a look at those of its sizes that are unknown; images without pixels have nothing to fit into."""
    unsure = [shape[axis] for axis in (1, 2) if known[axis - 1] is None and least[axis - 1] > 1]
    needed = [low for size, low in zip(known, least, strict=True) if size is None and low > 1]
    if not unsure:
        return x
    fits = tf.reduce_all([(size >= low) | (size == 0) for size, low in zip(unsure, needed, strict=True)])
    rule = f"The dilated window, {spans[0]} x {spans[1]}, must fit into the padded images. Received: shape"
    with check(fits, rule, shape):
        return tf.identity(x)


def _missing(size: Extent, least: int) -> Extent:
    """What an extent lacks."""
    if not tf.is_tensor(size):
        return max(0, least - size)
    return tf.maximum(tf.constant(0, tf.int64), least - size)


def length(size: Extent, window: int, stride: int, dilation: int, form) -> Extent:
    """`output_size`, also of sizes that are tensors."""
    if not tf.is_tensor(size):
        return output_size(size, window, stride, dilation, form)
    if form == "same":
        return -(-size // stride)
    room = size + ((0 if form == "valid" else sum(form)) - (window - 1) * dilation - 1)
    return tf.maximum(tf.constant(0, tf.int64), room // stride + 1)


def _stacked(extents: list[Extent]) -> tf.Tensor:
    return tf.stack([tf.cast(extent, tf.int64) for extent in extents])


def _padded(x: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """x with so many zeros behind each axis. Not tf.pad, which oneDNN's convolution takes in and computes itself."""
    paddings = tf.stack([tf.zeros_like(missing), missing], axis=1)
    return tf.raw_ops.PadV2(input=x, paddings=paddings, constant_values=tf.zeros([], x.dtype))


@tf.custom_gradient
def _grown(x: tf.Tensor, missing: tf.Tensor):
    """`_padded`, with a derivative that cuts off without a copy."""
    shape = tf.shape(x, out_type=tf.int64)
    return _padded(x, missing), lambda dy: (_cut(dy, shape), None)


@tf.custom_gradient
def _cut(y: tf.Tensor, extents: tf.Tensor):
    """The first so many of each axis."""
    shape = tf.shape(y, out_type=tf.int64)
    return tf.slice(y, tf.zeros_like(shape), extents), lambda dy: (_grown(dy, shape - extents), None)

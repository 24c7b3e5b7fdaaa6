"""conv2d: 2-D convolution with any mix of groups, strides, dilations and explicit padding."""

import tensorflow as tf

from kerascnn._errors import InputError

DTYPES = (tf.float16, tf.bfloat16, tf.float32, tf.float64)

Pair = int | tuple[int, int]
Padding = str | int | tuple[tuple[int, int], tuple[int, int]]


def _whole(value) -> int | None:
    """`value` as an int where it is a whole number (NumPy's included, booleans not), else None."""
    try:
        number = value.__index__()
    except (AttributeError, TypeError):
        return None
    return None if isinstance(value, bool) else number


def pair(value: Pair, name: str) -> tuple[int, int]:
    """`value` as (vertical, horizontal), both at least 1.

    Args:
        value: a whole number or two of them.
        name: how the caller names the argument.

    Returns:
        Two ints.

    Raises:
        InputError: something else, or below 1.
    """
    items = tuple(value) if isinstance(value, list | tuple) else (value, value)
    numbers = tuple(_whole(item) for item in items)
    if len(numbers) != 2 or any(number is None or number < 1 for number in numbers):
        raise InputError(f"`{name}` must be a whole number of at least 1, or two of them. Received: {name}={value!r}")
    return numbers


def standardize_padding(padding: Padding) -> str | tuple[tuple[int, int], tuple[int, int]]:
    """`padding` as "same", "valid" or ((top, bottom), (left, right)).

    Args:
        padding: "same" or "valid" in any case, one int for all four sides, or ((top, bottom), (left, right)).

    Returns:
        The standard form.

    Raises:
        InputError: something else, or a negative number.
    """
    if isinstance(padding, str) and padding.lower() in ("same", "valid"):
        return padding.lower()
    sides = None
    if _whole(padding) is not None:
        sides = ((padding, padding), (padding, padding))
    elif isinstance(padding, list | tuple) and all(
        isinstance(side, list | tuple) and len(side) == 2 for side in padding
    ):
        sides = tuple(tuple(_whole(number) for number in side) for side in padding)
    if sides is None or len(sides) != 2 or any(number is None or number < 0 for side in sides for number in side):
        raise InputError(
            '`padding` must be "same", "valid", a whole number of at least 0, or ((top, bottom), (left, right)). '
            f"Received: padding={padding!r}"
        )
    return tuple(tuple(int(number) for number in side) for side in sides)


def output_size(
    size: int | None, kernel: int, stride: int, dilation: int, padding: str | tuple[int, int]
) -> int | None:
    """The length of one spatial axis after the convolution.

    Args:
        size: length of the axis before it, None if unknown.
        kernel: taps along the axis.
        stride: step between outputs.
        dilation: step between taps.
        padding: "same", "valid" or (before, after).

    Returns:
        The length, 0 if the kernel does not fit, None if `size` is None.
    """
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    total = size if padding == "valid" else size + sum(padding)
    return max(0, (total - (kernel - 1) * dilation - 1) // stride + 1)


def _check(x: tf.Tensor, filters: tf.Tensor, groups: int) -> None:
    """Refuses what no implementation takes, as far as the static shapes tell."""
    if x.dtype not in DTYPES:
        raise InputError(f"`x` must be float16, bfloat16, float32 or float64. Received: dtype={x.dtype.name}")
    if filters.dtype != x.dtype:
        raise InputError(
            f"`filters` must have the dtype of `x`. Received: x {x.dtype.name}, filters {filters.dtype.name}"
        )
    if x.shape.rank not in (None, 4):
        raise InputError(f"`x` must be [batch, height, width, channels]. Received: shape={tuple(x.shape)}")
    if filters.shape.rank not in (None, 4):
        raise InputError(f"`filters` must be [height, width, in/groups, out]. Received: shape={tuple(filters.shape)}")
    channels = None if x.shape.rank is None else x.shape[3]
    depth, out = (None, None) if filters.shape.rank is None else filters.shape[2:]
    if filters.shape.rank is not None and 0 in tuple(filters.shape):
        raise InputError(f"`filters` must not be empty. Received: shape={tuple(filters.shape)}")
    if None not in (channels, depth) and channels != depth * groups:
        raise InputError(
            "`x` must have groups * filters.shape[2] channels. "
            f"Received: x {tuple(x.shape)}, filters {tuple(filters.shape)}, groups={groups}"
        )
    if out is not None and out % groups:
        raise InputError(
            f"`groups` must divide the output channels. Received: filters {tuple(filters.shape)}, groups={groups}"
        )


def _stock(x: tf.Tensor, filters: tf.Tensor, strides, padding, dilations) -> tf.Tensor:
    """tf.nn.conv2d without its "EXPLICIT" padding, whose gradients TensorFlow does not give to oneDNN."""
    if isinstance(padding, tuple):
        axes = zip(x.shape[1:3], filters.shape[:2], strides, dilations, padding, strict=True)
        if all(side == _same_padding(*axis) for *axis, side in axes):
            padding = "same"
        else:
            x, padding = tf.pad(x, ((0, 0), *padding, (0, 0))), "valid"
    return tf.nn.conv2d(x, filters, strides, padding.upper(), dilations=dilations)


def _same_padding(size: int | None, kernel: int | None, stride: int, dilation: int) -> tuple[int, int] | None:
    """What "same" pads before and after an axis; None where unknown sizes leave it open."""
    if kernel is None or (size is None and stride > 1):
        return None
    outputs = 0 if size is None else -(-size // stride)
    # With stride 1 the size cancels.
    span = (kernel - 1) * dilation if size is None else (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size
    total = max(0, span)
    return total // 2, total - total // 2


def conv2d(
    x: tf.Tensor,
    filters: tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "same",
    dilations: Pair = 1,
    groups: int = 1,
) -> tf.Tensor:
    """Convolves (cross-correlates) a batch of images with a set of filters.

    Args:
        x: images [batch, height, width, in]; float16, bfloat16, float32 or float64.
        filters: [kernel height, kernel width, in/groups, out], same dtype.
        strides: step between outputs, one int or (vertical, horizontal).
        padding: "same" (as TensorFlow pads), "valid", one int for all sides, or ((top, bottom), (left, right)).
        dilations: step between taps, one int or (vertical, horizontal); may be mixed with strides.
        groups: output channels [i*out/groups, (i+1)*out/groups) see input channels [i*in/groups, (i+1)*in/groups).

    Returns:
        [batch, out height, out width, out], dtype of `x`.

    Raises:
        InputError: an argument breaks one of these rules.
    """
    strides, dilations = pair(strides, "strides"), pair(dilations, "dilations")
    padding = standardize_padding(padding)
    if (_whole(groups) or 0) < 1:
        raise InputError(f"`groups` must be a whole number of at least 1. Received: groups={groups!r}")
    x, filters = tf.convert_to_tensor(x), tf.convert_to_tensor(filters)
    _check(x, filters, groups)
    return _stock(x, filters, strides, padding, dilations)

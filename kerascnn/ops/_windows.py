"""What operations with windows share: arguments in standard form, sizes, refusals."""

import tensorflow as tf

from kerascnn._errors import InputError

DTYPES = (tf.float16, tf.bfloat16, tf.float32, tf.float64)

Pair = int | tuple[int, int]
LIMIT = 2**31  # what dilated windows, padded images and numbers of groups must stay below, as in the kernels
MOST = 2**16  # a stride, dilation, side of padding or window: TensorFlow's kernels take memory in proportion, and crash
Padding = str | int | tuple[tuple[int, int], tuple[int, int]]


def whole(value) -> int | None:
    """`value` as an int where it is a whole number (NumPy's included, booleans not), else None."""
    try:
        number = value.__index__()
    except (AttributeError, TypeError):
        return None
    return None if isinstance(value, bool) else number


def pair(value: Pair, name: str) -> tuple[int, int]:
    """`value` as (vertical, horizontal), both from 1 to 65536.

    Args:
        value: a whole number or two of them.
        name: how the caller names the argument.

    Returns:
        Two ints.

    Raises:
        InputError: something else, below 1, or above 65536.
    """
    items = tuple(value) if isinstance(value, list | tuple) else (value, value)
    numbers = tuple(whole(item) for item in items)
    if len(numbers) != 2 or any(number is None or not 1 <= number <= MOST for number in numbers):
        raise InputError(
            f"`{name}` must be a whole number from 1 to {MOST}, or two of them. Received: {name}={value!r}"
        )
    return numbers


def check_count(value: int, name: str) -> None:
    """Refuses what is no number of groups.

    Args:
        value: a whole number of at least 1 and below 2^31.
        name: how the caller names the argument.

    Raises:
        InputError: something else.
    """
    number = whole(value)
    if number is None or not 1 <= number < LIMIT:
        raise InputError(f"`{name}` must be a whole number of at least 1 and below 2^31. Received: {name}={value!r}")


def standardize_padding(padding: Padding) -> str | tuple[tuple[int, int], tuple[int, int]]:
    """`padding` as "same", "valid" or ((top, bottom), (left, right)).

    Args:
        padding: "same" or "valid" in any case, one int for all four sides, or ((top, bottom), (left, right)).

    Returns:
        The standard form.

    Raises:
        InputError: something else, a negative number, or one above 65536.
    """
    if isinstance(padding, str) and padding.lower() in ("same", "valid"):
        return padding.lower()
    sides = None
    if whole(padding) is not None:
        sides = ((padding, padding), (padding, padding))
    elif isinstance(padding, list | tuple) and all(
        isinstance(side, list | tuple) and len(side) == 2 for side in padding
    ):
        sides = tuple(tuple(whole(number) for number in side) for side in padding)
    numbers = [number for side in sides or () for number in side]
    if sides is None or len(sides) != 2 or any(number is None or not 0 <= number <= MOST for number in numbers):
        raise InputError(
            f'`padding` must be "same", "valid", a whole number from 0 to {MOST}, or '
            f"((top, bottom), (left, right)). Received: padding={padding!r}"
        )
    return tuple(tuple(int(number) for number in side) for side in sides)


def output_size(
    size: int | None, kernel: int, stride: int, dilation: int, padding: str | tuple[int, int]
) -> int | None:
    """The length of one spatial axis after the convolution.

    Args:
        size: length of the axis before it, None if unknown.
        kernel: extent of the kernel along the axis.
        stride: step between outputs.
        dilation: step between the kernel's positions.
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


def output_sizes(sizes, kernel, strides, dilations, padding) -> tuple[int | None, int | None]:
    """`output_size` of both spatial axes: each argument has one entry an axis, `padding` in standard form."""
    sides = (padding, padding) if isinstance(padding, str) else padding
    axes = zip(sizes, kernel, strides, dilations, sides, strict=True)
    return tuple(output_size(*axis) for axis in axes)


def check_filters(x: tf.Tensor, filters: tf.Tensor, groups: int) -> None:
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


def check_fit(
    x: tf.Tensor, window: tuple[int | None, int | None], strides, padding, dilations, name: str = "filters"
) -> None:
    """Refuses windows that do not fit into the padded image or are too large for the kernels, as far as shapes tell.

    Args:
        x: images [batch, height, width, channels].
        window: its extents before dilation; None where unknown.
        strides, dilations: vertical and horizontal.
        padding: in standard form.
        name: how the caller names what the window comes from.

    Raises:
        InputError: they do not fit; or a dilated window or a padded image has 2^31 rows or columns.
    """
    sizes = (None, None) if x.shape.rank is None else x.shape[1:3]
    forms = (padding, padding) if isinstance(padding, str) else padding
    for size, extent, stride, dilation, form in zip(sizes, window, strides, dilations, forms, strict=True):
        received = f"Received: x {x.shape}, {name} {tuple(window)}, {strides=}, padding={padding!r}, {dilations=}"
        span = None if extent is None else (extent - 1) * dilation + 1
        padded = (size or 0) + (0 if isinstance(form, str) else sum(form))
        if padded >= LIMIT or (span or 0) >= LIMIT:
            raise InputError(f"A padded image and a dilated window must have less than 2^31 rows. {received}")
        if span and size and output_size(size, extent, stride, dilation, form) == 0:
            raise InputError(f"The dilated window must fit into the padded image. {received}")


def native_attributes(strides, padding, dilations) -> dict:
    """The attributes of the native ops that say the same."""
    explicit = isinstance(padding, tuple)
    return {
        "strides": strides,
        "padding": "EXPLICIT" if explicit else padding.upper(),
        "explicit_padding": [*padding[0], *padding[1]] if explicit else [],
        "dilations": dilations,
    }

"""Changes of color by a given amount, equal to Pillow's `ImageOps` and `ImageEnhance` to the bit.

Functions take one image [height, width, channels] or a batch [n, height, width, channels], 1 or 3 channels, uint8 or
float32 with values 0 to 255 (which is rounded), and return uint8 of the same shape. An amount is a number, or a tensor
of one number an image ([] or [n]). They are graph ops without random numbers.

    from kerascnn.data.augment import colors

    darker = colors.brightness(image, 0.5)
"""

import tensorflow as tf

from kerascnn._errors import InputError

# Luminance in 16-bit fixed point (ITU-R 601-2), as Pillow; all sums are whole numbers below 2^24, exact in float32.
_LUMINANCE = (19595.0, 38470.0, 7471.0)


def as_bytes(image: tf.Tensor) -> tf.Tensor:
    """An image or a batch as uint8, rounded and cut off at 0 and 255.

    Raises:
        InputError: another rank, or neither 1 nor 3 channels.
    """
    image = tf.convert_to_tensor(image)
    if image.shape.rank not in (3, 4) or image.shape[-1] not in (1, 3):
        rule = "An image must have shape [height, width, channels], or that with a batch, with 1 or 3 channels"
        raise InputError(f"{rule}. Received: shape {image.shape}")
    if image.dtype == tf.uint8:
        return image
    return tf.saturate_cast(tf.round(image) if image.dtype.is_floating else image, tf.uint8)


def invert(image: tf.Tensor) -> tf.Tensor:
    """`255 - x`."""
    return 255 - as_bytes(image)


def posterize(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keeps the highest `bits` (0 to 8) of each value."""
    image = as_bytes(image)
    kept = tf.clip_by_value(tf.cast(bits, tf.int32), 0, 8)
    mask = tf.cast(256 - tf.bitwise.left_shift(1, 8 - kept), tf.uint8)
    return tf.bitwise.bitwise_and(image, _each(mask, image))


def solarize(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Inverts the values that are at least `threshold` (0 to 256)."""
    image = as_bytes(image)
    # Without a choice by pixel, which takes five times as long: all bits of a value are turned by 255, none by 0.
    first = tf.cast(tf.math.ceil(tf.cast(threshold, tf.float32)), tf.int32)
    turned = tf.cast(tf.where(first > 255, 0, 255), tf.uint8)
    from_first = image >= _each(tf.cast(tf.clip_by_value(first, 0, 255), tf.uint8), image)
    return tf.bitwise.bitwise_xor(image, tf.cast(from_first, tf.uint8) * _each(turned, image))


def solarize_add(image: tf.Tensor, amount: tf.Tensor, threshold: int = 128) -> tf.Tensor:
    """Adds `amount` (a whole number) to the values below `threshold`."""
    image = as_bytes(image)
    added = tf.cast(image, tf.int32) + _each(tf.cast(amount, tf.int32), image)
    return tf.where(image < threshold, tf.cast(tf.clip_by_value(added, 0, 255), tf.uint8), image)


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretches the values of each channel linearly over 0 to 255; a channel of one value stays."""
    image = as_bytes(image)
    low, high = (tf.cast(reduce(image, axis=(-3, -2)), tf.float64) for reduce in (tf.reduce_min, tf.reduce_max))
    varied = high > low
    scale = 255.0 / tf.where(varied, high - low, 1.0)
    levels = tf.range(256, dtype=tf.float64)
    stretched = tf.clip_by_value(levels * scale[..., None] - (low * scale)[..., None], 0.0, 255.0)
    return _look_up(image, tf.where(varied[..., None], tf.floor(stretched), levels))


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Spreads the values of each channel so that all levels are about equally frequent (histogram equalization)."""
    image = as_bytes(image)
    shape = tf.shape(image)
    channels = tf.reduce_prod(shape[:-3]) * shape[-1]  # of all images
    counts = tf.math.bincount(_table_index(image), minlength=256 * channels, maxlength=256 * channels)
    counts = tf.reshape(counts, [-1, 256])
    last = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)  # the highest level that occurs
    step = (tf.reduce_sum(counts, axis=1) - tf.gather(counts, last, batch_dims=1))[:, None] // 255
    levels = (step // 2 + tf.cumsum(counts, axis=1, exclusive=True)) // tf.maximum(step, 1)
    return _look_up(image, tf.where(step > 0, tf.minimum(levels, 255), tf.range(256)))


def brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """`factor x`: 0 gives black, 1 the image."""
    image = as_bytes(image)
    return _cut(tf.cast(image, tf.float32) * _factor(factor, image))


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """`m + factor (x - m)`, m the mean luminance: 0 gives its gray, 1 the image."""
    image = as_bytes(image)
    values = tf.cast(image, tf.float32)
    light = tf.cast(_luminance(values)[..., :1], tf.int64)
    count = tf.cast(tf.reduce_prod(tf.shape(image)[-3:-1]), tf.int64)
    mean = (2 * tf.reduce_sum(light, axis=(-3, -2, -1), keepdims=True) + count) // (2 * count)  # rounded
    mean = tf.cast(mean, tf.float32)
    return _cut(mean + _factor(factor, image) * (values - mean))


def color(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """`g + factor (x - g)`, g the luminance of the pixel: 0 gives gray, 1 the image; saturation."""
    image = as_bytes(image)
    if image.shape[-1] == 1:
        return image
    values = tf.cast(image, tf.float32)
    gray = _luminance(values)
    return _cut(gray + _factor(factor, image) * (values - gray))


def grayscale(image: tf.Tensor) -> tf.Tensor:
    """The luminance of each pixel in all channels."""
    image = as_bytes(image)
    return image if image.shape[-1] == 1 else tf.cast(_luminance(tf.cast(image, tf.float32)), tf.uint8)


def sharpness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """`s + factor (x - s)`: 0 gives s, smoothed by ((1, 1, 1), (1, 5, 1), (1, 1, 1)) / 13, 1 the image. Pixels on the
    border stay."""
    image = as_bytes(image)
    shape, channels = tf.shape(image), image.shape[-1]
    height, width = shape[-3], shape[-2]
    flat = tf.reshape(tf.cast(image, tf.float32), [-1, height, width * channels])
    rows = tf.pad(flat, [[0, 0], [1, 1], [0, 0]])
    rows = tf.pad(rows[:, :-2] + flat + rows[:, 2:], [[0, 0], [0, 0], [channels, channels]])
    end = 2 * channels
    total = rows[:, :, :-end] + rows[:, :, channels:-channels] + rows[:, :, end:] + 4.0 * flat
    smooth = tf.floor((2.0 * total + 13.0) / 26.0)  # rounded to whole numbers; 26 divides no odd multiple of 13
    y, x = tf.range(height), tf.repeat(tf.range(width), channels)
    inside = ((y > 0) & (y < height - 1))[:, None] & ((x > 0) & (x < width - 1))[None]
    difference = tf.reshape(tf.where(inside, flat - smooth, 0.0), shape)
    values = tf.cast(image, tf.float32)
    return _cut(values - difference + _factor(factor, image) * difference)


def hue(image: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Turns the hue by `turn` (-0.5 to 0.5) of the full circle, in Pillow's HSV of 8 bits a value."""
    image = as_bytes(image)
    if image.shape[-1] == 1:
        return image
    # In float64, rounded to float32 where Pillow keeps a float: what is cut off next is often nearly whole.
    red, green, blue = tf.unstack(tf.cast(image, tf.float64), axis=-1)
    value, low = tf.maximum(red, tf.maximum(green, blue)), tf.minimum(red, tf.minimum(green, blue))
    spread = tf.where(value > low, value - low, 1.0)
    r, g, b = (_single((value - channel) / spread) for channel in (red, green, blue))
    sector = _single(tf.where(red == value, b - g, tf.where(green == value, 2.0 + r - b, 4.0 + g - r)))
    angle = tf.floor(_single(tf.math.floormod(sector / 6.0 + 1.0, 1.0)) * 255.0)
    angle = tf.where(value > low, angle, 0.0)
    shift = tf.cast(tf.cast(_factor(turn, value) * 255.0, tf.int32), tf.float64)  # towards 0
    angle = _single(tf.math.floormod(angle + shift, 256.0) * 6.0 / 255.0)
    saturation = _single(tf.where(value > low, value - low, 0.0) / tf.maximum(value, 1.0))
    saturation = _single(tf.floor(saturation * 255.0) / 255.0)
    sector = tf.floor(angle)
    part = _single(angle - sector)
    p, q, t = (tf.floor(value * (1.0 - saturation * share) + 0.5) for share in (tf.ones_like(part), part, 1.0 - part))
    sector = tf.cast(sector, tf.int32) % 6
    orders = ((value, t, p), (q, value, p), (p, value, t), (p, q, value), (t, p, value), (value, p, q))
    channels = []
    for place in range(3):
        found = orders[5][place]
        for number in range(5):
            found = tf.where(sector == number, orders[number][place], found)
        channels.append(found)
    return _cut(tf.stack(channels, axis=-1))


def _single(value):
    return tf.cast(tf.cast(value, tf.float32), tf.float64)


def _each(amount, image):
    """Amounts [] or [n], to be broadcast over the images."""
    amount = tf.convert_to_tensor(amount)
    return amount if amount.shape.rank == 0 else tf.reshape(amount, [-1] + [1] * (image.shape.rank - 1))


def _factor(factor, image):
    return _each(tf.cast(factor, tf.float32), image)


def _cut(values):
    """Whole numbers from 0 to 255, towards 0 as a cast in C, which is what Pillow does."""
    return tf.cast(tf.clip_by_value(values, 0.0, 255.0), tf.uint8)


def _luminance(values):
    """Of float32 [..., channels], in all channels; by a product of matrices, as a sum over three is slow."""
    if values.shape[-1] == 1:
        return values
    weights = tf.repeat(tf.constant(_LUMINANCE)[:, None], 3, axis=1)
    light = tf.matmul(tf.reshape(values, [-1, 3]), weights)
    return tf.reshape(tf.floor((light + 2.0**15) / 2.0**16), tf.shape(values))


def _table_index(image):
    """Where each value has its entry in a table [images * channels, 256], int32 [n, height, width * channels]."""
    shape, channels = tf.shape(image), image.shape[-1]
    rows = tf.cast(tf.reshape(image, [-1, shape[-3], shape[-2] * channels]), tf.int32)
    place = 256 * tf.tile(tf.range(channels), shape[-2:-1])
    return rows + place + 256 * channels * tf.range(tf.shape(rows)[0])[:, None, None]


def _look_up(image, table):
    """The entries of a table [..., channels, 256] of each image."""
    table = tf.reshape(tf.cast(table, tf.uint8), [-1])
    return tf.ensure_shape(tf.reshape(tf.gather(table, _table_index(image)), tf.shape(image)), image.shape)

"""Which views of an image test-time augmentation looks at: crops, sizes, shifts and mirror images, given by a text."""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence

import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.preprocessing import center, change_channels, cover, fit_image, resize

ALEXNET = 8 / 7  # 256 / 224: side of the image over side of the crop, where the network's own is 1
_GOOGLENET = (8 / 7, 9 / 7, 10 / 7, 11 / 7)  # 256, 288, 320 and 352 over 224
_MOST = 1000  # views
_LONGEST = 200  # characters
_TERM = re.compile(r"\s*([a-z_]+)\s*(?:\(([^()]*)\))?\s*", re.ASCII)

Crops = Callable[[tf.Tensor, tuple[int, int, int], Preprocessing], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Views:
    """Views of an image; made by `parse`."""

    text: str  # as it was given
    count: int
    shown: int  # which of them a picture shows
    mirrored: bool  # whether there are mirror images among them
    crops: Crops = dataclasses.field(repr=False)

    def of(self, image: tf.Tensor, image_shape: tuple[int, int, int], preprocessing: Preprocessing) -> tf.Tensor:
        """All views of one image.

        Args:
            image: uint8 [height, width, 1 or 3], sizes known or not.
            image_shape: (height, width, channels) of the network's input.
            preprocessing: the network's constants.

        Returns:
            uint8 [count, *image_shape].
        """
        if image_shape[2] == 1:
            image = change_channels(image, 1)
        views = change_channels(self.crops(image, image_shape, preprocessing), image_shape[2])
        return tf.ensure_shape(views, [self.count, *image_shape])


def parse(text: str) -> Views:
    """Reads which views there shall be.

    Args:
        text: one of

            * "flip": the usual view and its mirror image;
            * "five_crop", "ten_crop": four corners and center of the image, which is resized to as many times the
              crop as the network's preprocessing says (8/7 where that uses the whole image), or as the number in
              "ten_crop(1.2)" says, and cut to the shape of the crop; the ten are these and their mirror images;
            * "grid(3)", "grid(5, 1.15)": 3 x 3 crops at even distances over the whole image; the second number is the
              scale;
            * "googlenet": 144 views, of four sizes, three places, six crops, and mirror images;
            * "multi_scale(1, 1.15, 1.3)": the center at several scales;
            * "shift(1)": the usual view, moved by so many pixels up, down, left, right, and both, black beyond: nine;

            and any of them without mirror images of its own followed by "+ flip", which doubles it.

    Returns:
        The views.

    Raises:
        InputError: the text says something else.

    Source:
        Ten crops: Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, NIPS
        2012, section 4.1; 144: Szegedy et al. 2014, arXiv:1409.4842, section 7; grids and scales: Simonyan, Zisserman
        2014, arXiv:1409.1556, section 4.

    Example:

        inference.parse_views("grid(3) + flip").count  # 18
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise _check.refuse("views", f"a text of at most {_LONGEST} characters", text)
    terms = [_term(part, text) for part in text.split("+")]
    if len(terms) > 2 or (len(terms) == 2 and terms[1] != ("flip", ())):
        raise _refuse("one of these, or one with + flip", text)
    name, arguments = terms[0]
    if name not in _KINDS:
        raise _refuse("one of these", text)
    count, shown, crops = _KINDS[name](arguments, text)
    mirrors = name in _MIRRORED
    if len(terms) == 2:
        if mirrors:
            raise _refuse(f"without + flip: {name} has mirror images", text)
        count, crops, mirrors = 2 * count, _and_mirrored(crops), True
    if count > _MOST:
        raise _refuse(f"at most {_MOST} views", text)
    return Views(text.strip(), count, shown, mirrors, crops)


def five_crop(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Corners and center, in the order of torchvision: top left, top right, bottom left, bottom right, center.

    Args:
        image: [rows, columns, channels], at least as large as the crops, sizes known or not.
        height, width: of a crop.

    Returns:
        [5, height, width, channels].
    """
    down, right = tf.shape(image)[0] - height, tf.shape(image)[1] - width
    places = [(0, 0), (0, right), (down, 0), (down, right), (center(down), center(right))]
    return _cut(image, places, height, width)


def ten_crop(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """`five_crop` of an image and then of its mirror image, as torchvision's TenCrop, [10, height, width, channels].

    The sixth mirrors the second. Where the center lies between two columns it is rounded alike in both.

    Args:
        image, height, width: see `five_crop`.
    """
    return tf.concat([five_crop(image, height, width), five_crop(tf.reverse(image, [1]), height, width)], axis=0)


def _cut(image, places: Sequence, height, width):
    image = tf.convert_to_tensor(image)
    return tf.stack([image[top : top + height, left : left + width] for top, left in places])


def _mirrored_too(views):
    return tf.concat([views, tf.reverse(views, [2])], axis=0)


def _and_mirrored(crops: Crops) -> Crops:
    return lambda *arguments: _mirrored_too(crops(*arguments))


def _usual(image, shape, preprocessing):
    """The view that a network sees without test-time augmentation."""
    return fit_image(image, (*shape[:2], image.shape[-1]), preprocessing)


def _large(image, sides, shape, preprocessing):
    """The image, resized to cover `sides`; where small images are enlarged by whole factors, that is done before."""
    if preprocessing.fit == "pad":
        image = _usual(image, shape, preprocessing)
    return cover(image, *sides, preprocessing.interpolation)


def _sides(shape, preprocessing, scale):
    """Rows and columns that a resized image covers."""
    if scale is not None:
        return tuple(round(size * scale) for size in shape[:2])
    fraction = preprocessing.crop_fraction
    return tuple(math.floor(size / (fraction if fraction < 1 else 1 / ALEXNET) + 1e-6) for size in shape[:2])


def _middle(image, height, width):
    rows, columns = tf.shape(image)[0], tf.shape(image)[1]
    return _cut(image, [(center(rows - height), center(columns - width))], height, width)[0]


def _flip(arguments, text):
    _numbers(arguments, text, "flip", 0, 0)
    return 2, 0, lambda *given: _mirrored_too(_usual(*given)[None])


def _corners(arguments, text, mirrored):
    (scale,) = _numbers(arguments, text, "five_crop or ten_crop(scale)", 0, 1) or (None,)
    _check_scales([scale] if arguments else [], text)

    def crops(image, shape, preprocessing):
        sides = _sides(shape, preprocessing, scale)
        part = _middle(_large(image, sides, shape, preprocessing), *sides)
        return (ten_crop if mirrored else five_crop)(part, *shape[:2])

    return 10 if mirrored else 5, 4, crops


def _grid(arguments, text):
    number, *rest = _numbers(arguments, text, "grid(number, scale)", 1, 2)
    if number != int(number) or not 1 <= number <= 30:
        raise _refuse("grid(number, scale) with a whole number from 1 to 30", text)
    _check_scales(rest, text)
    number, scale = int(number), rest[0] if rest else None

    def crops(image, shape, preprocessing):
        image = _large(image, _sides(shape, preprocessing, scale), shape, preprocessing)
        free = [tf.cast(tf.shape(image)[axis] - shape[axis], tf.float32) for axis in (0, 1)]
        steps = [0.5] if number == 1 else [index / (number - 1) for index in range(number)]
        tops, lefts = ([tf.cast(tf.round(step * size), tf.int32) for step in steps] for size in free)
        return _cut(image, [(top, left) for top in tops for left in lefts], *shape[:2])

    return number * number, number * number // 2, crops


def _googlenet(arguments, text):
    _numbers(arguments, text, "googlenet", 0, 0)

    def crops(image, shape, preprocessing):
        views = []
        for scale in _GOOGLENET:
            tall, wide = sides = _sides(shape, preprocessing, scale)
            large = _large(image, sides, shape, preprocessing)
            down, right = tf.shape(large)[0] - tall, tf.shape(large)[1] - wide
            # One of the two is 0, so that the three places lie along the longer side.
            for square in tf.unstack(_cut(large, [(0, 0), (center(down), center(right)), (down, right)], tall, wide)):
                whole = resize(square, *shape[:2], preprocessing.interpolation)
                views += [five_crop(square, *shape[:2]), tf.cast(whole, image.dtype)[None]]
        return _mirrored_too(tf.concat(views, axis=0))

    return 144, 11, crops


def _multi_scale(arguments, text):
    scales = _numbers(arguments, text, "multi_scale(scale, scale, ...)", 1, 20)
    _check_scales(scales, text)

    def crops(image, shape, preprocessing):
        sizes = [_sides(shape, preprocessing, scale) for scale in scales]
        return tf.stack([_middle(_large(image, sides, shape, preprocessing), *shape[:2]) for sides in sizes])

    return len(scales), 0, crops


def _shift(arguments, text):
    (pixels,) = _numbers(arguments, text, "shift(pixels)", 0, 1) or (1.0,)
    if pixels != int(pixels) or not 1 <= pixels <= 1000:
        raise _refuse("shift(pixels) with a whole number from 1 to 1000", text)
    step = int(pixels)

    def crops(image, shape, preprocessing):
        padded = tf.pad(_usual(image, shape, preprocessing), [[step, step], [step, step], [0, 0]])
        places = [(top, left) for top in (0, step, 2 * step) for left in (0, step, 2 * step)]
        return _cut(padded, places, *shape[:2])

    return 9, 4, crops


_KINDS = {
    "flip": _flip,
    "five_crop": lambda arguments, text: _corners(arguments, text, mirrored=False),
    "ten_crop": lambda arguments, text: _corners(arguments, text, mirrored=True),
    "grid": _grid,
    "googlenet": _googlenet,
    "multi_scale": _multi_scale,
    "shift": _shift,
}
_MIRRORED = ("flip", "ten_crop", "googlenet")
FORMS = "flip, five_crop, ten_crop, grid(3), googlenet, multi_scale(1, 1.15), shift(1)"


def _term(part, text):
    match = _TERM.fullmatch(part)
    if match is None:
        raise _refuse("NAME or NAME(NUMBERS)", text)
    name, inside = match.groups()
    try:
        numbers = tuple(float(number) for number in inside.split(",")) if inside is not None else ()
    except ValueError:
        raise _refuse("NAME or NAME(NUMBERS)", text) from None
    if not all(map(math.isfinite, numbers)):
        raise _refuse("NAME or NAME(NUMBERS), finite ones", text)
    return name, numbers


def _numbers(arguments, text, form, least, most):
    if not least <= len(arguments) <= most:
        raise _refuse(f"of the form {form}", text)
    return arguments


def _check_scales(scales, text):
    if any(not 1 <= scale <= 8 for scale in scales):
        raise _refuse("with scales from 1 to 8", text)


def _refuse(rule, text) -> InputError:
    return InputError(f"views must be {rule}: {FORMS}. Received: views={text!r}")

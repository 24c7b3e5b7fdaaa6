"""Generated images of shapes with exact masks, to train and compare networks for segmentation without a download.

Each image has a dark, noisy background of smoothly varying color and one to a few brighter shapes of random kind,
color, place, angle, aspect ratio and size, later ones in front of earlier ones. Colors are drawn alike for all
classes: brightness tells a shape from the background, and only its outline tells its class. Sizes vary several times
over, so that a network needs large and small receptive fields. Edges in the image are anti-aliased; a pixel of the mask
has the class of the shape that holds the pixel's center.
"""

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.masks import PairArrays
from kerascnn.data.sets._options import fill_parts, parse
from kerascnn.data.sets.kind import Kind
from kerascnn.data.sets.synthetic import smooth_pattern
from kerascnn.data.source import Source

SHAPES = ("ellipse", "rectangle", "triangle", "ring", "cross")
_DIAMETERS = (0.3, 0.75)  # smallest and largest, as parts of the image's shorter side
_ASPECTS = (0.6, 1.0)
_MIDDLES = (0.2, 0.8)  # where in the image
_DARK, _BRIGHT = (20, 110), (110, 235)  # mean colors of the background and of a shape, each channel by itself
_LIGHTER = 60  # at least, on average over the channels, is a shape than its background
_TEXTURE = 0.25  # of the full range: how much a color varies within a shape or the background
_NOISE = 20  # at each pixel and channel, at most


def load_shapes(options: str = "", seed: int = 0) -> Source:
    """Generates a set.

    Args:
        options: a size and named numbers in any order, separated by commas:
            "96x96x3,classes=6,examples=400,validation=100,test=100,objects=3". Without them: 64x64x3, 3 classes
            (background, ellipse, rectangle; a triangle, a ring and a cross are the next), 1,024 training examples, an
            eighth as many for testing and as many again for validation, at most 2 shapes in an image.
        seed: any integer from 0 to 2**32 - 1; options and seed determine every pixel.

    Returns:
        A source for segmentation, whose class 0 is the background.

    Raises:
        InputError: an option that does not exist or a value that is out of range.
    """
    (height, width, channels), numbers = _parse(options)
    random = np.random.RandomState(seed)  # the legacy generator, because its stream will never change
    splits = {}
    for split, key in (("train", "examples"), ("test", "test"), ("validation", "validation")):
        size = numbers[key]
        pixels = np.empty([size, height, width, channels], np.uint8)
        masks = np.empty([size, height, width], np.uint8)
        for index in range(size):
            pixels[index], masks[index] = _scene(random, height, width, channels, numbers)
        splits[split] = PairArrays(pixels, masks, numbers["classes"])
    class_names = ("background", *SHAPES[: numbers["classes"] - 1])
    name = "shapes" + (":" + options if options else "")
    return Source(name, class_names, (height, width, channels), splits, task="segmentation")


def _parse(options):
    defaults = {"classes": 3, "examples": 1024, "objects": 2, "validation": None, "test": None}
    shape, numbers = parse("shapes", options, (64, 64, 3), defaults)
    fill_parts(numbers, 8)
    if min(shape[:2]) < 8 or min(numbers.values()) < 1 or not 2 <= numbers["classes"] <= len(SHAPES) + 1:
        rule = f"shapes needs sizes of 8 or more, 2 to {len(SHAPES) + 1} classes, and numbers of 1 or more"
        raise InputError(f"{rule}. Received: {options!r}")
    return shape, numbers


def _scene(random, height, width, channels, numbers):
    background = random.uniform(*_DARK, channels)
    image = _textured(random, background, height, width)
    mask = np.zeros([height, width], np.uint8)
    y, x = np.mgrid[:height, :width] + 0.5
    for _ in range(random.randint(1, numbers["objects"] + 1)):
        label = random.randint(1, numbers["classes"])
        distance = _distance(random, SHAPES[label - 1], y, x, height, width)
        color = background
        while np.mean(color - background) < _LIGHTER:
            color = random.uniform(*_BRIGHT, channels)
        cover = np.clip(0.5 - distance, 0, 1)[..., None]  # the part of each pixel that the shape covers, nearly
        image = image * (1 - cover) + _textured(random, color, height, width) * cover
        mask[distance < 0] = label
    image += random.randint(-_NOISE, _NOISE + 1, image.shape)
    return np.clip(np.round(image), 0, 255).astype(np.uint8), mask


def _textured(random, color, height, width):
    return color + _TEXTURE * (smooth_pattern(random, height, width, len(color)) - 127.5)


def _distance(random, shape, y, x, height, width):
    """Signed distance of each pixel's center to the edge of a random shape, negative inside, exact near the edge."""
    low, high = np.log(_DIAMETERS)
    a = 0.5 * min(height, width) * np.exp(random.uniform(low, high))  # half the longer side
    b = a * random.uniform(*_ASPECTS)
    angle = random.uniform(0, 2 * np.pi)
    middle = random.uniform(*_MIDDLES, 2) * (height, width)
    u = np.cos(angle) * (x - middle[1]) + np.sin(angle) * (y - middle[0])
    v = np.cos(angle) * (y - middle[0]) - np.sin(angle) * (x - middle[1])
    if shape == "ellipse":
        return _ellipse(u, v, a, b)
    if shape == "rectangle":
        return np.maximum(np.abs(u) - a, np.abs(v) - b)
    if shape == "triangle":  # two equal sides, the base is 2b wide and 2a below the tip
        return np.maximum(u - a, (2 * a * np.abs(v) - b * (u + a)) / np.hypot(2 * a, b))
    if shape == "ring":
        return np.maximum(_ellipse(u, v, a, b), -_ellipse(u, v, 0.5 * a, 0.5 * b))
    arm = 0.35 * b
    bars = (np.maximum(np.abs(u) - a, np.abs(v) - arm), np.maximum(np.abs(u) - arm, np.abs(v) - b))
    return np.minimum(*bars)


def _ellipse(u, v, a, b):
    """(f - 1) f / |gradient| of f = |(u / a, v / b)|: the distance to first order."""
    value = np.hypot(u / a, v / b)
    return value * (value - 1) / np.maximum(np.hypot(u / a**2, v / b**2), 1e-9)


KIND = Kind(lambda wanted: load_shapes(wanted.options, wanted.seed), names=("shapes",))

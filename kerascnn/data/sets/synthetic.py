"""Generated images of any size and number of classes, for tests and benchmarks.

A class is a fixed smooth pattern; an image is the pattern of its class, shifted a little, in a random contrast, under
noise. A small network learns them within an epoch or two, and a wrong pipeline or training loop shows.
"""

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.sets._options import fill_parts, parse
from kerascnn.data.sets.kind import Kind
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays

_COARSE = 4  # a pattern has this many independent cells along each side


def load_synthetic(options: str = "", seed: int = 0) -> Source:
    """Generates a set.

    Args:
        options: a size and named numbers in any order, separated by commas:
            "64x48x3,classes=5,examples=100,validation=20,test=20". Without them: 32x32x3, 10 classes, 1,024 training
            examples, a quarter as many for testing and as many again for validation.
        seed: any integer from 0 to 2**32 - 1; options and seed determine every pixel.

    Returns:
        A source whose labels go round the classes in order.

    Raises:
        InputError: an option that does not exist or a value that is out of range.
    """
    (height, width, channels), numbers = _parse(options)
    random = np.random.RandomState(seed)  # the legacy generator, because its stream will never change
    patterns = [smooth_pattern(random, height, width, channels) for _ in range(numbers["classes"])]
    splits = {}
    for split, key in (("train", "examples"), ("test", "test"), ("validation", "validation")):
        size = numbers[key]
        labels = np.arange(size, dtype=np.int64) % numbers["classes"]
        pixels = np.empty([size, height, width, channels], np.uint8)
        for image, label in zip(pixels, labels, strict=True):
            shift = random.randint(-(max(height, width) // 16), max(height, width) // 16 + 1, 2)
            moved = np.roll(patterns[label], shift, axis=(0, 1))
            noise = random.randint(-20, 21, image.shape, np.int8)
            image[:] = np.clip(moved * random.uniform(0.7, 1.0) + noise, 0, 255)
        splits[split] = Arrays(pixels, labels)
    class_names = tuple(f"pattern {number}" for number in range(numbers["classes"]))
    return Source("synthetic" + (":" + options if options else ""), class_names, (height, width, channels), splits)


def _parse(options):
    defaults = {"classes": 10, "examples": 1024, "validation": None, "test": None}
    shape, numbers = parse("synthetic", options, (32, 32, 3), defaults)
    fill_parts(numbers, 4)
    if min(*shape, *numbers.values()) < 1:
        raise InputError(f"Sizes and numbers of synthetic must be at least 1. Received: {options!r}")
    return shape, numbers


def smooth_pattern(random, height, width, channels):
    """A random grid enlarged bilinearly to [height, width, channels], float32 from 0 to 255."""
    pattern = random.uniform(0, 255, [_COARSE, _COARSE, channels])
    for axis, size in enumerate((height, width)):
        place = np.linspace(0, _COARSE - 1, size)
        low = np.minimum(place.astype(int), _COARSE - 2)
        weight = (place - low).reshape([-1 if dim == axis else 1 for dim in range(3)])
        pattern = pattern.take(low, axis) * (1 - weight) + pattern.take(low + 1, axis) * weight
    return pattern.astype(np.float32)


KIND = Kind(lambda wanted: load_synthetic(wanted.options, wanted.seed), names=("synthetic",))

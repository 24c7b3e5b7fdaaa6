"""1,797 real handwritten digits, 8x8, shipped with the package so that everything runs without a network.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
CC BY 4.0, https://doi.org/10.24432/C50P49 (the test part of the set; see digits.txt beside the data).
"""

import importlib.resources

import numpy as np

from kerascnn.data.sets.kind import Kind
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays

_TRAIN = 1437  # the rest, 360, is the test split


def load_digits() -> Source:
    """The packaged digits, in the order of the original file: 1,437 for training and validation, 360 for testing.

    Returns:
        A source of images [8, 8, 1]; the 17 original gray levels are spread over 0 to 255.
    """
    with importlib.resources.files("kerascnn.data").joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        levels, labels = stored["levels"], stored["labels"].astype(np.int64)
    pixels = ((levels.astype(np.uint16) * 255 + 8) // 16).astype(np.uint8)[..., None]
    splits = {"train": Arrays(pixels[:_TRAIN], labels[:_TRAIN]), "test": Arrays(pixels[_TRAIN:], labels[_TRAIN:])}
    return Source("digits", tuple("0123456789"), (8, 8, 1), splits, mirrored=False)


KIND = Kind(lambda wanted: load_digits(), names=("digits",))

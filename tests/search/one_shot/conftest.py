"""A set of images on which a search takes seconds."""

import numpy as np
import pytest

from kerascnn import data


def stripes(count=96):
    """Stripes along rows, along columns, or a chequered pattern, in noise: a convolution tells them apart."""
    rng, labels = np.random.default_rng(0), np.arange(count) % 3
    y, x = np.mgrid[:8, :8]
    shapes = np.stack([y % 2, x % 2, (x + y) % 2])
    images = 90 + 60 * shapes[labels] + rng.normal(0, 25, (count, 8, 8))
    return np.clip(images, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="session")
def source():
    images, labels = stripes()
    return data.from_arrays({part: (images, labels) for part in ("train", "validation", "test")}, ("a", "b", "c"))

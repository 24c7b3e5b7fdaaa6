"""What tools/augmentation_peers.py recorded of Pillow, torchvision and timm."""

import json
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="session")
def peers():
    """Pixels by key: "image/NAME", and "OPERATION(AMOUNTS)@NAME" for what became of it."""
    with np.load(GOLDEN / "augmentations.npz") as kept:
        shapes = kept["shapes"].astype(int)
        ends = np.cumsum(shapes.prod(axis=1))[:-1]
        parts = np.split(kept["pixels"], ends)
        return {key: part.reshape(shape) for key, part, shape in zip(kept["keys"], parts, shapes, strict=True)}


@pytest.fixture(scope="session")
def policies():
    """The policies of torchvision and timm."""
    return json.loads((GOLDEN / "augmentation_policies.json").read_text())

"""Networks of PyTorch as they were recorded: names and shapes of a state dict, values that follow from them, logits."""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np

PATH = Path(__file__).parents[1] / "golden" / "peer_states.json.gz"
TRAINING = PATH.with_name("peer_training.json.gz")
STEPS, BATCH, SIZE, CLASSES = 50, 8, 64, 10  # of the training that is recorded there


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    """Images [BATCH, SIZE, SIZE, 3] and labels [BATCH] of a step of training: noise, brighter or darker by class."""
    rng = np.random.default_rng(step)
    labels = rng.integers(0, CLASSES, BATCH)
    images = rng.normal(size=(BATCH, SIZE, SIZE, 3)) + (labels[:, None, None, None] - CLASSES / 2) / 5
    return images.astype("float32"), labels


def read() -> dict[str, dict]:
    """ "network library" -> {"size", "shapes": name -> shape, "logits"}."""
    return json.loads(gzip.decompress(PATH.read_bytes()))


def values(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Every entry's values, by its name: as random as those of a trained network, with no mean 0 and no variance 1."""
    return {name: _value(name, shape) for name, shape in shapes.items()}


def image(size: int) -> np.ndarray:
    """[1, size, size, 3]."""
    return np.random.default_rng(1).normal(size=(1, size, size, 3)).astype("float32")


def _value(name: str, shape: list[int]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        found = rng.uniform(0.5, 2, shape)
    elif len(shape) > 1:
        found = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
    elif name.endswith("weight"):
        found = rng.uniform(0.5, 1, shape)
    else:
        found = rng.normal(0, 0.2, shape)
    return found.astype("float32")

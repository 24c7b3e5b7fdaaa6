"""Which network a file is for, where its names and shapes fit several whose outputs differ."""

import json
import os
import re
import zipfile
from collections.abc import Sequence

from absl import logging

from kerascnn.weights import catalogue

_LARGEST = 2**24  # bytes of a config that are read
_TENSORFLOW = ("tensorflow", "efficientnet_pytorch", "efficientnet_lite_pytorch")  # whose networks all pad as it does


def warn_of_twins(path: str | os.PathLike, alike: Sequence[str], library: str = "") -> None:
    """Says in the log that a file may be another network's: once a file, never as an error.

    Networks with TensorFlow's padding and batch-norm constants have the names and shapes of those with PyTorch's, and
    give other numbers. A `.keras` file names its model, and names of files often do. Of Keras' files the catalogue
    tells, since Keras has one network of each kind, under names of its own; the packages efficientnet_pytorch and
    efficientnet_lite_pytorch have TensorFlow's networks alone.

    Args:
        path: the file that was loaded.
        alike: the name of the network it was loaded into, then all others that it fits.
        library: whose names the file has, "" for this package.
    """
    if len(alike) < 2:
        return
    if library == "keras":
        told = next((name for name in alike if library in catalogue.tags(name)), None)
    elif library in _TENSORFLOW:
        told = next((name for name in alike if name.startswith("tf_")), None)
    else:
        told = _model_name(path) or _in_name(path, alike)
    if told == alike[0]:
        return
    if told in alike:
        logging.warning(
            "%s says that it is for %s, and was loaded into %s, which gives other outputs.", path, told, alike[0]
        )
        return
    logging.warning(
        "%s fits %s alike, which give other outputs, and does not say which it is for; it was loaded into %s. "
        "docs/weights.md tells them apart.", path, ", ".join(alike), alike[0],
    )  # fmt: skip


def _model_name(path) -> str | None:
    """The name that a `.keras` file gives its model."""
    if not os.fspath(path).endswith(".keras"):
        return None
    try:
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
            return json.loads(file.read(_LARGEST))["config"]["name"]
    except Exception:  # the weights have been read, and the rest need not be there
        return None


def _in_name(path, alike: Sequence[str]) -> str | None:
    """The longest of the names that the name of the file has, as in `tf_efficientnet_lite0-0aa007d2.safetensors`."""
    name = re.sub(r"[^a-z0-9]+", "_", os.path.basename(os.fspath(path)).lower())
    found = [other for other in alike if re.search(rf"(?<![a-z0-9]){re.escape(other)}(?![a-z0-9])", name)]
    return max(found, key=len, default=None)

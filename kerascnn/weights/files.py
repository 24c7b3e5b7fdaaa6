"""Which file is read by whom: one table by the ending of the name, and what every reader refuses alike."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from kerascnn._errors import InputError
from kerascnn.weights.guard import as_path, shown
from kerascnn.weights.keras_files import ENDINGS as KERAS
from kerascnn.weights.keras_files import read_keras_file
from kerascnn.weights.npz_files import ENDING as NPZ
from kerascnn.weights.npz_files import read_npz
from kerascnn.weights.own_files import as_layers
from kerascnn.weights.pth import ENDINGS, read_pth
from kerascnn.weights.safetensors_files import read_safetensors
from kerascnn.weights.shards import LAYER_ENDINGS, STATE_ENDINGS, read_keras_shards, read_shards
from kerascnn.weights.tensorflow_checkpoints import ENDING, is_checkpoint, read_checkpoint


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file that holds weights."""

    endings: tuple[str, ...]
    # Arrays by the names of: "layers" of Keras; "state" dicts of PyTorch; "variables" of TensorFlow.
    holds: str
    read: Callable[[Path], Mapping]


FORMATS = (
    Format(KERAS, "layers", read_keras_file),
    Format((".safetensors",), "state", read_safetensors),
    Format(ENDINGS, "state", read_pth),
    Format(STATE_ENDINGS, "state", read_shards),
    Format(LAYER_ENDINGS, "layers", read_keras_shards),
    Format((NPZ,), "variables", read_npz),
    Format((ENDING,), "variables", read_checkpoint),
)


def format_of(path: str | os.PathLike) -> Format:
    """The format of a file, by the ending of its name; of TensorFlow's, that name parts of files, by what is there.

    Args:
        path: the file, which need not exist.

    Returns:
        Its `Format`.

    Raises:
        InputError: no format has that ending.
    """
    name = str(as_path(path))
    for kind in FORMATS:
        if name.endswith(kind.endings) and not (name.endswith(".ckpt") and is_checkpoint(path)):
            return kind
    if is_checkpoint(path):
        return FORMATS[-1]
    raise InputError(f"Weights are read from {endings()} files. Received: {shown(name)}")


def is_file_name(name: str) -> bool:
    """Whether a text is the name of a weights file, of a format that is read."""
    return name.endswith(tuple(ending for kind in FORMATS for ending in kind.endings))


def endings() -> str:
    """All endings, for messages."""
    *most, last = [ending for kind in FORMATS for ending in kind.endings]
    return f"{', '.join(most)} and {last}"


def read(path: str | os.PathLike) -> tuple[Format, dict]:
    """Reads a weights file of any format. Nothing in it is executed, and no other file is opened but an index's.

    Args:
        path: the file.

    Returns:
        Its format, and the arrays: layer -> list of arrays, or parameter -> array.

    Raises:
        InputError: no such format or file, or it is truncated, damaged or unsafe to read.
    """
    kind = format_of(path)
    content = kind.read(Path(path))
    if kind.holds == "state" and (layers := as_layers(content)) is not None:
        return dataclasses.replace(kind, holds="layers"), layers
    return kind, content


Arrays = dict[str, list[np.ndarray]]

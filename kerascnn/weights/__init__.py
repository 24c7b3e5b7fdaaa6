"""Weights of models: found by name, fetched, read from files, copied from other models, or drawn anew.

What is published, and where it is kept, is asked without Keras, so names are imported at their first use.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy

if TYPE_CHECKING:
    from kerascnn.weights.cache import fetch, home
    from kerascnn.weights.catalogue import Weights, find, published
    from kerascnn.weights.files import FORMATS, Format
    from kerascnn.weights.initialization import SCHEMES, initialize, lsuv
    from kerascnn.weights.keras_files import check_keras_file, read_keras_file
    from kerascnn.weights.load import load_weights
    from kerascnn.weights.names import translate
    from kerascnn.weights.own_files import save_safetensors
    from kerascnn.weights.pth import read_pth
    from kerascnn.weights.safetensors_files import read_safetensors
    from kerascnn.weights.to_torch import save_torch
    from kerascnn.weights.transfer import copy_weights, shallow_layers

__all__ = [
    "FORMATS",
    "SCHEMES",
    "Format",
    "Weights",
    "check_keras_file",
    "copy_weights",
    "fetch",
    "find",
    "home",
    "initialize",
    "load_weights",
    "lsuv",
    "published",
    "read_keras_file",
    "read_pth",
    "read_safetensors",
    "save_safetensors",
    "save_torch",
    "shallow_layers",
    "translate",
]

__getattr__, __dir__ = _lazy.attach(
    __name__,
    {
        "cache": ["fetch", "home"],
        "catalogue": ["Weights", "find", "published"],
        "files": ["FORMATS", "Format"],
        "initialization": ["SCHEMES", "initialize", "lsuv"],
        "keras_files": ["check_keras_file", "read_keras_file"],
        "load": ["load_weights"],
        "names": ["translate"],
        "own_files": ["save_safetensors"],
        "pth": ["read_pth"],
        "safetensors_files": ["read_safetensors"],
        "to_torch": ["save_torch"],
        "transfer": ["copy_weights", "shallow_layers"],
    },
)

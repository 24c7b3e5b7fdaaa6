"""Weights of models: read from files, copied from other models, or drawn anew."""

from kerascnn.weights.files import FORMATS, Format
from kerascnn.weights.initialize import SCHEMES, initialize, lsuv
from kerascnn.weights.keras_files import check_keras_file, read_keras_file
from kerascnn.weights.load import load_weights
from kerascnn.weights.names import translate
from kerascnn.weights.safetensors_files import read_safetensors
from kerascnn.weights.transfer import copy_weights

__all__ = [
    "FORMATS",
    "SCHEMES",
    "Format",
    "check_keras_file",
    "copy_weights",
    "initialize",
    "load_weights",
    "lsuv",
    "read_keras_file",
    "read_safetensors",
    "translate",
]

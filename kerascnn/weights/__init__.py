"""Weights of models: read from files, or drawn anew."""

from kerascnn.weights._copy import copy_weights
from kerascnn.weights._initialize import SCHEMES, initialize, lsuv
from kerascnn.weights._keras_files import read_keras_file
from kerascnn.weights._load import load_weights
from kerascnn.weights._names import translate
from kerascnn.weights._safetensors_files import read_safetensors

__all__ = [
    "SCHEMES",
    "copy_weights",
    "initialize",
    "load_weights",
    "lsuv",
    "read_keras_file",
    "read_safetensors",
    "translate",
]

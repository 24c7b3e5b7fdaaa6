"""Reading weights from files into models."""

from kerascnn.weights._keras_files import read_keras_file
from kerascnn.weights._load import load_weights

__all__ = ["load_weights", "read_keras_file"]

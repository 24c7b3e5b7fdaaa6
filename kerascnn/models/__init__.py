"""Subclasses of `keras.Model` that networks need; importing this registers them for `.keras` files."""

from kerascnn.models.auxiliary import AuxiliaryModel
from kerascnn.models.deep import DeepModel, deep_recursion

__all__ = ["AuxiliaryModel", "DeepModel", "deep_recursion"]

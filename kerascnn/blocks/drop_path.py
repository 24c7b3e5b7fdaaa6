"""Stochastic depth on a residual branch."""

import keras

from kerascnn import layers


def drop_path(x: keras.KerasTensor, rate: float, *, name: str) -> keras.KerasTensor:
    """Drops the branch of a sample with probability `rate` in training (Huang et al. 2016, arXiv:1603.09382)."""
    return layers.DropPath(rate, name=name)(x) if rate else x

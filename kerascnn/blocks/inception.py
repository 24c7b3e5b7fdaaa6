"""Modules of Inception v3, v4 and Inception-ResNet: branches of convolutions side by side."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras

from kerascnn.layers.batch_normalization import BatchNormalization
from kerascnn.layers.plain_conv2d import PlainConv2D

# N(0, sqrt(2 / fan-in)), cut off at two standard deviations: the initial values of TF-slim's Inception networks.
_HE_FAN_IN = functools.partial(keras.initializers.VarianceScaling, 2.0, mode="fan_in", distribution="truncated_normal")


class ConvStep(NamedTuple):
    """A convolution in a table of modules."""

    filters: int
    kernel_size: int | tuple[int, int]  # (height, width); odd
    strides: int = 1
    padding: str = "same"  # same | valid, as in TensorFlow


def conv_step(x: keras.KerasTensor, step: ConvStep, *, scale: bool = True, name: str) -> keras.KerasTensor:
    """Convolution without bias, BN (epsilon 0.001, factors gamma if `scale`), ReLU; `name` contains "conv".

    Batch norm remembers 0.99 of its averages, as in Keras; TF-slim's 0.9997 needs tens of thousands of steps.
    """
    x = PlainConv2D(*step, use_bias=False, kernel_initializer=_HE_FAN_IN(), name=name)(x)
    bn = BatchNormalization(momentum=0.99, epsilon=1e-3, scale=scale, name=name.replace("conv", "bn"))
    return keras.layers.Activation("relu", name=name.replace("conv", "relu"))(bn(x))


def step_names(steps: Any, *, name: str) -> list[str]:
    """Names of the convolutions that `conv_steps` makes, in order."""
    names = []
    for i, step in enumerate(steps, 1):
        fork = 1 if isinstance(step, ConvStep) else len(step)
        names += [f"{name}_conv{i}" if fork == 1 else f"{name}_conv{i}{'abcd'[j]}" for j in range(fork)]
    return names


def conv_steps(x: keras.KerasTensor, steps: Any, *, scale: bool = True, name: str) -> keras.KerasTensor:
    """One step after the other; the last may be a fork, a tuple of steps side by side: `name`_conv1, 2a, 2b."""
    names = iter(step_names(steps, name=name))
    for step in steps:
        if isinstance(step, ConvStep):
            x = conv_step(x, step, scale=scale, name=next(names))
        else:
            fork = [conv_step(x, part, scale=scale, name=next(names)) for part in step]
            x = keras.layers.Concatenate(name=f"{name}_concat")(fork)
    return x


def inception_module(
    x: keras.KerasTensor, branches: Mapping[str, tuple], *, pool: Callable, scale: bool = True, name: str
) -> keras.KerasTensor:
    """Branches side by side, concatenated.

    Args:
        x: [batch, height, width, channels].
        branches: name -> steps; the branch called "pool" sees pool(x).
        pool: `pool(x, name=...)`.
        scale: batch norm has factors gamma.
        name: of the module; its layers are called `name`_`branch`_conv1, ...

    Returns:
        [batch, h, w, sum of the branches' channels], from the layer `name`_concat.
    """
    outputs = []
    for key, steps in branches.items():
        y = pool(x, name=f"{name}_pool") if key == "pool" else x
        outputs.append(conv_steps(y, steps, scale=scale, name=f"{name}_{key}"))
    return keras.layers.Concatenate(name=f"{name}_concat")(outputs)

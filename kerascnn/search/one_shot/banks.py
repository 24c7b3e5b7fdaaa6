"""Networks of layers that read and write memory banks, and the pieces that they are made of.

Brock, Lim, Ritchie, Weston: SMASH: One-Shot Model Architecture Search through HyperNetworks, 2017, arXiv:1708.05344,
section 3.1.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kerascnn import cells
from kerascnn.cells import Style
from kerascnn.cells.operations import Value, batch_norm, conv_bn, convolution
from kerascnn.models.deep import DeepModel
from kerascnn.search.spaces import BankLayer

BANKS = dataclasses.replace(cells.ENAS)
# Where weights are generated, batch norm has no factors: all that a place has are its kernels.
BANKS_SEARCH = dataclasses.replace(BANKS, affine=False)


def bank_network(
    blocks: Sequence[Sequence[BankLayer]],
    *,
    filters: int,
    input_shape: tuple[int, int, int],
    classes: int,
    style: Style = BANKS,
) -> keras.Model:
    """The network of blocks of layers with memory banks.

    A layer joins the maps that it reads: ReLU, 1x1, BN, ReLU, convolution with its "kernel" and "dilation", BN; its map
    is added to the banks that it writes. After a block all banks that are not empty are joined: ReLU, 1x1 to twice the
    channels, BN, mean of 2x2; after the last one ReLU, global mean, dense.

    Args:
        blocks: as `spaces.Banks` decodes them.
        filters: channels of the banks of the first block.
        input_shape: (height, width, channels) of the images.
        classes: number of classes.
        style: conventions of convolutions and batch norm.

    Returns:
        A functional model that gives logits, float32 under mixed precision.

    Example:

        import numpy as np
        from kerascnn.search import one_shot, spaces

        space = spaces.Banks(blocks=2, layers=2, banks=3)
        blocks = space.decode(space.sample(np.random.default_rng(0)))
        model = one_shot.bank_network(blocks, filters=4, input_shape=(8, 8, 1), classes=10)
    """
    image = keras.Input(tuple(input_shape), name="image")
    x = stem(Value(image, 0, "stem"), filters, style)
    for number, block in enumerate(blocks, 1):
        banks, width = {0: x}, filters * 2 ** (number - 1)
        for place, layer in enumerate(block, 1):
            name = f"block{number}_layer{place}"
            y = read(Value(joined([banks[i] for i in layer.reads if i in banks], f"{name}_join"), 0, f"{name}_read"),
                     width, style)  # fmt: skip
            y = conv(Value(y, 0, f"{name}_conv"), width, style, layer.values["kernel"], layer.values["dilation"])
            for bank in layer.writes:
                known = banks.get(bank)
                banks[bank] = y if known is None else keras.layers.Add(name=f"{name}_bank{bank}")([known, y])
        x = joined([banks[i] for i in sorted(banks)], f"block{number}_banks")
        if number < len(blocks):
            x = halve(Value(x, 0, f"block{number}_out"), 2 * width, style)
    return DeepModel(image, head(Value(x, 0, "head"), classes), name="network_of_banks")


def joined(maps: Sequence[Any], name: str) -> Any:
    """Maps side by side.

    Args:
        maps: Keras tensors, at least one.
        name: of the layer.

    Returns:
        Keras tensor.
    """
    return keras.layers.Concatenate(name=name)(list(maps)) if len(maps) > 1 else maps[0]


def stem(value: Value, filters: int, style: Style) -> Any:
    """3x3 convolution, BN."""
    x = convolution(value.x, filters, (3, 3), (1, 1), style, name=f"{value.name}_conv")
    return batch_norm(x, style, name=f"{value.name}_bn")


def read(value: Value, filters: int, style: Style) -> Any:
    """ReLU, 1x1, BN."""
    return conv_bn(value.relu, filters, style, name=value.name)


def conv(value: Value, filters: int, style: Style, kernel: int, dilation: int) -> Any:
    """ReLU, convolution, BN."""
    x = keras.layers.Conv2D(
        filters, kernel, padding="same", dilation_rate=dilation, use_bias=False,
        kernel_initializer=style.initializer(), name=f"{value.name}_conv",
    )(value.relu)  # fmt: skip
    return batch_norm(x, style, name=f"{value.name}_bn")


def halve(value: Value, filters: int, style: Style) -> Any:
    """ReLU, 1x1, BN, mean of 2x2."""
    x = conv_bn(value.relu, filters, style, name=value.name)
    return keras.layers.AveragePooling2D(2, padding="same", name=f"{value.name}_pool")(x)


def head(value: Value, classes: int) -> Any:
    """ReLU, global mean, dense."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name=f"{value.name}_pool")(value.relu)
    return keras.layers.Dense(classes, dtype=dtype, name=value.name)(x)

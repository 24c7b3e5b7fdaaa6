"""The network of a genotype by itself, laid out as a supernet of cells, and the pieces beside their operations."""

from collections.abc import Sequence

import keras

from kerascnn import cells
from kerascnn.cells import Genotype, Style, operations
from kerascnn.models.deep import DeepModel


def network(
    genotype: Genotype,
    *,
    stages: Sequence[int],
    filters: int,
    input_shape: tuple[int, int, int],
    classes: int,
    style: Style = cells.DARTS,
    relu: bool = False,
    drop_path_rate: float = 0.0,
) -> keras.Model:
    """A network of cells by itself, laid out as a supernet is; `Supernet.cut` gives one with the shared weights.

    Args:
        genotype: its cells.
        stages, filters, input_shape, classes, style, relu: as in `Supernet`.
        drop_path_rate: probability that the last cell's paths are dropped at the end of training.

    Returns:
        A functional model that gives logits, float32 under mixed precision.
    """
    image = keras.Input(tuple(input_shape), name="image")
    maps = cells.small_features(
        image, genotype, style, stages, filters, stem_filters=3 * filters, drop_path_rate=drop_path_rate, relu=relu
    )
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(maps[-1])
    return DeepModel(image, keras.layers.Dense(classes, dtype=dtype, name="head")(x), name="network_of_cells")


def stem(value, filters, relu, style):
    """3x3 convolution, BN."""
    x = operations.convolution(value.x, filters, (3, 3), (1, 1), style, name=f"{value.name}_conv")
    return operations.batch_norm(x, style, name=f"{value.name}_bn")


def match(value, filters, relu, style):
    """ReLU, 1x1 convolution, BN."""
    return operations.conv_bn(value.relu, filters, style, name=value.name)


def halve(value, filters, relu, style):
    """ReLU, factorized reduction."""
    return operations.factorized_reduction(value.relu, filters, style, name=value.name)


def head(value, filters, relu, style):
    """Perhaps ReLU, global mean, dense."""
    x = keras.layers.GlobalAveragePooling2D(name="pool")(value.relu if relu else value.x)
    return keras.layers.Dense(filters, name=value.name)(x)


PIECES = {"stem": stem, "match": match, "halve": halve, "head": head}  # beside the operations of cells

"""A whole network from a genotype."""

import keras

from kerascnn._errors import InputError
from kerascnn.cells.build import large_features, small_features
from kerascnn.cells.genotype import Genotype
from kerascnn.cells.style import NASNET, NASNET_CIFAR, Style
from kerascnn.models.deep import DeepModel


def network(
    genotype: Genotype,
    *,
    cells: int = 2,
    filters: int = 16,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    large: bool = False,
    style: Style | None = None,
    drop_path_rate: float = 0.0,
    dropout_rate: float = 0.0,
    classifier_activation: str | None = "softmax",
    name: str = "network_of_cells",
) -> keras.Model:
    """Builds a classifier: three stages of normal cells, reduction cells between them, global average, dense.

    Args:
        genotype: the two cells.
        cells: N, normal cells of a stage, at least 1.
        filters: F, channels of a node in the first stage, at least 2; twice as many in each further one.
        input_shape: (height, width, channels); height and width may be None.
        classes: number of classes, at least 1.
        large: for images of ImageNet's size: before the stages a strided convolution and two reduction cells, so that
            the first stage has an eighth of the image's size instead of all of it.
        style: conventions of the operations; None: those of NASNet.
        drop_path_rate: probability in [0, 1) that the last cell's paths are dropped at the end of training.
        dropout_rate: probability in [0, 1) of dropping a unit before the last layer, in training.
        classifier_activation: activation of the outputs; None for logits.
        name: of the model.

    Returns:
        A functional `keras.Model`, images [batch, height, width, channels] to [batch, classes], float32 under mixed
        precision. Its preprocessing is yours.

    Raises:
        InputError: an argument is something else.
    """
    if not isinstance(genotype, Genotype):
        raise InputError(f"genotype must be a Genotype. Received: {genotype!r}")
    for key, value, least in (("cells", cells, 1), ("filters", filters, 8 if large else 2), ("classes", classes, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"{key} must be a whole number, at least {least}. Received: {value!r}")
    for key, value in (("drop_path_rate", drop_path_rate), ("dropout_rate", dropout_rate)):
        if not isinstance(value, int | float) or not 0 <= value < 1:
            raise InputError(f"{key} must be at least 0 and less than 1. Received: {value!r}")
    if not isinstance(input_shape, list | tuple) or len(input_shape) != 3:
        raise InputError(f"input_shape must be (height, width, channels). Received: {input_shape!r}")
    least = 7 if large else 1
    *sizes, channels = input_shape
    if any(size is not None and size < least for size in sizes) or not channels:
        raise InputError(f"The image must have {least} by {least} pixels or more, and channels. "
                         f"Received: {input_shape!r}")  # fmt: skip
    image = keras.Input(tuple(input_shape), name="image")
    stages = (cells, cells + 1, cells + 1)
    if large:
        maps = large_features(image, genotype, style or NASNET, stages, filters, stem_filters=32,
                              drop_path_rate=drop_path_rate)  # fmt: skip
    else:
        maps = small_features(image, genotype, style or NASNET_CIFAR, stages, filters, stem_filters=3 * filters,
                              drop_path_rate=drop_path_rate)  # fmt: skip
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(maps[-1])
    if dropout_rate:
        x = keras.layers.Dropout(dropout_rate, name="head_dropout")(x)
    outputs = keras.layers.Dense(classes, classifier_activation, dtype=dtype, name="head")(x)
    return DeepModel(image, outputs, name=name)

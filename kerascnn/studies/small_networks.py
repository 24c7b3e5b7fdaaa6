"""Small networks of the CIFAR kind, with and without what a study asks about."""

from collections.abc import Sequence

import keras

from kerascnn import _check
from kerascnn.layers.zero_pad_shortcut import ZeroPadShortcut
from kerascnn.studies.trials import Draws

L = keras.layers


def small_network(
    shape: tuple[int, ...],
    classes: int,
    draws: Draws,
    *,
    blocks: int = 1,
    widths: tuple[int, ...] = (8, 16, 32),
    shortcuts: bool = True,
    batch_norm: bool = True,
    dropout: float = 0.0,
) -> keras.Model:
    """He et al.'s network for small images, narrow: 2 * blocks * stages + 2 layers, 3x3 convolutions of stride 1.

    The stem has stride 2, so that a stage of 28x28 images has 14x14 maps and the next ones half of that; shortcuts have
    no parameters.

    Args:
        shape: [height, width, channels] of the images.
        classes: how many.
        draws: where initial weights (He's) come from.
        blocks: in each stage, of two convolutions.
        widths: channels of the stages.
        shortcuts: False: a plain network.
        batch_norm: after each convolution; without it they have biases.
        dropout: of the features before the classifier.

    Returns:
        Images -> logits; layers are called stem, stage1_block1_conv1, ..., classifier, their norms and ReLUs alike.
    """
    x = inputs = keras.Input(shape, name="image")
    x = L.ReLU(name="stem_relu")(_conv(x, widths[0], 2, batch_norm, draws, "stem"))
    for stage, width in enumerate(widths):
        for block in range(blocks):
            stride, name = 2 if stage and not block else 1, f"stage{stage + 1}_block{block + 1}"
            y = L.ReLU(name=f"{name}_relu1")(_conv(x, width, stride, batch_norm, draws, f"{name}_conv1"))
            y = _conv(y, width, 1, batch_norm, draws, f"{name}_conv2")
            if shortcuts:
                same = stride == 1 and x.shape[-1] == width
                x = x if same else ZeroPadShortcut(width, stride, name=f"{name}_shortcut")(x)
                y = L.Add(name=f"{name}_add")([x, y])
            x = L.ReLU(name=f"{name}_relu2")(y)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = L.Dropout(dropout, seed=draws.number(), name="dropout")(x)
    logits = L.Dense(classes, kernel_initializer=draws.he(), name="classifier")(x)
    return keras.Model(inputs, logits, name=f"{'residual' if shortcuts else 'plain'}{2 * blocks * len(widths) + 2}")


def _conv(x, width: int, stride: int, batch_norm: bool, draws: Draws, name: str):
    """[b, h, w, c] -> [b, h / stride, w / stride, width], with its norm and without a ReLU."""
    options = {"strides": stride, "padding": "same", "kernel_initializer": draws.he()}
    x = L.Conv2D(width, 3, use_bias=not batch_norm, name=name, **options)(x)
    return L.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x) if batch_norm else x


def blocks_of(name: str, depth: int, stages: int = 3) -> int:
    """How many blocks a stage of a network of so many layers has.

    Raises:
        InputError: no network of that many stages has this depth.
    """
    depth = _check.whole(name, depth, 2 * stages + 2, 10_000)
    if (depth - 2) % (2 * stages):
        raise _check.refuse(name, f"{2 * stages} * blocks + 2", depth)
    return (depth - 2) // (2 * stages)


def dense_network(shape: tuple[int, ...], classes: int, draws: Draws, widths: Sequence[int]) -> keras.Model:
    """Images -> logits, over layers of ReLUs without batch norm; He's initial weights.

    Args:
        shape: [height, width, channels] of the images.
        classes: how many.
        draws: where initial weights come from.
        widths: units of the hidden layers.

    Returns:
        The network; its dense layers are called hidden1, ..., classifier.
    """
    inputs = keras.Input(shape, name="image")
    x = L.Flatten(name="flat")(inputs)
    for number, width in enumerate(widths, 1):
        x = L.Dense(width, activation="relu", kernel_initializer=draws.he(), name=f"hidden{number}")(x)
    return keras.Model(inputs, L.Dense(classes, kernel_initializer=draws.he(), name="classifier")(x), name="dense")

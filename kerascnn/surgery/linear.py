"""A linear classifier on an inner layer of a network: what comes after the layer is left out."""

import keras

from kerascnn import _check, layers
from kerascnn._errors import InputError
from kerascnn.surgery.cut import up_to
from kerascnn.surgery.replace import free_name, over


def linear_head(model: keras.Model, layer: str, classes: int, *, name: str | None = None) -> keras.Model:
    """The network up to a layer, averaged over its places and normalized, and a linear layer on that.

    Features of earlier layers are less special to what a network was trained on than those of the last. Their sizes
    differ; a batch norm without scale and offset makes one learning rate fit all of them.

    Args:
        model: a functional or built sequential `keras.Model`, such as `create_model(name, classes=0)`, whose layers
            stage1, stage2, ... end the stages. It does not change.
        layer: name of a layer that gives vectors, tokens [count, channels] or maps [height, width, channels].
        classes: at least 1.
        name: of the new model; None: that of `model`.

    Returns:
        An uncompiled model that gives logits [batch, classes] in float32, and shares its layers and weights with
        `model`. The names of the new layers begin with head, so that `freeze(model, "head")` leaves them alone to be
        trained.

    Raises:
        InputError: there is no such layer, or it gives something else.

    Source:
        Yosinski, Clune, Bengio, Lipson: How transferable are features in deep neural networks?, 2014, arXiv:1411.1792;
        the batch norm: He et al. 2021, arXiv:2111.06377, appendix A.1.

    Example:

        network = kerascnn.create_model("efficientnet_lite0", classes=0, weights="imagenet")
        model = linear_head(network, "stage4", 10)
    """
    classes = _check.whole("classes", classes, 1, 2**31 - 1)
    part = up_to(model, layer, name)
    x = part.output
    if not isinstance(x, keras.KerasTensor) or not 2 <= len(x.shape) <= 4:
        raise InputError(f"A linear head needs vectors, tokens or maps. Received: {layer} of {model.name}")
    if len(x.shape) > 2:
        pool = keras.layers.GlobalAveragePooling2D if len(x.shape) == 4 else keras.layers.GlobalAveragePooling1D
        x = pool(name=free_name(part, "head_pool"))(x)
    # A small set has few steps: the moving statistics must not need hundreds.
    x = layers.BatchNormalization(scale=False, center=False, momentum=0.9, name=free_name(part, "head_norm"))(x)
    return over(part, keras.layers.Dense(classes, dtype="float32", name=free_name(part, "head"))(x), name=name)

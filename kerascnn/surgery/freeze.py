"""Freezing the first part of a network, whose weights and statistics then stay as they are."""

import keras

from kerascnn._errors import InputError
from kerascnn.surgery.cut import up_to
from kerascnn.surgery.parts import HEAD, parts
from kerascnn.surgery.replace import check

NORMS_ALONE = "but_batch_norms"
_LISTED = 12


def freeze(model: keras.Model, until: str) -> list[str]:
    """Keeps everything that a part of a network is made of from being trained.

    Frozen batch norms normalize by their moving statistics, which stay as they are, in training too (Keras' meaning of
    `trainable=False`). Layers beside the path to that part, as in another branch, stay trainable. The flags are saved
    in `.keras` files. Compile the model afterwards.

    Args:
        model: a functional or built sequential `keras.Model`, which changes.
        until: the last frozen part: the name of a layer, or the beginning of names, such as "stage3" for all up to the
            last layer whose name begins with "stage3_"; "head": all but the head (see `surgery.parts`);
            "but_batch_norms": all but the scales and offsets of batch norms, the head too, which random features learn
            much with (Frankle, Schwab, Morcos 2020, arXiv:2003.00152).

    Returns:
        The names of the layers with weights that are frozen now.

    Raises:
        InputError: there is no such part, or nothing to be trained would be left.

    Example:

        model = kerascnn.create_model("resnet18", weights="imagenet", classes=5)
        freeze(model, "stage3")  # a small set unlike ImageNet: the last stage and the head learn
    """
    check(model)
    if not isinstance(until, str) or not until:
        raise InputError(f"until must be the name of a layer, or its beginning. Received: until={until!r}")
    frozen = [layer for layer in _layers(model, until) if layer.weights]
    if {id(x) for x in frozen} >= {id(x) for x in model.layers if x.trainable_weights}:
        raise InputError(f"Something must be left to be trained. Received: until={until!r} of {model.name}")
    for layer in frozen:
        layer.trainable = False
    return [layer.name for layer in frozen]


def _layers(model: keras.Model, until: str) -> list[keras.layers.Layer]:
    names = [layer.name for layer in model.layers]
    if until == NORMS_ALONE:
        return [layer for layer in model.layers if not isinstance(layer, keras.layers.BatchNormalization)]
    if until == HEAD:
        return [layer for part in parts(model)[:-1] for layer in part.layers]
    found = [name for name in names if name == until] or [name for name in names if name.startswith(f"{until}_")]
    if not found:
        begin = list(dict.fromkeys(name.partition("_")[0] for name in names))
        more = f" and {len(begin) - _LISTED} more" if len(begin) > _LISTED else ""
        raise InputError(
            f"{model.name} must have a layer of that name or beginning; its layers begin with "
            f"{', '.join(begin[:_LISTED])}{more}. Received: {until!r}"
        )
    return up_to(model, found[-1]).layers

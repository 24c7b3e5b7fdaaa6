"""What a network's pixels go through, carried by its graph: into `.keras` files, clones, parts and larger models.

Two layers hold it, as each alone is lost somewhere: Keras puts a plain input into a clone, and a model that is cut
before the last stage has no stage output.
"""

from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing

_SCALING = (keras.layers.Rescaling, keras.layers.Normalization)


@keras.saving.register_keras_serializable(package="kerascnn")
class ImageInput(keras.layers.InputLayer):
    """The input of a network: what `keras.Input` makes, and what the pixels have gone through before.

    Args:
        shape: (height, width, channels).
        preprocessing: a `Preprocessing`, or the plain values of one; None: not known.
        **kwargs: of `keras.layers.InputLayer`.
    """

    def __init__(self, shape: Any = None, *, preprocessing: Any = None, **kwargs: Any):
        super().__init__(shape, **kwargs)
        self.preprocessing = _record(preprocessing)

    def get_config(self) -> dict[str, Any]:
        """See `keras.layers.Layer.get_config`."""
        return {**super().get_config(), "preprocessing": _values(self.preprocessing)}


@keras.saving.register_keras_serializable(package="kerascnn")
class StageOutput(keras.layers.Identity):
    """The output of a stage, as it is: the layer `stage1`, `stage2`, ... of every network.

    Args:
        preprocessing: of the network's pixels, a `Preprocessing` or the plain values of one; None: not known.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, preprocessing: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.preprocessing = _record(preprocessing)

    def get_config(self) -> dict[str, Any]:
        """See `keras.layers.Layer.get_config`."""
        return {**super().get_config(), "preprocessing": _values(self.preprocessing)}


def model_preprocessing(model: keras.Model) -> Preprocessing:
    """What the pixels of a model go through before it sees them, as the network says that it is or contains.

    Args:
        model: made by a builder of `kerascnn.applications`, read from its `.keras` file, cloned from it, cut from it
            or built upon it.

    Returns:
        The constants: `(pixel / 255 - mean) / std` per channel, and how an image is fitted to the size.

    Raises:
        InputError: no part of the model says it, two parts say different things, or the model scales pixels itself.

    Example:

        model = kerascnn.create_model("mobilenetv2_100")
        kerascnn.model_preprocessing(model).mean  # (0.485, 0.456, 0.406)
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"model must be a keras.Model. Received: {model!r}")
    layers = _all_layers(model)
    found = {layer.preprocessing for layer in layers if isinstance(layer, ImageInput | StageOutput)} - {None}
    if not found:
        raise InputError(
            "The model must be made of a network of this version, which says what its pixels go through; of another, "
            f"keep kerascnn.model_info(NAME).preprocessing beside it. Received: {model.name}"
        )
    if len(found) > 1:
        means = " and ".join(sorted(f"mean {p.mean}, std {p.std}, {p.fit} {p.crop_fraction:g}" for p in found))
        raise InputError(
            "The networks in the model must agree on what pixels go through; ask each part by itself. "
            f"Received: {means} in {model.name}"
        )
    for layer in layers:
        if isinstance(layer, _SCALING) and _channels(layer) == _channels(model):
            raise InputError(
                "A model that scales pixels itself has no constants of a network: what it is fed goes through the "
                f"layer first. Received: the layer {layer.name} in {model.name}"
            )
    return found.pop()


def with_preprocessing(model: keras.Model, preprocessing: Preprocessing) -> keras.Model:
    """Says that a model's pixels go through something else than its network's usual constants.

    Args:
        model: made by a builder of `kerascnn.applications`; it is changed.
        preprocessing: the constants.

    Returns:
        The model.
    """
    for layer in _all_layers(model):
        if isinstance(layer, ImageInput | StageOutput):
            layer.preprocessing = preprocessing
    return model


def _record(values) -> Preprocessing | None:
    return values if values is None or isinstance(values, Preprocessing) else Preprocessing.from_dict(values)


def _values(record: Preprocessing | None) -> dict[str, Any] | None:
    return None if record is None else record.to_dict()


def _all_layers(model) -> list:
    """The layers of a model, of the models in it, and what wrappers wrap."""
    found, waiting, seen = [], list(model.layers), set()
    while waiting:
        layer = waiting.pop(0)
        if id(layer) not in seen:
            seen.add(id(layer))
            found.append(layer)
            waiting += [*getattr(layer, "layers", ()), *filter(None, [getattr(layer, "layer", None)])]
    return found


def _channels(layer) -> int | None:
    """Of the first input; residual branches are scaled too, but have more channels than an image."""
    try:
        first = keras.tree.flatten(layer.input)[0]
    except (AttributeError, ValueError):
        return None
    return first.shape[-1]

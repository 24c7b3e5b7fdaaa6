"""What inner layers of a network give, for images in arrays or in a stream of batches."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.explain.explanation import checked_images
from kerascnn.layers import model_preprocessing
from kerascnn.models import AuxiliaryModel
from kerascnn.surgery.cut import output_in
from kerascnn.surgery.inline import bare, inlined
from kerascnn.surgery.replace import check, over

_RECTIFIED = ("relu", "relu6")  # activations that give exact zeros


def opened(model: keras.Model) -> tuple[keras.Model, dict[str, keras.layers.Layer]]:
    """A network without models inside it, and its layers by name, "encoder/conv1" inside a model; inputs are left out.

    Raises:
        InputError: the model has no graph.
    """
    check(model)
    if isinstance(model, AuxiliaryModel):
        model = over(model, model.outputs[0], name=f"{model.name}_main")
    network, layers = inlined(model)
    return network, {name: x for name, x in layers.items() if not isinstance(x, keras.layers.InputLayer)}


def name_of(model: keras.Model, layers: dict[str, keras.layers.Layer], layer: Any) -> str:
    """The full name of a layer, which may be given without the models around it where it is the only one of its name.

    Raises:
        InputError: there is no such layer, or there are several.
    """
    found = [name for name in layers if name == layer or name.endswith(f"/{layer}")] if isinstance(layer, str) else []
    found = [layer] if layer in found else found
    if len(found) > 1:
        raise InputError(f"layer must name one layer, one of {', '.join(found)[:200]}. Received: layer={layer!r}")
    if not found:
        raise InputError(f"layer must be the name of a layer of {model.name}. Received: layer={str(layer)[:80]}")
    return found[0]


def probe(model: keras.Model, names: Sequence[str]) -> keras.Model:
    """Images -> the list of what the layers of these names give; the weights are the model's.

    Raises:
        InputError: a layer cannot be used, or the model does not take one image [n, height, width, channels].
    """
    network, layers = opened(model)
    outputs = [output_in(network, layers[name_of(model, layers, name)]) for name in names]
    for name, output in zip(names, outputs, strict=True):
        if isinstance(output, list):
            raise InputError(f"layer must have one output. Received: layer={name!r}")
    if len(network.inputs) != 1 or len(network.inputs[0].shape) != 4:
        shapes = [tuple(x.shape) for x in network.inputs]
        raise InputError(f"The model must take one image [n, height, width, channels]. Received: inputs {shapes}")
    return over(network, outputs, name=f"{model.name}_inner")


def rectified(model: keras.Model) -> list[str]:
    """Names of the layers whose outputs have gone through a ReLU, and so may be exactly 0.

    Raises:
        InputError: the model has no graph.
    """
    names = []
    for name, operation in opened(model)[1].items():
        layer = bare(operation)
        if isinstance(layer, keras.layers.ReLU):
            if not layer.negative_slope and not layer.threshold:
                names.append(name)
        elif getattr(getattr(layer, "activation", None), "__name__", "") in _RECTIFIED:
            names.append(name)
    return names


def batches(model: keras.Model, images: Any, batch_size: int) -> Iterator[np.ndarray]:
    """Batches of images as a model takes them, checked.

    Args:
        model: of one input.
        images: an array [n, height, width, channels]; or a stream of such arrays, or of tuples that begin with one: a
            `tf.data.Dataset`, a generator.
        batch_size: of an array.

    Raises:
        InputError: what comes is no batch of finite images of the model's size, or nothing comes.
    """
    batch_size = _check.whole("batch_size", batch_size, 1)
    streamed = (
        isinstance(images, Iterable) and not hasattr(images, "shape") and not isinstance(images, list | tuple | str)
    )
    if not streamed:
        whole = checked_images(model, images)
        yield from (whole[start : start + batch_size] for start in range(0, len(whole), batch_size))
        return
    count = 0
    for batch in images:
        count += 1
        yield checked_images(model, batch[0] if isinstance(batch, list | tuple) else batch)
    if not count:
        raise InputError("images must have at least one batch. Received: an empty stream")


def answer(network: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """What a `probe` of one layer, or a network with one output, gives for images: float32, of the output's shape."""
    outputs = network(images, training=False)
    return tf.cast(outputs[0] if isinstance(outputs, list | tuple) else outputs, tf.float32)


def asked(network: keras.Model, batch: np.ndarray) -> list[np.ndarray]:
    """What a `probe` gives for a batch, as float32 arrays."""
    outputs = network(batch, training=False)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [np.asarray(keras.ops.cast(x, "float32")) for x in outputs]


def constants_of(model: keras.Model) -> Preprocessing | None:
    """What a model says that its pixels went through; None: it says nothing."""
    try:
        return model_preprocessing(model).for_channels(model.inputs[0].shape[-1])
    except InputError:
        return None


def pixels(images: np.ndarray, constants: Preprocessing | None) -> np.ndarray:
    """Preprocessed images as colors in [0, 1], float32 [n, height, width, 3].

    Args:
        images: float32 [n, height, width, 1 or 3]; NaN, where there is no pixel, becomes light gray.
        constants: what was done to the pixels; None: each image is stretched from its least value to its largest.

    Raises:
        InputError: images of another number of channels cannot be shown.
    """
    if images.shape[-1] not in (1, 3):
        raise InputError(f"Images that are drawn must have 1 or 3 channels. Received: {images.shape[-1]}")
    if constants is None:
        low = np.nanmin(images, axis=(1, 2, 3), keepdims=True)
        spread = np.nanmax(images, axis=(1, 2, 3), keepdims=True) - low
        colors = (images - low) / np.where(spread > 0, spread, 1)
    else:
        colors = np.clip(images * np.array(constants.std) + np.array(constants.mean), 0, 1)
    colors = np.where(np.isnan(colors), 0.85, colors).astype("float32")
    return colors.repeat(3 // colors.shape[-1], axis=-1)

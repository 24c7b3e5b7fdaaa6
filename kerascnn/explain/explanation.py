"""What every method of explanation returns, and what each of them is given: a score of one class and its network."""

import dataclasses
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.surgery.cut import logits_of, output_in
from kerascnn.surgery.replace import over

Target = int | Sequence[int] | np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Why a network gives a class its score: arrays, not scaled; scaling is the drawing's."""

    maps: np.ndarray  # float32 [n, height, width], of the images' size: what each pixel counts
    raw: np.ndarray  # float32 [n, ...]: what the method computed, at the layer's size
    layer: str | None  # the layer that it was computed for; None: the image itself
    target: np.ndarray  # int64 [n]: the class of each image whose score is explained
    scores: np.ndarray  # float32 [n]: its score, a logit where the network has any
    method: str  # the method's name
    options: dict[str, Any] = dataclasses.field(default_factory=dict)  # what it was computed with


Method = Callable[..., Explanation]  # method(model, images, target=None, *, layer=None, **options)


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of a network: checked, and its scores before any softmax."""

    model: keras.Model  # images [n, height, width, channels] -> scores [n, classes]; shares the user's weights
    images: np.ndarray  # float32 [n, height, width, channels]
    target: np.ndarray  # int64 [n]
    scores: np.ndarray  # float32 [n], of the target

    def score(self, images) -> Any:
        """Scores of the targets: images [n, height, width, channels] as a tensor -> float32 [n]."""
        outputs = keras.ops.cast(self.model(images, training=False), "float32")
        return keras.ops.take_along_axis(outputs, self.target[:, None], axis=1)[:, 0]


def ask(model: keras.Model, images, target: Target = None, *, batch_size: int = 32) -> Question:
    """Checks what a method was given; the model is left as it is.

    Scores are logits: the softmax or sigmoid at the end of a network is cut off, since the gradient of a probability
    near 1 is 0 whatever the image shows (`kerascnn.surgery.logits_of`).

    Args:
        model: a functional or built sequential classifier with one input and one output [n, classes].
        images: [n, height, width, channels], preprocessed as the model takes them, finite.
        target: a class for all images, or one for each; None: the one with the highest score.
        batch_size: images at a time.

    Returns:
        The `Question`.

    Raises:
        InputError: one of them cannot be used.
    """
    network = logits_of(model)
    if len(network.inputs) != 1 or len(network.outputs) != 1 or len(network.outputs[0].shape) != 2:
        raise InputError(
            "The model must have one input and one output, [n, classes]. "
            f"Received: inputs {[x.shape for x in network.inputs]}, outputs {[x.shape for x in network.outputs]}"
        )
    images = _images(network, images)
    classes = network.outputs[0].shape[-1]
    given = None if target is None else _target(target, len(images), classes)
    parts = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    outputs = np.concatenate([np.asarray(keras.ops.cast(network(x, training=False), "float32")) for x in parts])
    given = outputs.argmax(axis=1) if given is None else given
    return Question(network, images, given, np.take_along_axis(outputs, given[:, None], 1)[:, 0])


def _images(network, images) -> np.ndarray:
    try:
        found = np.asarray(images, "float32")
    except (TypeError, ValueError) as error:
        raise InputError(f"images must be numbers. Received: {type(images).__name__}") from error
    expected = tuple(network.inputs[0].shape)[1:]
    fits = found.ndim == 4 and len(expected) == 3 and len(found)
    if not fits or any(b not in (None, a) for a, b in zip(found.shape[1:], expected, strict=True)):
        shape = ", ".join("any" if size is None else str(size) for size in expected)
        raise InputError(f"images must be a batch [n, {shape}]. Received: shape {found.shape}")
    if not np.isfinite(found).all():
        raise InputError("images must be finite. Received: NaN or infinity in them")
    return found


def _target(target, count: int, classes: int) -> np.ndarray:
    rule = f"target must be a class from 0 to {classes - 1}, or {count} of them, one an image"
    if isinstance(target, numbers.Integral) and not isinstance(target, bool):
        target = [target] * count
    found = np.asarray(target)
    if found.shape != (count,) or found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= classes:
        raise InputError(f"{rule}. Received: {str(target)[:80]}")
    return found.astype("int64")


def find_layer(model: keras.Model, layer: str | None) -> keras.layers.Layer | None:
    """The layer of that name, whose output is a map [n, height, width, channels].

    Raises:
        InputError: there is none, or its output is no map.
    """
    if layer is None:
        return None
    found = next((x for x in model.layers if isinstance(layer, str) and x.name == layer), None)
    if found is None:
        raise InputError(f"layer must be the name of a layer of {model.name}. Received: layer={str(layer)[:80]}")
    if isinstance(found, keras.layers.InputLayer) or len(output_in(model, found).shape) != 4:
        raise InputError(f"layer must give a map [n, height, width, channels]. Received: layer={layer!r}")
    return found


def with_map(question: Question, layer: keras.layers.Layer) -> keras.Model:
    """The same network with two outputs: the layer's map, and the scores."""
    network = question.model
    scores = network.outputs[0]
    name = network.name if not isinstance(network, AuxiliaryModel) else f"{network.name}_main"
    return over(network, [output_in(network, layer), scores], name=name)


def color(value, channels: int) -> np.ndarray:
    """What an image is covered with, or begins as: float32 [] or [channels].

    Raises:
        InputError: it is neither a finite number nor one for each channel.
    """
    try:
        found = np.asarray(value, "float32")
    except (TypeError, ValueError):
        found = np.full(2, np.nan)
    if found.shape not in ((), (channels,)) or not np.isfinite(found).all():
        raise InputError(f"value must be a finite number, or one for each of {channels} channels. Received: {value!r}")
    return found

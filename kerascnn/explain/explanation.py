"""What every method of explanation returns, and what each of them is given: a score of one class and its network."""

import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.inference.predictor import Predictor
from kerascnn.models import AuxiliaryModel
from kerascnn.surgery.cut import logits_of
from kerascnn.surgery.folding import float32_copy
from kerascnn.surgery.inline import inlined
from kerascnn.surgery.replace import over

Network = keras.Model | Predictor
Function = Callable[[tf.Tensor], tf.Tensor]  # the network's outputs, logits [n, classes] -> a score of each image, [n]
Target = int | str | Sequence[int | str] | np.ndarray | Function | None
BY_FUNCTION = -1  # what stands for the class where a function of the outputs is explained


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Why a network gives a class its score: arrays, not scaled; scaling is the drawing's."""

    maps: np.ndarray  # float32 [n, height, width], of the images' size: what each pixel counts
    raw: np.ndarray  # float32 [n, ...]: what the method computed, at the layer's size
    layer: str | None  # the layer that it was computed for; None: the image itself
    target: np.ndarray  # int64 [n]: the class of each image whose score is explained; -1: a function of the outputs
    scores: np.ndarray  # float32 [n]: its score, a logit where the network has any
    method: str  # the method's name
    options: dict[str, Any] = dataclasses.field(default_factory=dict)  # what it was computed with


Method = Callable[..., Explanation]  # method(model, images, target=None, *, layer=None, **options)


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of a network: checked, and its scores before any softmax."""

    model: keras.Model  # images [n, height, width, channels] -> scores [n, classes]; shares the user's weights
    images: np.ndarray  # float32 [n, height, width, channels]
    target: np.ndarray  # int64 [n]; -1: `function` tells the score
    scores: np.ndarray  # float32 [n], of the target
    function: Function | None = None
    layers: Mapping[str, keras.layers.Layer] = dataclasses.field(default_factory=dict)  # of `model`, by path: "a/conv"

    def wanted(self, part: Any) -> Any:
        """What `chosen` takes as the target of some of the images: `part` is an index or a slice of them."""
        return self.function or self.target[part]

    def score(self, images) -> Any:
        """Scores of the targets: images [n, height, width, channels] as a tensor -> float32 [n]."""
        return chosen(self.model(images, training=False), self.wanted(slice(None)))


def chosen(outputs: Any, target: np.ndarray | Function) -> tf.Tensor:
    """The score of each image: outputs [n, classes] of any float dtype -> float32 [n].

    Raises:
        InputError: the target is a function that does not give one number an image.
    """
    outputs = tf.cast(outputs, tf.float32)
    if not callable(target):
        return tf.gather(outputs, target, axis=1, batch_dims=1)
    found = tf.convert_to_tensor(target(outputs))
    if found.shape.rank != 1 or found.shape[0] != outputs.shape[0] or not found.dtype.is_floating:
        raise InputError(
            f"target as a function of the outputs {tuple(outputs.shape)} must give one score an image, "
            f"[{outputs.shape[0]}]. Received: {tuple(found.shape)} of {found.dtype.name}"
        )
    return tf.cast(found, tf.float32)


def ask(model: Network, images, target: Target = None, *, batch_size: int = 32) -> Question:
    """Checks what a method was given; the model is left as it is.

    Scores are logits: the softmax or sigmoid at the end of a network is cut off, since the gradient of a probability
    near 1 is 0 whatever the image shows (`kerascnn.surgery.logits_of`). Models of half precision are asked as float32
    copies with the same weights, since small gradients are 0 in float16. Models inside the model are spelled out, so
    that their layers can be named, "encoder/conv1" or, where no other layer is called so, "conv1".

    Args:
        model: a functional or built sequential classifier with one input and one output [n, classes]; or a `Predictor`
            with such a model, whose class names may be targets.
        images: [n, height, width, channels], preprocessed as the model takes them, finite.
        target: a class or its name for all images, or one for each; None: the one with the highest score; or a function
            of the outputs, logits as a tensor [n, ...], that gives a score for each image, [n], of that image alone.
        batch_size: images at a time.

    Returns:
        The `Question`.

    Raises:
        InputError: one of them cannot be used.
    """
    names: Sequence[str] = ()
    if isinstance(model, Predictor):
        if model.model is None:
            raise InputError("A predictor must have a Keras model to be explained. Received: one of a SavedModel")
        model, names = model.model, model.class_names
    network = logits_of(model)
    function = target if callable(target) else None
    shape = network.outputs[0].shape
    if len(network.inputs) != 1 or len(network.outputs) != 1 or (function is None and len(shape) != 2):
        raise InputError(
            "The model must have one input and one output, [n, classes]. "
            f"Received: inputs {[x.shape for x in network.inputs]}, outputs {[x.shape for x in network.outputs]}"
        )
    if any(layer.compute_dtype in ("float16", "bfloat16") for layer in network._flatten_layers()):
        network = float32_copy(network)
    if isinstance(network, AuxiliaryModel):
        network = over(network, network.outputs[0], name=f"{network.name}_main")
    network, layers = inlined(network)
    images = checked_images(network, images)
    given = None if target is None or function else _target(target, len(images), shape[-1], names)
    parts = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
    if function:
        scores = [chosen(network(images[part], training=False), function) for part in parts]
        given = np.full(len(images), BY_FUNCTION, "int64")
        return Question(network, images, given, np.concatenate(scores), function, layers)
    outputs = np.concatenate([keras.ops.cast(network(images[part], training=False), "float32") for part in parts])
    given = outputs.argmax(axis=1) if given is None else given
    scores = np.take_along_axis(outputs, given[:, None], 1)[:, 0]
    return Question(network, images, given, scores, None, layers)


def checked_images(network: keras.Model, images: Any) -> np.ndarray:
    """Images as float32 [n, height, width, channels], at least one, of the sizes that a network takes.

    Raises:
        InputError: they are no numbers, have another shape, or are not finite.
    """
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


def _target(target, count: int, classes: int, names: Sequence[str]) -> np.ndarray:
    rule = f"target must be a class from 0 to {classes - 1}, or {count} of them, one an image"
    if isinstance(target, str) or (isinstance(target, numbers.Integral) and not isinstance(target, bool)):
        target = [target] * count
    if isinstance(target, list | tuple) and any(isinstance(x, str) for x in target):
        target = [_number(x, names) if isinstance(x, str) else x for x in target]
    found = np.asarray(target)
    if found.shape != (count,) or found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= classes:
        raise InputError(f"{rule}. Received: {str(target)[:80]}")
    return found.astype("int64")


def _number(name: str, names: Sequence[str]) -> int:
    """The class of that name."""
    if not names:
        raise InputError(
            f"A target by name needs class names, and so a Predictor as the model. Received: target={name[:80]!r}"
        )
    if name not in names:
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        raise InputError(f"target must be a class, {shown}, or its number. Received: target={name[:80]!r}")
    return list(names).index(name)


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

"""What every method of explanation returns, and what each of them is given: a score of one class and its network."""

import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.explain.prepared import Prepared, prepared
from kerascnn.inference.predictor import Predictor

Network = keras.Model | Predictor
Function = Callable[[tf.Tensor], tf.Tensor]  # the network's outputs, logits [n, classes] -> a score of each image, [n]
Target = int | str | Sequence[int | str] | np.ndarray | Function | None
BY_FUNCTION = -1  # what stands for the class where a function of the outputs is explained
BEST = -2  # and where it is the one with the highest score, and nobody has asked the network yet


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

    prepared: Prepared
    images: np.ndarray  # float32 [n, height, width, channels]
    target: np.ndarray  # int64 [n]; -1: `function` tells the score; -2: the class that `answered` will tell
    scores: np.ndarray | None  # float32 [n], of the target; None: not asked for yet
    function: Function | None = None

    @property
    def model(self) -> keras.Model:
        """Images [n, height, width, channels] -> scores [n, classes]; shares the user's weights."""
        return self.prepared.network

    @property
    def layers(self) -> Mapping[str, keras.layers.Layer]:
        """The layers of `model`, by path: "a/conv"."""
        return self.prepared.layers

    def wanted(self, part: Any) -> Any:
        """What `chosen` takes as the target of some of the images: `part` is an index or a slice of them."""
        return self.function or self.target[part]

    def score(self, images) -> Any:
        """Scores of the targets: images [n, height, width, channels] as a tensor -> float32 [n]."""
        return chosen(self.model(images, training=False), self.wanted(slice(None)))[0]

    def answered(self, scores: np.ndarray, target: np.ndarray) -> "Question":
        """The question with what the network has said."""
        return dataclasses.replace(self, scores=scores, target=self.target if self.function else target)


def chosen(outputs: Any, target: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """The score of each image, and whose it is: outputs [n, classes] of any float dtype -> float32 [n], int64 [n].

    Args:
        outputs: of the network.
        target: classes [n], of which -2 is the one with the highest score; or a function of the outputs.

    Raises:
        InputError: the target is a function that does not give one number an image.
    """
    outputs = tf.cast(outputs, tf.float32)
    if not callable(target):
        target = tf.where(tf.equal(target, BEST), tf.argmax(outputs, axis=1), tf.cast(target, tf.int64))
        return tf.gather(outputs, target, axis=1, batch_dims=1), target
    found = tf.convert_to_tensor(target(outputs))
    if found.shape.rank != 1 or found.shape[0] != outputs.shape[0] or not found.dtype.is_floating:
        raise InputError(
            f"target as a function of the outputs {tuple(outputs.shape)} must give one score an image, "
            f"[{outputs.shape[0]}]. Received: {tuple(found.shape)} of {found.dtype.name}"
        )
    return tf.cast(found, tf.float32), tf.fill([len(found)], tf.constant(BY_FUNCTION, tf.int64))


def score(network: keras.Model, images: tf.Tensor, target: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """`chosen` of what a network says, for `Prepared.run`."""
    return chosen(network(images, training=False), target)


def ask(model: Network, images, target: Target = None, *, batch_size: int = 32, now: bool = True) -> Question:
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
        now: whether the network is asked for the scores; else they come with what is computed next, see `slopes`.

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
    asked = prepared(model)
    function = target if callable(target) else None
    shape = asked.network.outputs[0].shape
    if function is None and len(shape) != 2:
        raise InputError(f"The model must have one input and one output, [n, classes]. Received: output {shape}")
    images = checked_images(asked.network, images)
    if function:
        given = np.full(len(images), BY_FUNCTION, "int64")
    elif target is None:
        given = np.full(len(images), BEST, "int64")
    else:
        given = _target(target, len(images), shape[-1], names)
    question = Question(asked, images, given, None, function)
    if not now:
        return question
    parts = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
    found = [asked.run(score, asked.folded, images[part], question.wanted(part)) for part in parts]
    return question.answered(*map(np.concatenate, zip(*found, strict=True)))


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

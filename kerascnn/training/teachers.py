"""What a trained network needs to be a teacher: the same classes, and the student's images as it takes them."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import data, surgery
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.inference.predictor import Predictor
from kerascnn.layers.preprocessing import ImageInput, StageOutput, model_preprocessing
from kerascnn.models import AuxiliaryModel
from kerascnn.tasks.losses import as_logits
from kerascnn.training.config import TrainConfig


def logits_function(
    teacher: "keras.Model | Predictor", student: keras.Model, preprocessing: Preprocessing | None
) -> Callable[[Any], tf.Tensor]:
    """A function of the student's images that gives the teacher's logits.

    Args:
        teacher, student: see `distill`.
        preprocessing: of the student's images.

    Returns:
        float32 [batch, height, width, channels] -> float32 [batch, classes], without a gradient.

    Raises:
        InputError: the teacher does not fit.
    """
    model, own = model_of(teacher), pixels_of(teacher)
    preprocessing = preprocessing or pixels_of(student)
    kind = ending_of(model, "teacher")
    try:
        model, from_logits = surgery.logits_of(model), True
    except InputError:  # averages of probabilities, whose logarithms are as good
        if kind != "softmax":
            raise
        from_logits = False
    if isinstance(model, AuxiliaryModel):
        model = surgery.rebuild(model, lambda _: None, share=True, heads=False)
    if model.output_shape[-1] != student.output_shape[-1]:
        counts = f"{model.output_shape[-1]} of the teacher, {student.output_shape[-1]} of the student"
        raise InputError(f"Teacher and student must have the same classes. Received: {counts}")
    prepare = _preparation(student.input_shape[1:], model.input_shape[1:], preprocessing or own, own or preprocessing)

    def ask(inputs):
        outputs = tf.cast(model(prepare(inputs), training=False), tf.float32)
        return tf.stop_gradient(as_logits(outputs, from_logits))

    return ask


def _preparation(
    given: tuple, wanted: tuple, before: Preprocessing | None, after: Preprocessing | None
) -> Callable[[Any], tf.Tensor]:
    """The student's images as the teacher takes them; what is no image must have the same shape.

    Args:
        given, wanted: the shapes of both.
        before, after: what the pixels of both go through; None: not known.
    """
    if len(given) != 3 or len(wanted) != 3:
        if given != wanted:
            raise InputError(f"The teacher must take what the student does. Received: {wanted} for {given}")
        return tf.convert_to_tensor
    (height, width, channels), size = wanted, wanted[:2]
    if channels != given[2] and given[2] != 1:
        rule = f"The teacher must take images of {given[2]} channels, as the student does"
        raise InputError(f"{rule}. Received: {channels} channels")
    if None not in (*size, *given) and height * given[1] != width * given[0]:
        rule = "The teacher must take images of the student's form, so that they can be resized"
        raise InputError(f"{rule}. Received: {height} x {width} for {given[0]} x {given[1]}")
    scale, offset = _exchange(before, after, given[2], channels)

    def prepare(images):
        images = tf.convert_to_tensor(images)
        if channels != given[2]:
            images = tf.repeat(images, channels, axis=-1)
        if not (np.allclose(scale, 1) and np.allclose(offset, 0)):
            images = images * tf.constant(scale, images.dtype) + tf.constant(offset, images.dtype)
        if None not in size and tuple(images.shape[1:3]) != size:
            images = tf.image.resize(images, size, antialias=True)
        return images

    return prepare


def _exchange(before, after, channels, wanted):
    """The factor and what is added, by channel, that turn pixels normalized by one mean and deviation into the other's;
    a gray channel stands for all."""
    if not (before and after):
        return np.ones(wanted), np.zeros(wanted)
    before, after = before.for_channels(channels), after.for_channels(wanted)
    mean, std = (np.broadcast_to(values, wanted) for values in (before.mean, before.std))
    return std / np.array(after.std), (mean - after.mean) / np.array(after.std)


def pixels_of(network) -> Preprocessing | None:
    """What a network's pixels go through; None where a plain model does not say it."""
    if isinstance(network, Predictor):
        return network.preprocessing
    told = any(isinstance(layer, ImageInput | StageOutput) for layer in network._flatten_layers())
    return model_preprocessing(network) if told else None


def model_of(teacher: "keras.Model | Predictor") -> keras.Model:
    """The model itself.

    Raises:
        InputError: it is none, or a predictor without one, as of a SavedModel.
    """
    model = teacher.model if isinstance(teacher, Predictor) else teacher
    if not isinstance(model, keras.Model):
        raise InputError(f"The teacher must be a keras.Model, or a Predictor with one. Received: {teacher!r}"[:300])
    return model


def ending_of(model: keras.Model, who: str) -> str:
    """Whether a classifier ends in a "softmax" or in logits, "linear".

    Args:
        model: functional or built sequential.
        who: what it is called, for errors.

    Raises:
        InputError: it ends in something else.
    """
    kind, outputs = surgery.final_activation(model), tuple(model.output_shape)
    if kind not in ("softmax", "linear") or len(outputs) != 2:
        rule = f"The {who} must be a classifier that ends in logits or in a softmax"
        raise InputError(f"{rule}. Received: {kind or 'an unknown end'}, outputs {outputs[1:]}")
    return kind


def check(teacher: "keras.Model | Predictor | None", config: TrainConfig, source: data.Source) -> None:
    """Refuses a teacher that does not suit a run, and settings of `distill` without one.

    Args:
        teacher: see `distill`; None: there is none. The class names of a plain model are not known, only how many.
        config: of the run.
        source: the data; the teacher must have their classes in their order.

    Raises:
        InputError: they do not fit.
    """
    if teacher is None:
        for field in dataclasses.fields(TrainConfig):
            value = getattr(config, field.name)
            if field.name.startswith("distill") and value != field.default:
                raise InputError(f"{field.name} is for training with a teacher. Received: {field.name}={value}, none")
        return
    if source.task != "classification":
        raise InputError(f"A teacher is for classification. Received: data for {source.task}")
    if config.loss != "softmax":
        raise InputError(f"What a teacher's softmax says is learned with loss=softmax. Received: loss={config.loss}")
    count, names = model_of(teacher).output_shape[-1], source.class_names
    if count != len(names):
        raise InputError(f"The teacher must have the {len(names)} classes of the data. Received: {count}")
    for ours, theirs in zip(names, getattr(teacher, "class_names", names), strict=True):
        if ours != theirs:
            rule = "The teacher must have the classes of the data, in their order"
            raise InputError(f"{rule}. Received: {theirs!r} in the place of {ours!r}")


def record(teacher: "keras.Model | Predictor") -> dict[str, str]:
    """For config.json: what a teacher is called, and a digest of its weights, by which a resumed run knows it again."""
    model, state = model_of(teacher), hashlib.blake2b(digest_size=16)
    for weight in model.weights:
        values = np.asarray(weight)
        state.update(f"{values.dtype} {values.shape} ".encode() + np.ascontiguousarray(values).tobytes())
    path = getattr(teacher, "path", None)
    return {"name": str(path or model.name), "digest": state.hexdigest()}


def copied(teacher: "keras.Model | Predictor") -> "keras.Model | Predictor":
    """A teacher with copies of its weights, made where this is called: under a strategy each device has its own.

    Args:
        teacher: see `distill`.
    """
    model = surgery.rebuild(model_of(teacher), lambda _: None, share=False, heads=False)
    return dataclasses.replace(teacher, model=model) if isinstance(teacher, Predictor) else model

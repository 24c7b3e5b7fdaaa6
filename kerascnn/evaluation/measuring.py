"""Measuring a network on a data set, whatever its task."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _check, surgery
from kerascnn._errors import InputError
from kerascnn.evaluation.examples import Kept
from kerascnn.evaluation.report import Report
from kerascnn.evaluation.segmentation import PixelTally, SegmentationReport
from kerascnn.evaluation.tally import Tally
from kerascnn.inference.predictor import PROBABILITIES, Predictor, as_function
from kerascnn.inference.tta import MultiView
from kerascnn.tasks import TASKS


def evaluate(
    predictor: Predictor | keras.Model,
    dataset: tf.data.Dataset,
    class_names: Sequence[str] | None = None,
    *,
    logits: bool | None = None,
    advance: Callable[[int], None] | None = None,
    keep: int = 0,
    answers: bool = False,
) -> Report | SegmentationReport:
    """Measures a network. The loss is computed from logits wherever the network has them, as in training.

    Args:
        predictor: a network in use; or a Keras model, images [batch, height, width, channels] to probabilities or
            logits [batch, classes], for segmentation [batch, height, width, classes].
        dataset: batches (float32 images, preprocessed, and integer labels [batch]), finite, such as `batches` gives;
            for segmentation masks [batch, height, width], where 255 is no class and not counted.
        class_names: with a Keras model: one per class.
        logits: with a Keras model: whether it gives logits; None: told by its last activation.
        advance: called with the number of examples after each batch; for a progress bar.
        keep: with a predictor: how many of the first examples and of the worst mistakes the report holds, for
            `plot_examples`.
        answers: whether the report holds the network's answers about all examples, 4 bytes a class and example; for
            `fit_temperature` and ensembles. Not for segmentation.

    Returns:
        The report, computed in float64: a `Report`, for segmentation a `SegmentationReport`.

    Raises:
        InputError: outputs of another shape, NaN or infinite outputs, outputs that are no probabilities, labels out of
            range, no examples, images of another shape than the model's; or it cannot be told what the outputs are.

    Example:

        predictor = inference.checkpoint.load("runs/digits")
        test = evaluation.batches(predictor, data.load("digits"), "test")
        print(evaluation.evaluate(predictor, test).heading)
    """
    if isinstance(predictor, Predictor):
        if class_names is not None or logits is not None:
            raise InputError("A predictor brings class_names and what its outputs are. Received: one of them")
        names, shape = predictor.class_names, predictor.element_shape
        run, from_logits = _of_predictor(predictor)
    else:
        if class_names is None:
            raise InputError("A Keras model needs class_names, one per output. Received: none")
        names, shape = tuple(class_names), tuple(predictor.input_shape[1:])
        run, from_logits = _of_model(predictor, logits)
    _check_input(shape, dataset)
    task = _task(dataset)
    if _check.flag("answers", answers) and task != "classification":
        raise InputError(f"Answers are kept of classifiers alone. Received: answers=True for {task}")
    classes = task == "classification"
    tally = Tally(names, from_logits, keep=answers) if classes else PixelTally(names, from_logits)
    kept = None
    if _check.whole("keep", keep, 0):
        if not isinstance(predictor, Predictor):
            raise InputError(f"Examples are kept for a Predictor alone. Received: keep={keep} with a Keras model")
        kept = Kept(keep, predictor.preprocessing)
    broken = examples = 0
    for images, labels in dataset:
        outputs, labels = np.asarray(run(images), np.float64), np.asarray(labels)
        finite = np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1)
        broken, examples = broken + int((~finite).sum()), examples + len(labels)
        if finite.all():
            found = tally.add(outputs, labels)
            if kept:
                kept.add(
                    _shown(predictor, images), labels if labels.ndim == outputs.ndim - 1 else labels[..., 0], *found
                )
        if advance:
            advance(len(labels))
    if broken:
        raise InputError(
            f"The model's outputs must be finite, but its training diverged. Received: NaN or infinity for {broken} of "
            f"{examples} images"
        )
    report = tally.report()
    return dataclasses.replace(report, first=tuple(kept.first), worst=tuple(kept.worst)) if kept else report


def evaluate_segmentation(
    model: Predictor | keras.Model,
    dataset: tf.data.Dataset,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> SegmentationReport:
    """`evaluate` for a data set with masks.

    Args:
        model, dataset, class_names, **options: see `evaluate`.

    Returns:
        The report.

    Raises:
        InputError: as for `evaluate`, and for a data set without masks.
    """
    report = evaluate(model, dataset, class_names, **options)
    if not isinstance(report, SegmentationReport):
        raise InputError("The data set must have masks [batch, height, width]. Received: labels [batch]")
    return report


def _of_predictor(predictor: Predictor) -> tuple[Callable, bool]:
    if predictor.model is None:
        return predictor.function, False
    return _exact(predictor.model, predictor.input_shape)


def _of_model(model: keras.Model, logits: bool | None) -> tuple[Callable, bool]:
    if logits is not None:
        return model.predict_on_batch, logits
    kind = surgery.final_activation(model)
    if kind not in (*PROBABILITIES, "linear"):
        raise InputError(
            "It must be told by the last layer whether the outputs are probabilities (softmax) or logits (no "
            f"activation); else give logits=True or logits=False. Received: {kind or 'an unknown end'} in {model.name}"
        )
    if kind == "linear":
        return model.predict_on_batch, True
    return _exact(model, tuple(model.input_shape[1:]))


def _exact(model: keras.Model, shape) -> tuple[Callable, bool]:
    """The network before its last softmax, if it has one; an average of several has none."""
    try:
        network = surgery.logits_of(model) if surgery.final_activation(model) == "softmax" else model
    except InputError:
        network = model
    return as_function(network, shape), network is not model


def _shown(predictor: Predictor, images) -> np.ndarray:
    """One picture an example: of several views one."""
    pixels = np.asarray(images)
    return pixels[:, predictor.views.shown] if isinstance(predictor, MultiView) else pixels


def _task(dataset) -> str:
    """The task whose labels these are: as many axes as the outputs have, but that of the classes."""
    shape = dataset.element_spec[1].shape
    for name, task in TASKS.items():
        wanted = len(task.output_shape((1, 1, 1), 1))
        if shape.rank == wanted or (shape.rank == wanted + 1 and shape[-1] == 1):
            return name
    raise InputError(f"Labels must be integers [batch] or [batch, height, width]. Received: {dataset.element_spec[1]}")


def _check_input(shape, dataset):
    found = dataset.element_spec[0].shape[1:]
    if not found.is_compatible_with(shape):
        raise InputError(f"The model takes images of shape {shape}. Received: {tuple(found)}")

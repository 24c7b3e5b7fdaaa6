"""What a run's settings say of the optimizer, the loss, the metrics and XLA."""

import warnings
from typing import Any

import keras

from kerascnn import surgery
from kerascnn._errors import InputError
from kerascnn.tasks import Task
from kerascnn.training import optimizers, schedules, weighting
from kerascnn.training.config import TrainConfig


def as_told(
    config: TrainConfig, model: keras.Model, task: Task, steps: int, classes: int, weights: Any, starts: Any
) -> None:
    """Compiles a model for a run.

    Args:
        config: of the run.
        model: images -> logits or probabilities.
        task: what it learns.
        steps: of an epoch.
        classes: how many.
        weights: of the classes, see `weighting.of_source`.
        starts: of variables that train later, see `callbacks.Unfreeze`; None: all train from the start.

    Raises:
        InputError: XLA is asked for where it cannot be had.
    """
    if config.jit:
        _check_jit(model)
    model.compile(
        optimizer=optimizers.build(config, schedules.learning_rate(config, steps), model, starts),
        loss=task.loss(
            config.label_smoothing,
            surgery.final_activation(model) != "softmax",
            config.loss,
            config.label_threshold,
            weights,
        ),
        metrics=task.metrics(classes),
        jit_compile=config.jit,
        auto_scale_loss=False,  # optimizers.build has done it
    )
    if weights:
        weighting.measure_unweighted(model)


def _check_jit(model: keras.Model):
    """Keras goes on without XLA, after a warning, where it cannot be had; nobody would know why the run is slow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.jit_compile = True
    if not model.jit_compile:
        without = [layer.name for layer in model._flatten_layers() if not layer.supports_jit]
        received = f"layers without it: {', '.join(without)}" if without else "deterministic operations are on"
        rule = "jit needs layers that XLA compiles, and a process in which no deterministic operations were turned on"
        raise InputError(f"{rule}. Received: {received}")

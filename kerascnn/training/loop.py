"""The fit loop: compile and fit under a strategy, go on where a killed run stopped."""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from rich.console import Console

from kerascnn import __version__, data
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.masks import PairArrays
from kerascnn.inference.checkpoint import check_whole, ends_in_softmax
from kerascnn.tasks.task import TASKS, Task
from kerascnn.training import callbacks, history, optimizers, schedules, strategies
from kerascnn.training.config import TrainConfig
from kerascnn.training.progress import ProgressBar
from kerascnn.training.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run gave."""

    rows: list[history.Row]  # history.csv
    best: int  # index of the best row
    folder: Path
    first_epoch: int  # epochs that were there already; equal to len(rows) for a finished run
    task: Task


def train(
    build_model: Callable[[], keras.Model],
    source: "data.Source",
    config: TrainConfig,
    out: str | os.PathLike,
    *,
    model_record: dict[str, Any],
    preprocessing: Preprocessing,
    data_record: dict[str, Any] | None = None,
    console: Console | None = None,
) -> Result:
    """Trains a model, or goes on with the run in `out`.

    Args:
        build_model: makes the model, ending in logits (better: the loss is then exact) or in a softmax; for
            segmentation (`source.task`) of each pixel.
        source: the data set; its "train" split is trained on, "validation" is measured after each epoch.
        config: how.
        out: the run folder. Started again with the same arguments after a kill, the run goes on from its last
            finished epoch and ends with the same history.
        model_record: for config.json: "name", "options", "classes", "input_shape" (height, width, channels).
        preprocessing: what is done to the pixels; kept in config.json.
        data_record: for config.json: what `data.load` needs to find the set again; default: its name.
        console: prints progress there; None: silent.

    Returns:
        The history and where everything is.

    Raises:
        InputError: the settings, the data and the model do not fit, `out` holds another run, or the loss became NaN.
        OSError: `out` cannot be written; it holds everything up to the last finished epoch.
    """
    shape, classes = tuple(model_record["input_shape"]), len(source.class_names)
    task = TASKS[source.task]
    task.check_augment(config.augment)
    _check_labels(source)
    run = RunFolder(out)
    run.claim(
        {
            "kerascnn": __version__,
            "task": task.name,
            "model": {**model_record, "input_shape": list(shape)},
            "class_names": list(source.class_names),
            "preprocessing": preprocessing.to_dict(),
            "data": {**source.record(), **(data_record or {})},
            "training": config.to_dict(),
        }
    )
    rows = history.read(run.history)
    if config.epochs <= len(rows) and config.epochs in run.saved_epochs():
        return _result(rows, run, len(rows), task)

    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    batch = min(config.batch_size, source.sizes["train"])  # the pipeline makes one batch of a smaller set
    steps = source.sizes["train"] // batch
    strategy = strategies.build(config, batch)
    with strategy.scope():
        keras.utils.set_random_seed(config.seed)
        model = _build(build_model, config, shape, task.output_shape(shape, classes))
        _compile(model, config, steps, task, classes)
        first = _restore(model, run, rows)
    del rows[first:]
    if first:
        (console.print if console else logging.info)(f"going on after epoch {first} in {run.path}")
    feed, _ = data.train_pipeline(
        source, image_shape=shape, preprocessing=preprocessing, batch_size=batch, augment=config.augment,
        seed=config.seed, first_epoch=first, epochs=config.epochs,
    )  # fmt: skip
    validation = data.eval_pipeline(
        source, "validation", image_shape=shape, preprocessing=preprocessing, batch_size=config.batch_size
    )

    hooks: list[keras.callbacks.Callback] = [
        callbacks.SeedEpoch(config.seed),
        callbacks.AverageStatistics(),
        callbacks.StopOnNaN(config, run),
    ]
    if callbacks.progress_layers(model):
        hooks.append(callbacks.ScheduleDropPath(config.epochs, steps))
    if config.schedule == "plateau":
        hooks.append(callbacks.Plateau(config, rows, steps))
    title = f"{model_record['name']} on {source.name}"
    hooks += [callbacks.Record(run, rows, task, classes, title), callbacks.TensorBoard(run)]
    bar = ProgressBar(console, config.epochs, steps, batch, task.measures(classes)) if console else None
    try:
        model.fit(
            feed, validation_data=validation, epochs=config.epochs, initial_epoch=first,
            steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=hooks + ([bar] if bar else []),
        )  # fmt: skip
    except tf.errors.OpError as error:
        raise data.explain(source, error) from error
    finally:
        if bar:
            bar.close()
    return _result(rows, run, first, task)


def _check_labels(source: "data.Source"):
    """Refuses labels outside the classes where they are at hand; `data.load` has checked the sets that it reads."""
    if source.task == "segmentation":
        for name in source.splits:
            if isinstance(source.split(name), PairArrays):
                source.split(name).check()
        return
    for name in source.splits:
        labels = getattr(source.split(name), "numbers", None)
        if labels is not None and len(labels) and not 0 <= np.min(labels) <= np.max(labels) < len(source.class_names):
            raise InputError(
                f"Labels must be in [0, {len(source.class_names)}). Received: {np.min(labels)} to {np.max(labels)} in "
                f"the {name} split of {source.name}"
            )


def _build(build_model, config: TrainConfig, shape: tuple[int, ...], outputs: tuple[int, ...]) -> keras.Model:
    with _precision(config.mixed_precision):
        model = build_model()
    if tuple(model.input_shape) != (None, *shape):
        raise InputError(f"The model must take images of shape {shape}. Received: {tuple(model.input_shape)[1:]}")
    if tuple(model.output_shape) != (None, *outputs):
        wanted = outputs[0] if len(outputs) == 1 else outputs
        raise InputError(f"The model must give {wanted} outputs. Received: {tuple(model.output_shape)[1:]}")
    if model.outputs[0].dtype != "float32":
        raise InputError(
            f"The model's outputs must be float32, in mixed precision too. Received: {model.outputs[0].dtype}"
        )
    return model


@contextlib.contextmanager
def _precision(name: str):
    before = keras.config.dtype_policy()
    if name != "none":
        keras.config.set_dtype_policy(f"mixed_{name}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _compile(model: keras.Model, config: TrainConfig, steps: int, task: Task, classes: int):
    model.compile(
        optimizer=optimizers.build(config, schedules.learning_rate(config, steps), model),
        loss=task.loss(config.label_smoothing, not ends_in_softmax(model)),
        metrics=task.metrics(classes),
        # XLA compiles for minutes on a CPU and its convolutions are slower there than oneDNN's and ours.
        jit_compile=False,
        auto_scale_loss=False,  # optimizers.build has done it
    )


def _restore(model: keras.Model, run: RunFolder, rows: list[history.Row]) -> int:
    """Loads the newest whole checkpoint that history.csv covers, with the optimizer; returns its epoch, 0 for none."""
    saved = run.saved_epochs()
    for epoch in reversed(saved):
        path = run.checkpoint(epoch)
        if epoch > len(rows):
            logging.warning("%s is newer than history.csv; skipped", path)
            continue
        try:
            check_whole(path)
            model.load_weights(path)
            return epoch
        except (ValueError, KeyError, OSError) as error:
            logging.warning("%s is skipped: %s", path, " ".join(str(error).split())[:200])
    if saved:
        raise InputError(f"None of the checkpoints can be used; delete the folder to start again. Received: {run.path}")
    return 0


def _result(rows: list[history.Row], run: RunFolder, first: int, task: Task) -> Result:
    return Result(rows, history.best(rows, task.best) or 0, run.path, first, task)

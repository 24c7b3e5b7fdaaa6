"""The fit loop: compile and fit under a strategy, resume where a killed run stopped."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from absl import logging
from rich.console import Console

from kerascnn import __version__, _provenance, data, surgery
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.inference.checkpoint import check_whole
from kerascnn.inference.predictor import Predictor
from kerascnn.tasks import TASKS, Task
from kerascnn.training import (
    adversarial,
    callbacks,
    compiling,
    distillation,
    history,
    progressive,
    schedules,
    statistics,
    strategies,
    teachers,
    weighting,
)
from kerascnn.training.config import PRECISIONS, TrainConfig
from kerascnn.training.plan import Plan
from kerascnn.training.recomputing import recompute
from kerascnn.training.run_folder import RunFolder, differences
from kerascnn.training.workers import sums
from kerascnn.training.workers.fitting import fit
from kerascnn.training.workers.team import Team

VALIDATION = "validation"  # the split that is measured after each epoch; "test" is for `evaluate` alone


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
    config: TrainConfig | Plan,
    out: str | os.PathLike,
    *,
    initialize: Callable[[keras.Model], Any] | None = None,
    model_record: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    data_record: Mapping[str, Any] | None = None,
    asked: Collection[str] | None = None,
    teacher: "keras.Model | Predictor | None" = None,
    workers: Team | None = None,
    hooks: Sequence[keras.callbacks.Callback] = (),
    console: Console | None = None,
) -> Result:
    """Trains a model, or resumes the run in `out`.

    The "train" split of the source is trained on, and "validation" is measured after each epoch; best.keras and the
    "plateau" schedule follow from it. No image of the "test" split is seen.

    Args:
        build_model: makes the model, ending in logits (better: the loss is then exact) or in a softmax; for
            semantic segmentation (`source.task`) of each pixel.
        source: the data set.
        config: how; or a `Plan`, which brings the preprocessing, what was asked for and most of `model_record` too.
        out: the run folder. Started again with the same arguments after a kill, the run resumes after its last
            finished epoch and ends with the same history.
        initialize: is given the model of a first start, to load or draw its initial weights; a run that is resumed has
            weights and does not need it.
        model_record: for config.json: "name", "options", "classes", "input_shape" (height, width, channels).
        preprocessing: what is done to the pixels; kept in config.json.
        data_record: for config.json: what `data.load` needs to find the set again; by default what the source says.
        asked: the fields of `config` that were asked for; when the run is resumed the others are what they were at its
            first start. By default all.
        teacher: a trained network from which this one learns, too: `config.distill` and `training.distill` say how.
            config.json keeps a digest of its weights; the run can be resumed with the same teacher alone.
        workers: for the strategy "multiworker": what `training.workers.join` gave. Each worker calls this function with
            the same arguments; the chief alone writes `out`, reads checkpoints and says which settings hold.
        hooks: further callbacks, called last, by the chief alone; one that has a method `close` is closed in any case.
        console: prints progress there; None: silent.

    Returns:
        The history and where everything is.

    Raises:
        InputError: the settings, the data and the model do not fit, `out` holds another run or another process trains
            in it, the workers do not agree, or the loss or a weight became infinite or NaN.
        OSError: `out` cannot be written; it holds everything up to the last finished epoch.

    Example:

        import kerascnn
        from kerascnn import data, training

        source, config = data.load("digits"), training.TrainConfig(batch_size=64, epochs=2)
        info = kerascnn.model_info("lenet5")
        result = training.train(
            lambda: kerascnn.create_model("lenet5", classes=10, classifier_activation=None),
            source,
            config,
            "runs/lenet5",
            model_record={"name": "lenet5", "options": {}, "classes": 10, "input_shape": info.input_shape},
            preprocessing=info.preprocessing,
        )
        result.rows[result.best]["val_accuracy"]
    """
    if isinstance(config, Plan):
        named = {"name": config.network, "options": {}, "input_shape": config.shape}
        model_record = {**named, "classes": len(source.class_names), **(model_record or {})}
        preprocessing = preprocessing or config.preprocessing
        asked = config.asked if asked is None else asked
        recipe, config = {"recipe": config.recipe}, config.config
    else:
        recipe = {}
    given = {"model_record": model_record, "preprocessing": preprocessing}
    missing = [name for name, value in given.items() if value is None]
    if missing:
        rule = "train needs model_record and preprocessing, or a Plan, which has both"
        raise InputError(f"{rule}. Received: no {' and no '.join(missing)}")
    task = TASKS[source.task]
    task.check_augment(config.augment)
    task.check_sampling(config.sampling)
    adversarial.check(config, task)
    task.check_labels(source)
    teachers.check(teacher, config, source)
    shape = tuple(model_record["input_shape"])
    record = {
        "kerascnn": __version__,
        "task": task.name,
        "model": {**model_record, "input_shape": list(shape)},
        "class_names": list(source.class_names),
        "preprocessing": preprocessing.to_dict(),
        "data": {**source.record(), **(data_record or {})},
        "training": config.to_dict(),
        "asked": sorted(config.to_dict() if asked is None else asked),
        "starts": [_provenance.provenance()],
        **({"teacher": teachers.record(teacher)} if teacher is not None else {}),
        **recipe,
    }
    if workers is not None and config.strategy != "multiworker":
        raise InputError(f"workers must be for strategy=multiworker. Received: strategy={config.strategy}")
    run, chief = RunFolder(out), workers is None or workers.is_chief
    with run.hold() if chief else contextlib.nullcontext():
        return _train(
            run, record, build_model, initialize, source, task, preprocessing, teacher, workers, hooks, console
        )


def _train(
    run, record, build_model, initialize, source, task, preprocessing, teacher, workers, more, console
) -> Result:
    """`train` in a folder that is held, by the chief, where there are several workers."""
    chief, several = workers is None or workers.is_chief, workers is not None and workers.strategy is not None
    config = run.agree(record) if chief or not several else None
    classes, shape = len(source.class_names), tuple(record["model"]["input_shape"])
    rows = history.read(run.history, _columns(task, classes, config)) if config else []
    if several:
        config, rows = _agree(workers, record, config, rows)
    record = {**record, "training": config.to_dict()}
    if history.diverged(rows):
        raise InputError(
            f"The run has diverged: history.csv is not finite in epoch {history.diverged(rows)}. Start again in "
            f"another folder with a lower learning rate. Received: {run.path}"
        )
    over = config.epochs <= len(rows) or schedules.stopped(config, [row["val_loss"] for row in rows])
    if not several and over and len(rows) in run.saved_epochs():
        return _result(rows, run, len(rows), task)
    if workers is not None and not several:
        rule = "workers.join must be told the epochs of a finished run that is to go on"
        raise InputError(f"{rule}. Received: {run.path}, epochs={config.epochs}")

    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    batch = min(config.batch_size, source.sizes["train"])  # the pipeline makes one batch of a smaller set
    steps = source.sizes["train"] // batch
    if config.accumulate > steps * config.epochs:
        rule = f"accumulate must be at most the {steps * config.epochs} batches of the run, or no step is ever taken"
        raise InputError(f"{rule}. Received: accumulate={config.accumulate}")
    weights = weighting.of_source(config.class_weights, source, _teller(console))
    strategy = strategies.build(config, batch, workers.strategy if several else None)
    share = workers.share if several else data.Share()
    # Variables that are made in the scope are made by all workers at once: what the chief does alone is done outside.
    alone = contextlib.nullcontext if several else strategy.scope
    with strategy.scope():
        keras.utils.set_random_seed(config.seed)
        model = _build(build_model, config, shape, task.output_shape(shape, classes))
    if config.batch_statistics == "sync" and strategy.num_replicas_in_sync > 1:
        strategies.synchronize(model)
    if chief and initialize is not None and not run.saved_epochs():
        with alone():
            initialize(model)
    if config.progressive:
        progressive.check(model, config.progressive)
    if config.recompute:
        _teller(console)(recompute(model).text)
    with strategy.scope():
        thaw = None
        if config.unfreeze:
            thaw = callbacks.Unfreeze(model, config.unfreeze, _teller(console))
        compiling.as_told(config, model, task, steps, classes, weights, thaw.starts(steps) if thaw else None)
        distillation.as_told(config, model, teacher, preprocessing)
        adversarial.as_told(config, model, preprocessing)
        average = callbacks.AverageWeights(config.ema, config.accumulate) if config.ema else None
        if average:
            average.set_model(model)
    first = 0
    if chief:
        with alone():
            first = _restore(model, run, rows, average)
    if several:
        first = workers.agree(first)
        sums.as_the_chief(strategy, [*model.variables, *model.optimizer.variables], chief)
        if average:
            average.follow(workers.agree(average.taken), chief)
    if chief:
        run.claim(record)
    del rows[first:]
    if first and chief:
        _teller(console)(f"resuming after epoch {first} in {run.path}")
    size = source.sizes[VALIDATION]
    measured = strategies.even_batch(size, config.batch_size, strategy.num_replicas_in_sync)
    validation, validation_steps = data.eval_share(
        source, VALIDATION, share, image_shape=shape, preprocessing=preprocessing, batch_size=measured, keep=True
    )

    hooks: list[keras.callbacks.Callback] = [
        callbacks.SeedEpoch(config.seed, share.first),
        callbacks.AverageStatistics(),
        callbacks.StopOnNaN(config, run),
    ]
    if average:
        hooks.append(average)
    if thaw:
        hooks.append(thaw)
    if callbacks.progress_layers(model):
        hooks.append(callbacks.ScheduleDropPath(config.epochs, steps))
    if config.schedule == "plateau":
        hooks.append(callbacks.Plateau(config, rows, steps))
    title = f"{record['model']['name']} on {source.name}"
    extra = [{"image_size": x.size} for x in progressive.parts(config) for _ in range(x.first, x.last) if x.size]
    if chief:
        hooks += [callbacks.Record(run, rows, task, classes, title, average, extra), callbacks.TensorBoard(run)]
    else:
        hooks.append(callbacks.Remember(rows, extra))
    if config.sparsity and chief:
        hooks.append(callbacks.Sparsity(run.path, callbacks.first_images(validation, config.sparsity)))
    if config.early_stopping:
        hooks.append(callbacks.StopEarly(config, rows, _teller(console)))
    if console and chief:
        titles = {name: task.titles[name] for name in task.measures(classes)}
        hooks.append(callbacks.ShowProgress(console, config.epochs, steps, validation_steps, batch, titles))
    hooks += more if chief else ()
    try:
        for part in progressive.left(model, config, first, console.print if console else None):
            size = (part.size, part.size) if part.size else shape[:2]
            feed, _ = data.train_pipeline(
                source, image_shape=(*size, shape[2]), preprocessing=preprocessing, batch_size=batch,
                augment=config.augment, sampling=config.sampling, seed=config.seed, first_epoch=part.first,
                epochs=part.last, share=share,
            )  # fmt: skip
            _fit(model, feed, validation, part, steps, validation_steps, hooks, several)
    except tf.errors.OpError as error:
        if several and workers.is_loss(error):
            raise
        raise data.explain(source, error) from error
    finally:
        # The bar of an epoch that was not finished; programs that follow the run are told of its end.
        for hook in hooks:
            if hasattr(hook, "close"):
                hook.close()
    return _result(rows, run, first, task)


def _columns(task: Task, classes: int, config: TrainConfig) -> list[str]:
    return history.columns(task.measures(classes), ["image_size"] if config.progressive else ())


def _fit(model, feed, validation, part, steps, validation_steps, hooks, several) -> None:
    """Trains the epochs of one size of images."""
    if several:
        fit(
            model, feed, validation, epochs=part.last, initial_epoch=part.first, steps=steps,
            validation_steps=validation_steps, callbacks=hooks,
        )  # fmt: skip
        return
    model.make_train_function(force=True)  # for images of this size, not of any
    model.fit(
        feed, validation_data=validation, epochs=part.last, initial_epoch=part.first, steps_per_epoch=steps,
        shuffle=False, verbose=0, callbacks=hooks,
    )  # fmt: skip


def _agree(workers: Team, record: Mapping[str, Any], config: TrainConfig | None, rows: list[history.Row]):
    """The settings and the history of the chief, in each worker."""
    told = workers.agree({"record": record, "training": config.to_dict(), "rows": rows} if config else None)
    differing = differences(told["record"], record)
    if differing:
        raise InputError(
            f"Worker {workers.members.index} must have the settings of the chief: {'; '.join(differing)}. "
            f"Received: {workers.out}"
        )
    return TrainConfig.from_dict(told["training"]), told["rows"]


def _build(build_model, config: TrainConfig, shape: tuple[int, ...], outputs: tuple[int, ...]) -> keras.Model:
    with _precision(config.mixed_precision):
        model = build_model()
    activation = surgery.final_activation(model)
    if activation not in (None, "linear", "softmax"):
        raise InputError(f"The model must end in logits or in a softmax. Received: {activation}")
    if tuple(model.input_shape) != (None, *shape):
        raise InputError(f"The model must take images of shape {shape}. Received: {tuple(model.input_shape)[1:]}")
    if tuple(model.output_shape) != (None, *outputs):
        wanted = outputs[0] if len(outputs) == 1 else outputs
        raise InputError(f"The model must give {wanted} outputs. Received: {tuple(model.output_shape)[1:]}")
    if model.outputs[0].dtype != "float32":
        raise InputError(
            f"The model's outputs must be float32, in mixed precision too. Received: {model.outputs[0].dtype}"
        )
    if config.statistics_momentum:
        for layer in statistics.batch_norms(model):
            layer.momentum = config.statistics_momentum
    if config.freeze != "none":
        surgery.freeze(model, config.freeze)
    return model


@contextlib.contextmanager
def _precision(name: str):
    before = keras.config.dtype_policy()
    if PRECISIONS[name]:
        keras.config.set_dtype_policy(PRECISIONS[name])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _teller(console: Console | None) -> Callable[[str], Any]:
    return console.print if console else logging.info


def _restore(model: keras.Model, run: RunFolder, rows: list[history.Row], average) -> int:
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
            if average:
                average.load(run.average(epoch))
            return epoch
        except (ValueError, KeyError, OSError) as error:
            logging.warning("%s is skipped: %s", path, " ".join(str(error).split())[:200])
    if saved:
        raise InputError(f"None of the checkpoints can be used; delete the folder to start again. Received: {run.path}")
    return 0


def _result(rows: list[history.Row], run: RunFolder, first: int, task: Task) -> Result:
    return Result(rows, history.best(rows, task.best) or 0, run.path, first, task)

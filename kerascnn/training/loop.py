"""`train`: what is asked for is checked, then trained as one job, which resumes where a killed run stopped."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from kerascnn import __version__, _provenance, data
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.inference.predictor import Predictor
from kerascnn.tasks import TASKS, Task
from kerascnn.training import adversarial, history, teachers
from kerascnn.training.config import TrainConfig
from kerascnn.training.job import Job
from kerascnn.training.plan import Plan
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.workers.team import Team


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
        job = Job(run, record, source, task, preprocessing, workers, console)
        if not job.finished:
            job.build(build_model, initialize)
            job.compile(teacher)
            job.restore()
            job.fit(hooks)
    return Result(job.rows, history.best(job.rows, task.best) or 0, run.path, job.first, task)

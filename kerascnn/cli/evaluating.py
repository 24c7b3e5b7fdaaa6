"""What every way to evaluate shares: which networks, on which data, and a pass over a part of them."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from kerascnn._errors import InputError
from kerascnn.cli import networks
from kerascnn.cli.command import Values


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network with the data that it is measured on."""

    predictor: Any  # `inference.Predictor`
    source: Any  # `data.Source`
    data: str  # its name, as it was given
    title: str  # what the network is called
    model: str  # its name in the registry
    changes: tuple[str, ...]  # of the data since the training


def named(values: Values, arguments: list[str]) -> list[str]:
    """The runs that a line names, as arguments or by --checkpoint; none where it names a network with --model.

    Raises:
        InputError: runs and a network are named, none of the two, or one run in both ways.
    """
    if arguments and (values["checkpoint"] is not None or values["model"] is not None):
        other = "--checkpoint" if values["checkpoint"] is not None else "--model"
        raise InputError(f"Give runs as arguments or {other}, not both. Received: {arguments[0]} and {other}")
    runs = arguments or ([values["checkpoint"]] if values["checkpoint"] is not None else [])
    networks.check("evaluate", {**values, "checkpoint": runs[0] if runs else None})
    if not runs and not (values["data"] and values["out"]):
        raise InputError("kerascnn evaluate --model needs --data and --out, which a run would tell. Received: none")
    return runs


def load(values: Values, run: str | None, console: Console, source: Any = None) -> Subject:
    """The network and the data; says where these are no longer what the run was trained on.

    Args:
        values: flags of `kerascnn evaluate`.
        run: a run folder or checkpoint; None: what --model names.
        console: for what has to be said.
        source: the data, where they are loaded already.

    Returns:
        Both.

    Raises:
        InputError: one cannot be loaded, or the classes differ.
    """
    from kerascnn import data

    predictor = networks.load({**values, "checkpoint": run})
    recorded = predictor.config.get("data", {})
    name = values["data"] or recorded["name"]
    data_dir = values["data_dir"] or (None if values["data"] else recorded.get("data_dir"))
    if source is None:
        source = data.load(name, data_dir, limit=values["limit"] or None, task=predictor.task)
    if not networks.same_classes(predictor, source.class_names):
        raise InputError(
            f"The data must have the classes of the checkpoint ({', '.join(predictor.class_names[:3])}, ...; "
            f"{len(predictor.class_names)}). Received: {', '.join(source.class_names[:3])}, ... "
            f"({len(source.class_names)}) in {name}"
        )
    same = not values["data"] and values["limit"] == predictor.config["training"].get("limit", 0)
    changes = source.changes(recorded) if same else []
    for change in changes:
        console.print(f"The data set is no longer that of the run: {change}.", markup=False, soft_wrap=True)
    title = networks.title(values, predictor)
    model = predictor.config.get("model", {}).get("name", predictor.model.name)
    return Subject(predictor, source, name, title, model, tuple(changes))


def measure(subject: Subject, predictor: Any, split: str, values: Values, console: Console, **options: Any) -> Any:
    """`evaluation.evaluate` with a progress bar.

    Args:
        subject: whose data are measured on.
        predictor: the network, perhaps another than the subject's.
        split: which part of the data.
        values: flags of `kerascnn evaluate`.
        console: shows the bar.
        **options: keep, answers.

    Returns:
        The report.
    """
    import tensorflow as tf

    from kerascnn import data, evaluation

    views = math.prod(predictor.element_shape) // math.prod(predictor.input_shape)
    dataset = evaluation.batches(predictor, subject.source, split, batch_size=max(1, values["batch_size"] // views))
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"evaluating ({split})", total=subject.source.sizes[split])
        try:
            return evaluation.evaluate(predictor, dataset, advance=lambda count: bar.advance(task, count), **options)
        except tf.errors.OpError as error:
            raise data.explain(subject.source, error) from error


def changed(values: Values, subject: Subject, console: Console | None) -> Any:
    """The network as it is to be measured: with its temperature and with several views, where these are asked for.

    Args:
        values: flags of `kerascnn evaluate`.
        subject: the network and the data.
        console: is told what test-time augmentation means for images that are not to be mirrored; None: nothing is.

    Returns:
        The predictor.
    """
    from kerascnn import inference

    predictor = subject.predictor
    if values["calibrated"]:
        predictor = inference.calibrated(predictor)
    if values["tta"] is not None:
        predictor = inference.with_views(predictor, values["tta"])
        if console and predictor.views.mirrored and not subject.source.mirrored:
            say(
                console,
                f"{values['tta']} has mirror images, which do not mean the same in {subject.data}; five_crop, grid and "
                "shift have none.",
            )
    return predictor


def say(console: Console, text: str) -> None:
    """Prints a sentence as it is."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def folder(values: Values, subject: Subject) -> Path:
    """Where what is measured is written: --out, or the run's own folder."""
    from kerascnn._files import ensure_folder

    return ensure_folder(values["out"] or subject.predictor.path.parent)

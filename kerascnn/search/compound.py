"""The grid search of compound scaling: trains every candidate for a short while and ranks them."""

import dataclasses
import gc
import os
import shutil
from collections.abc import Sequence
from typing import Any

import keras
from rich.console import Console
from rich.table import Table

from kerascnn import _check, analysis, applications, data, search, training
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn._preprocessing import Preprocessing
from kerascnn._units import short
from kerascnn.search.candidates import Candidate, candidates
from kerascnn.search.journal import Journal

BASE = Candidate(1.0, 1.0, 1.0)
NUMBERS = ("alpha", "beta", "gamma", "resolution", "accuracy", "epoch", "params", "macs", "seconds")  # of a row
Row = dict[str, Any]


def grid_search(
    name: str,
    source: "data.Source",
    out: str | os.PathLike,
    *,
    phi: float = 1.0,
    step: float = 0.1,
    tolerance: float = 0.1,
    resolution: int | None = None,
    spec: Any = None,
    config: training.TrainConfig | None = None,
    console: Console | None = None,
) -> list[Row]:
    """Looks for the factors by which a network is best made deeper, wider and its images larger.

    The base network and each of `candidates(step, tolerance)` are trained alike, one after the other, and measured on
    the validation split. No image of the test split is seen, so that it can measure the winner. Images are resized to
    each candidate's resolution.

    Args:
        name: registry name of the base network, of a family whose rows have a method `scaled`.
        source: the data set; `source.take(n)` makes it smaller.
        out: folder of the search. Started again with the same arguments after a kill, the search is resumed:
            finished candidates are read from `search.json`, and an unfinished training from its last epoch. A finer
            grid in the same folder adds its candidates.
        phi: how much the candidates are scaled, greater than 0; 1 doubles the multiply-adds.
        step: of the grid.
        tolerance: of alpha beta^2 gamma^2 around 2.
        resolution: height and width of the base's input; by default that of the network.
        spec: another row than the network's own, as for `create_model`.
        config: how each is trained; by default the network's recipe with 5 epochs.
        console: prints progress there; None: silent.

    Returns:
        Rows of all finished candidates, the best first (see `ranking`): "alpha", "beta", "gamma", "resolution",
        "accuracy" (of the best epoch), "epoch" (that one), "params", "macs" and "seconds" (of all epochs).

    Raises:
        InputError: an argument is out of range, the network cannot be scaled, or `out` holds another search.
        OSError: `out` cannot be written; it holds everything up to the last finished epoch.

    Source:
        Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019, arXiv:1905.11946,
        section 4.

    Example:

        from kerascnn import data, search

        rows = search.grid_search("resnet20", data.load("digits"), "searches/digits", step=0.5, tolerance=0.2)
        rows[0]["alpha"], rows[0]["accuracy"]
    """
    phi = _check.real("phi", phi, 0.0, above=True)
    info = applications.model_info(name)
    grid = [BASE, *candidates(step, tolerance)]
    spec = info.spec if spec is None else spec
    resolution = info.input_shape[0] if resolution is None else resolution
    applications.compound_scale(spec, phi, resolution=resolution)  # refuses what cannot be scaled before any training
    if resolution < info.min_size:
        raise InputError(f"{name} takes images of {info.min_size} pixels or more. Received: resolution={resolution!r}")
    config = config or training.plan(info, source, image_size=resolution, epochs=search.EPOCHS).config
    folder = ensure_folder(out)
    journal = Journal(
        folder / "search.json",
        {
            "model": name,
            "spec": dataclasses.asdict(spec),
            "resolution": resolution,
            "phi": phi,
            # Which examples, not where they lie.
            "data": {"name": source.name, "sizes": source.sizes, "fingerprint": source.fingerprint},
            "training": config.to_dict(),
        },
        NUMBERS,
    )
    preprocessing = _resized(info.preprocessing.for_channels(source.image_shape[2]))
    for number, candidate in enumerate(grid, 1):
        factors = dataclasses.asdict(candidate)
        if journal.find(**factors) is None:
            if console:
                console.print(f"{number} of {len(grid)}: {_text(candidate)}", highlight=False)
            scaled = applications.compound_scale(spec, phi, **factors, resolution=resolution)
            run = folder / f"alpha{candidate.alpha:g}_beta{candidate.beta:g}_gamma{candidate.gamma:g}"
            journal.add({**factors, **_measure(name, source, scaled, run, config, preprocessing, console)})
            shutil.rmtree(run / "checkpoints", ignore_errors=True)  # a finished candidate needs them no more
            gc.collect()  # else the graphs of all candidates stay in memory
    return ranking(journal.rows)


def ranking(rows: Sequence[Row]) -> list[Row]:
    """Sorts the rows of a search.

    Args:
        rows: of `grid_search`.

    Returns:
        Those with the highest accuracy first; of equals those with fewer multiply-adds.
    """
    return sorted(rows, key=lambda row: (-row["accuracy"], row["macs"]))


def table(rows: Sequence[Row], title: str | None = None) -> Table:
    """Rows of a search as a table for the terminal.

    Args:
        rows: of `grid_search`.
        title: above it.

    Returns:
        The table, in the order of the rows.
    """
    shown = Table(title=title)
    headings = ("alpha", "beta", "gamma", "a b² c²", "input", "accuracy", "params", "MACs", "seconds")
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        candidate = Candidate(row["alpha"], row["beta"], row["gamma"])
        factors = (f"{value:g}" for value in dataclasses.astuple(candidate))
        numbers = (f"{row['accuracy']:.2%}", short(row["params"]), short(row["macs"]), f"{row['seconds']:.0f}")
        shown.add_row(*factors, f"{candidate.cost:.2f}", str(row["resolution"]), *numbers)
    return shown


def _text(candidate: Candidate) -> str:
    if candidate == BASE:
        return "the base network"
    return f"depth {candidate.alpha:g}, width {candidate.beta:g}, resolution {candidate.gamma:g}"


def _resized(preprocessing: Preprocessing) -> Preprocessing:
    """Whole images at every resolution: a border of zeros, or a part of the image, would not be more of it."""
    return dataclasses.replace(preprocessing, fit="crop", crop_fraction=1.0)


def _measure(name, source, scaled, run, config, preprocessing, console) -> Row:
    """Trains one candidate, or resumes it, and counts what it costs."""
    classes, channels = len(source.class_names), source.image_shape[2]
    shape = (scaled.resolution, scaled.resolution, channels)
    options = {"classes": classes, "input_shape": shape, "classifier_activation": None, "spec": scaled.spec}
    with keras.StatelessScope(initialize_variables=False):  # weights have shapes, but no values: fast and small
        cost = analysis.count(applications.create_model(name, **options))
    result = training.train(
        lambda: applications.create_model(name, **options),
        source,
        config,
        run,
        model_record={
            "name": name,
            "options": {"spec": dataclasses.asdict(scaled.spec)},
            "classes": classes,
            "input_shape": list(shape),
        },
        preprocessing=preprocessing,
        console=console,
    )
    best = result.rows[result.best]
    return {
        "resolution": scaled.resolution,
        "accuracy": best["val_accuracy"],
        "epoch": int(best["epoch"]),
        "params": cost.params_trainable,
        "macs": cost.macs,
        "seconds": round(sum(row["seconds"] for row in result.rows), 1),
    }

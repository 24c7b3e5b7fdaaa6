"""Searches with shared weights on Fashion-MNIST within a time, and compares what was found with random cells.

    python tools/search_cells.py darts                     # an hour of two cores for the search, then eleven trainings
    python tools/search_cells.py enas darts_second enas_macro nao_ws smash
    python tools/search_cells.py darts enas --quick        # the digits, minutes: does everything work?

Each search sees a part of the training images, as many as its time allows for its epochs, and neither validation nor
test images. The found cell and ten random ones of its space, with --quick three, are then trained anew by the same
recipe, with as many filters as give them the parameters of the found one, and measured on the validation part after the
last epoch, which chooses nothing. Runs are folders in runs/search; what was interrupted is resumed. The table and the
pictures go to results/search/one_shot (with --quick to runs/search/quick).
"""

import argparse
import csv
import dataclasses
import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from kerascnn import _records, data, training
from kerascnn._files import atomic_write, replace_with
from kerascnn._preprocessing import Preprocessing
from kerascnn.cells import DARTS, Genotype, plot_genotype
from kerascnn.search import one_shot, spaces
from kerascnn.search.one_shot.images import halves
from kerascnn.search.one_shot.sizes import parameters
from kerascnn.search.one_shot.supernet import ENAS_SEARCH
from kerascnn.training import recipes

ROOT = Path(__file__).resolve().parents[1]
STAGES = (1, 2, 2)
EDGES = spaces.Edges(("max_3x3", "avg_3x3", "identity", "sep_3x3", "dil_sep_3x3"), 3, concat_all=True, name="darts")
BLOCKS = spaces.Blocks(("sep_3x3", "sep_5x5", "avg_3x3", "max_3x3", "identity"), 3, name="enas")
CHAIN = spaces.enas_macro(6)
BANKS = spaces.Banks(3, 2, 3, {"kernel": (3, 5), "dilation": (1, 2)})


@dataclasses.dataclass(frozen=True)
class Search:
    """A search of this table."""

    space: Any
    run: Callable[..., one_shot.Result]
    config: Any
    build: Callable[..., keras.Model]  # (architecture, config, filters=, input_shape=, classes=)


def _of_edges(genotype, config, **options):
    return one_shot.network(genotype, stages=config.stages, style=DARTS, **options)


def _of_blocks(genotype, config, **options):
    return one_shot.network(genotype, stages=config.stages, style=ENAS_SEARCH, relu=True, **options)


def _of_layers(layers, config, **options):
    return one_shot.macro_network(layers, **options)


def _of_banks(blocks, config, **options):
    return one_shot.bank_network(blocks, **options)


_DARTS = one_shot.DartsConfig(epochs=25, stages=STAGES, filters=8, alpha_rate=3e-3, warm_up=2)
_ENAS = one_shot.EnasConfig(
    epochs=30, batch_size=64, stages=STAGES, filters=8, controller_steps=30, controller_samples=5, tanh=2.5,
    baseline=0.95,
)  # fmt: skip
_NAO = one_shot.NaoConfig(
    epochs=30, batch_size=64, stages=STAGES, filters=8, every=6, pool=100, seeds=20, renewed=40, fresh=10, units=32,
    embedding=16, layers=1, hidden=64, steps=600, model_rate=0.01,
)  # fmt: skip
SEARCHES = {
    "darts": Search(EDGES, one_shot.darts, _DARTS, _of_edges),
    "darts_second": Search(EDGES, one_shot.darts, dataclasses.replace(_DARTS, order="second"), _of_edges),
    "enas": Search(BLOCKS, one_shot.enas, _ENAS, _of_blocks),
    "enas_macro": Search(CHAIN, one_shot.enas, dataclasses.replace(_ENAS, filters=16), _of_layers),
    "nao_ws": Search(BLOCKS, one_shot.nao_ws, _NAO, _of_blocks),
    "smash": Search(BANKS, one_shot.smash, one_shot.SmashConfig(epochs=30, batch_size=64, filters=8), _of_banks),
}


@dataclasses.dataclass(frozen=True)
class Size:
    """How long and how large."""

    data: str
    minutes: float  # of a search, the measurement of its speed included
    train_images: int
    train_epochs: int
    fewest: int  # images of a search
    random: int = 10  # cells that it is compared with


SIZES = {False: Size("fashion_mnist", 60.0, 20_000, 10, 1_000), True: Size("digits", 1.0, 400, 2, 200, random=3)}


QUICK = {
    one_shot.DartsConfig: {"stages": (1, 1), "warm_up": 0},
    one_shot.EnasConfig: {"stages": (1, 1), "controller_steps": 5, "finals": 8},
    one_shot.NaoConfig: {"stages": (1, 1), "every": 1, "pool": 12, "seeds": 4, "renewed": 4, "fresh": 2, "steps": 50},
    one_shot.SmashConfig: {"draws": 6, "perturbations": 2, "greedy": 2},
}


def quick(search: Search) -> Search:
    """The same search with fewer epochs and filters."""
    config = dataclasses.replace(search.config, epochs=3, filters=4, batch_size=32, **QUICK[type(search.config)])
    return dataclasses.replace(search, config=config)


def affordable(search: Search, source: data.Source, size: Size, folder: Path) -> int:
    """How many images the time allows to pass through in each epoch: from the seconds of two short epochs, kept."""
    path = folder / "speed.json"
    if not path.exists():
        sample = source.take(16 * search.config.batch_size)
        whole = {"warm_up": 0} if isinstance(search.config, one_shot.DartsConfig) else {}
        rows = search.run(search.space, sample, dataclasses.replace(search.config, epochs=3, **whole)).history
        last = min(rows[1:], key=lambda row: row["seconds"])
        growing = last.get("learning_seconds", last["seconds"])  # with the number of images
        left = 60.0 * size.minutes - 2 * sum(row["seconds"] for row in rows)  # what is traced is traced again
        each = left / search.config.epochs - (last["seconds"] - growing)
        images = min(int(sample.sizes["train"] * each / growing), source.sizes["train"])
        _records.write(path, {"images": max(size.fewest, images), "epoch": last["seconds"], "growing": growing})
    return _records.read(path, "speed.json")["images"]


def build(search: Search, architecture: Any, filters: int, source: data.Source) -> keras.Model:
    """The network of an architecture for a data set."""
    options = {"filters": filters, "input_shape": source.image_shape, "classes": len(source.class_names)}
    return search.build(architecture, search.config, **options)


def count(search: Search, architecture: Any, filters: int, source: data.Source) -> int:
    """Parameters that are learned."""
    return parameters(lambda: build(search, architecture, filters, source))


def train(search, architecture, filters, source, size: Size, folder: Path) -> dict[str, Any]:
    """Trains a network from new weights; what the validation part says after the last epoch."""
    small = source.take(size.train_images)
    batch = 64 if size.train_images > 2000 else 32
    augment = "pad_crop + flip" if source.mirrored else "none"
    config = recipes.resolve("darts", epochs=size.train_epochs, batch_size=batch, augment=augment)
    _, _, prepare = halves(small, 0.5, "none", 0)
    mean, std = (tuple(value / 255 for value in values) for values in (prepare.mean, prepare.std))
    result = training.train(
        lambda: build(search, architecture, filters, source),
        small,
        config,
        folder,
        model_record={
            "name": "network_of_cells",
            "options": {"architecture": _json(search.space, architecture), "filters": filters},
            "classes": len(source.class_names),
            "input_shape": list(source.image_shape),
        },
        preprocessing=Preprocessing(mean, std, crop_fraction=1.0, fit="pad"),
    )
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return {
        "filters": filters,
        "parameters": count(search, architecture, filters, source),
        "accuracy": result.rows[-1]["val_accuracy"],
        "best_epoch_accuracy": max(row["val_accuracy"] for row in result.rows),
        "seconds": round(sum(row["seconds"] for row in result.rows), 1),
    }


def _json(space, architecture) -> Any:
    return space.to_json(space.encode(architecture))


def compare(name: str, search: Search, size: Size, runs: Path, out: Path, console: Console) -> None:
    """Searches, trains eleven networks, and writes what was found."""
    source, folder = data.load(size.data), runs / name
    folder.mkdir(parents=True, exist_ok=True)
    images = affordable(search, source, size, folder)
    console.print(f"{name}: {images} training images")
    result = search.run(search.space, source.take(images), search.config, folder / "search", seed=0, console=console)
    target = count(search, result.genotype, 2 * search.config.filters, source)
    rng = np.random.default_rng(1)
    cells = {"found": result.genotype} | {
        f"random{i}": search.space.decode(search.space.sample(rng)) for i in range(1, size.random + 1)
    }
    rows = []
    for cell, architecture in cells.items():
        filters = one_shot.filters_for(lambda f, a=architecture: build(search, a, f, source), target)
        row = {"cell": cell, **train(search, architecture, filters, source, size, folder / cell)}
        rows.append({**row, "architecture": json.dumps(_json(search.space, architecture))})
        console.print(f"{cell}: {row['parameters']} parameters, {row['accuracy']:.2%}", highlight=False)
    write(name, search, size, images, result, cells, rows, out)


def write(name, search, size, images, result, cells, rows, out: Path) -> None:
    """The table, the pictures, and a record of the comparison."""
    target = out / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("search.json", "genotype.json", "cells.png", "alphas.png"):
        if (result.folder / file).exists():
            shutil.copy(result.folder / file, target / file)
    with replace_with(target / "retrained.csv") as path, open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    random = [row for row in rows if row["cell"] != "found"]
    best = cells[max(random, key=lambda row: row["accuracy"])["cell"]]
    if isinstance(best, Genotype):
        plot_genotype(best, target / "best_random.png")
    found, values = rows[0]["accuracy"], [row["accuracy"] for row in random]
    record = {
        "data": size.data,
        "search_images": images,
        "search_seconds": round(sum(row["seconds"] for row in result.history), 1),
        "found": found,
        "median_of_random": statistics.median(values),
        "best_of_random": max(values),
        "random": len(values),
        "random_at_least_as_good": sum(value >= found for value in values),
        "config": dataclasses.asdict(search.config),
        "train": {"images": size.train_images, "epochs": size.train_epochs, "recipe": "darts"},
    }
    _records.write(target / "comparison.json", record)


def report(out: Path) -> None:
    """README.md of all comparisons that are there."""
    lines = [__doc__.split("\n")[0], "", "Written by `tools/search_cells.py`, whose head says how. Accuracies are of",
             "the validation part after the last epoch, in percent; one training each.", "",
             "| search | data | seconds | found | median of the random | best random | random at least as good |",
             "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for path in sorted(out.glob("*/comparison.json")):
        row = _records.read(path, "comparison.json")
        numbers = (f"{100 * row[key]:.2f}" for key in ("found", "median_of_random", "best_of_random"))
        cells = (path.parent.name, row["data"], f"{row['search_seconds']:.0f}", *numbers)
        lines.append(f"| {' | '.join(cells)} | {row['random_at_least_as_good']} of {row['random']} |")
    with atomic_write(out / "README.md") as file:
        file.write("# Searches with shared weights\n\n" + "\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("searches", nargs="+", choices=SEARCHES)
    parser.add_argument("--quick", action="store_true", help="the digits, three epochs")
    parser.add_argument("--minutes", type=float, help="of each search; by default 60, with --quick 1")
    told = parser.parse_args()
    size = dataclasses.replace(SIZES[told.quick], minutes=told.minutes or SIZES[told.quick].minutes)
    runs = Path("runs/search/quick" if told.quick else "runs/search")
    out = runs / "results" if told.quick else ROOT / "results" / "search" / "one_shot"
    console = Console()
    for name in told.searches:
        search = quick(SEARCHES[name]) if told.quick else SEARCHES[name]
        compare(name, search, size, runs, out, console)
    report(out)


if __name__ == "__main__":
    main()

"""Minima that training finds from different starts are connected by paths of low loss."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn.studies.elastic_band import Band, auto_band, explored, saddles, spanning_tree
from kerascnn.studies.flattened import Flattened
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Examples, Trainer, ascending, divided, fingerprint, orders

_POINTS = 101  # of a path that is kept
_FAR, _CLOSE = 0.1, 0.05  # of the rise along the line, of the loss of guessing


def paths(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    blocks: Sequence[int] = (1, 2, 3),
    widths: Sequence[int] = (4, 8, 16),
    kind: str = "plain",
    norm: str = "none",
    minima: int = 3,
    rounds: int = 1,
    steps: int = 800,
    batch_size: int = 64,
    learning_rate: float = 0.05,
    rates: Sequence[float] = (0.05, 0.05, 0.05, 0.005, 0.005, 0.0005),
    cycle_steps: int = 100,
    pivots: int = 3,
    weight_decay: float = 1e-4,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains networks from different starts and looks for paths between them along which the loss stays low.

    Half way on the straight line between two trained networks the loss is about that of an untrained one. A nudged
    elastic band finds another way: pivots, at first on the line, go down the gradient of mini-batches without its part
    along the path, at distances that are kept; cycles of smaller and smaller steps, between which pivots are added
    where the loss is highest above the straight line between two. This is AutoNEB, in full, see `elastic_band`. Pairs
    are connected until there is a spanning tree, and then to replace its highest edge. Every path is the best of all
    its cycles.

    The networks are `small_network` of three stages; those of rising depth have the first width, those of rising width
    the first depth. Without batch norm, by default: its statistics are no weights, and would have to follow the path.
    With it, they are those of each batch, in training and measuring, so that the loss is a function of the weights
    alone.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        blocks: ascending, of two convolutions, in each stage.
        widths: ascending, channels of the first stage; the others have twice and four times as many.
        kind: plain or residual.
        norm: after each convolution: none or batch.
        minima: of each network, of other initial weights and orders, at least two.
        rounds: pairs that are tried beyond the spanning tree.
        steps: of each training; its rate is divided by ten after half of them and after three quarters.
        batch_size: images of a step.
        learning_rate: of the first steps of training.
        rates: of the cycles of a band.
        cycle_steps: of each cycle.
        pivots: between two minima at first.
        weight_decay: of training and of pivots.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first minimum.
        folder: where finished networks are kept, which several processes may share.

    Returns:
        A `Study` with `blocks` and `widths` [networks]; `loss`, `held_accuracy` [networks, minima]; `line`, `path`
        [networks, minima, minima], the highest training loss on the straight line and on the path, NaN where none was
        looked for; `saddles` alike, along the spanning tree; `minimum`, `saddle`, `straight` [networks], means of the
        minima, and of paths and lines over the spanning tree; of the first path of each network `path_loss`,
        `path_held_accuracy`, `line_loss`, `line_held_accuracy` [networks, 101] at equal distances, and `cycles`
        [networks, 1 + cycles], the highest loss before and after each cycle.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Draxler, Veschgini, Salmhofer, Hamprecht: Essentially No Barriers in Neural Network Energy Landscape, 2018,
    arXiv:1803.00885; the straight line: Frankle, Dziugaite, Roy, Carbin: Linear Mode Connectivity and the Lottery
    Ticket Hypothesis, 2019, arXiv:1912.05671.

    Example:

        found = kerascnn.studies.paths(images, labels, blocks=(1,), widths=(8,), minima=2)
        print(found.arrays["line"][0, 0, 1], found.arrays["path"][0, 0, 1], found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    blocks = ascending("blocks", blocks, lambda value: _check.whole("blocks", value, 1, 1000))
    widths = ascending("widths", widths, lambda value: _check.whole("widths", value, 1, 4096))
    if not isinstance(rates, Sequence) or isinstance(rates, str) or not rates:
        raise _check.refuse("rates", "learning rates", rates)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "blocks": blocks, "widths": widths,
        "kind": _check.one_of("kind", kind, ("plain", "residual")),
        "norm": _check.one_of("norm", norm, ("none", "batch")),
        "minima": _check.whole("minima", minima, 2, 100), "rounds": _check.whole("rounds", rounds, 0),
        "steps": _check.whole("steps", steps, 1),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "rates": [_check.real("rates", rate, 0.0, above=True) for rate in rates],
        "cycle_steps": _check.whole("cycle_steps", cycle_steps, 1), "pivots": _check.whole("pivots", pivots, 1, 100),
        "weight_decay": _check.real("weight_decay", weight_decay, 0.0),
        "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    networks = [(depth, widths[0]) for depth in blocks] + [(blocks[0], width) for width in widths[1:]]

    def row(number: int) -> np.ndarray:
        return _network(examples, *networks[number], settings)

    rows = shared_rows(folder, len(networks), row, {**settings, "examples": fingerprint(examples)})
    arrays = {"blocks": np.array([one for one, _ in networks]), "widths": np.array([one for _, one in networks])}
    arrays.update(_parts(rows, minima, len(rates)))
    claims = _claims(arrays, examples.classes)
    return Study("paths", settings, arrays, claims, time.perf_counter() - start, _plot)


def _network(examples: Examples, blocks: int, width: int, settings: dict[str, Any]) -> np.ndarray:
    """Everything about the minima of one network, in one row."""
    minima, seed, batch_size = (settings[name] for name in ("minima", "seed", "batch_size"))
    models = [_trained(examples, blocks, width, draw, settings) for draw in range(minima)]
    loss = Flattened(models[0], training=settings["norm"] == "batch")
    points = [Flattened(model).vector() for model in models]
    images, labels = tf.constant(examples.images), tf.constant(examples.labels)

    def measure(point: np.ndarray) -> tuple[float, float]:
        trained = loss.measure(point, examples.images, examples.labels)[0]
        return trained, loss.measure(point, examples.held_images, examples.held_labels)[1]

    def slopes(path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = tf.constant(next(batches))
        given = tf.gather(images, order), tf.gather(labels, order)
        losses, gradients = zip(*(loss.slope(point, *given) for point in path), strict=True)
        return np.array(losses), np.array(gradients[1:-1])

    at, line, bands = np.array([measure(point) for point in points]), np.full((minima, minima), np.nan), []

    def connect(first: int, second: int) -> float:
        cycles = [(settings["cycle_steps"], rate) for rate in settings["rates"]]
        options = {name: settings[name] for name in ("pivots", "weight_decay")}
        bands.append(auto_band(points[first], points[second], measure, slopes, cycles, **options))
        line[first, second] = line[second, first] = bands[-1].heights[0]
        return bands[-1].height

    batches = orders(len(examples.images), batch_size, seed)
    path = np.full((minima, minima), np.nan)
    first = np.full(4 * _POINTS + 1 + len(settings["rates"]), np.nan)
    if np.isfinite(at).all():  # a training that diverged has nothing to connect
        path = explored(at[:, 0], connect, settings["rounds"])
        first = _kept(bands[0])
    return np.concatenate([*at.T, line.ravel(), path.ravel(), first])


def _trained(examples: Examples, blocks: int, width: int, draw: int, settings: dict[str, Any]) -> keras.Model:
    options = {"shortcuts": settings["kind"] == "residual", "batch_norm": settings["norm"] == "batch"}
    seeds, widths = Draws(settings["seed"], draw), (width, 2 * width, 4 * width)
    model = small_network(examples.shape, examples.classes, seeds, blocks=blocks, widths=widths, **options)
    steps, rate = settings["steps"], settings["learning_rate"]
    rates = keras.optimizers.schedules.PiecewiseConstantDecay(
        [steps // 2, 3 * steps // 4], [rate, rate / 10, rate / 100]
    )
    optimizer = keras.optimizers.SGD(rates, momentum=0.9, weight_decay=settings["weight_decay"])
    losses = Trainer(model, examples, optimizer, settings["batch_size"], settings["seed"] + draw).steps(steps)
    if np.isnan(losses[-1]):
        for variable in model.trainable_variables:
            variable.assign(variable * np.nan)
    return model


def _kept(band: Band) -> np.ndarray:
    """Path and line at `_POINTS` places, and the heights."""
    at = np.linspace(0, 1, _POINTS)
    path = [np.interp(at, band.places, values) for values in band.values.T]
    line = [np.interp(at, np.linspace(0, 1, len(band.line)), values) for values in band.line.T]
    return np.concatenate([*path, *line, band.heights])


def _parts(rows: np.ndarray, minima: int, cycles: int) -> dict[str, np.ndarray]:
    """The arrays of all rows, and means over the spanning trees."""
    sizes = {"loss": minima, "held_accuracy": minima, "line": minima**2, "path": minima**2}
    sizes.update(dict.fromkeys(("path_loss", "path_held_accuracy", "line_loss", "line_held_accuracy"), _POINTS))
    sizes["cycles"] = 1 + cycles
    found = dict(zip(sizes, np.split(rows, np.cumsum(list(sizes.values()))[:-1], axis=1), strict=True))
    found.update({name: found[name].reshape(-1, minima, minima) for name in ("line", "path")})
    for name, mean in (("path", "saddle"), ("line", "straight")):
        edges = [
            [heights[edge] for edge in spanning_tree(path)]
            for heights, path in zip(found[name], found["path"], strict=True)
        ]
        found[mean] = np.array([np.mean(one) if one else np.nan for one in edges])
    found["minimum"] = found["loss"].mean(axis=1)
    return {**found, "saddles": np.array([saddles(one) for one in found["path"]])}


def _claims(arrays, classes: int) -> dict[str, bool]:
    minimum, saddle, straight = (arrays[name] for name in ("minimum", "saddle", "straight"))
    found = {
        "On the path the loss rises by less than a tenth of what it rises on the straight line": bool(
            (saddle - minimum < _FAR * (straight - minimum)).all()
        ),
        "It stays close to the loss of the minima: within 5 % of ln(classes), the loss of guessing": bool(
            (saddle - minimum < _CLOSE * np.log(classes)).all()
        ),
    }
    depths, widths = (saddle[arrays[name] == arrays[name][0]] for name in ("widths", "blocks"))
    if len(depths) > 1:
        found["The deepest networks have lower saddles than the shallowest"] = bool(depths[-1] < depths[0])
    if len(widths) > 1:
        found["The widest networks have lower saddles than the narrowest"] = bool(widths[-1] < widths[0])
    return found


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    figure = Figure(figsize=(10, 4.4), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [
        f"{6 * one + 2} layers,\nwidth {width}" for one, width in zip(arrays["blocks"], arrays["widths"], strict=True)
    ]
    at = np.linspace(0, 1, _POINTS)
    for number, color in dict(zip((0, len(names) - 1), ("#c2820a", "#440154"), strict=True)).items():
        told = names[number].replace("\n", " ")
        left.plot(at, arrays["line_loss"][number], "--", color=color, label=f"{told}, straight")
        left.plot(at, arrays["path_loss"][number], "-", color=color, label=f"{told}, path")
    left.set(xlabel="share of the length", ylabel="training loss", yscale="log")
    for name, color, marker in (("straight", "#c2820a", "^"), ("saddle", "#440154", "s"), ("minimum", "#35b779", "o")):
        label = {"straight": "highest, straight line", "saddle": "highest, path", "minimum": "minima"}[name]
        right.plot(arrays[name], marker, color=color, label=label)
    right.set(ylabel="training loss", yscale="log", xticks=range(len(names)), xlim=(-0.5, len(names) - 0.5))
    right.set_xticklabels(names, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8, frameon=False)
    told = "{images} images, {minima} minima of {steps} steps each".format(**settings)
    figure.suptitle(f"Paths between minima: {told}")
    return figure

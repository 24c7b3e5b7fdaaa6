"""The loss around trained networks with and without shortcuts, by depth and width."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.studies.landscape import Surface
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, fingerprint, step_down

KINDS = ("plain", "residual")
_STAGES = 3
_ROUNDING = 1e-5  # of the loss: a smaller second difference is none
_BENT = 0.01  # of the largest curvature at a point: a smaller negative one does not count
_BATCH = 250


def shortcuts_landscape(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    depths: Sequence[int] = (8, 20, 44),
    widths: Sequence[int] = (4, 16),
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 0.1,
    draws: int = 2,
    points: int = 15,
    span: float = 1.0,
    samples: int = 500,
    level: float = 1.0,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains networks with and without shortcuts alike, and looks at the loss around each along random directions.

    The directions are those of `landscape`: each filter has the norm of the network's own. Without shortcuts, deep
    networks are said to have a rough surface, with them a smooth one; wider networks a flatter one. Rough: the share of
    the grid's inner points where the surface bends down in some direction of the plane, thus where the matrix of second
    differences has a negative eigenvalue, of more than a hundredth of the other in size and above rounding; a convex
    surface has none. Flat: the share of the grid with a loss below a level.

    The networks are `small_network`s with batch norm. Those of rising depth have the first width, the wider ones the
    last depth. Momentum 0.9, weight decay 0.0005, the rate divided by ten after three quarters of the steps.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        depths: ascending, each 6 * blocks + 2.
        widths: ascending, channels of the first stage; the others have twice and four times as many.
        steps: of each training.
        batch_size: images of a step.
        learning_rate: of the first steps.
        draws: networks of each kind, depth and width, of other initial weights, orders and directions; medians are
            told.
        points: of the grid along each direction, odd.
        span: how far it goes, in norms of the filters.
        samples: training images, the first ones, whose loss is asked; all where there are fewer.
        level: loss below which a point is in the flat region.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished networks are kept, which several processes may share.

    Returns:
        A `Study` with `depths` and `widths` [networks]; `at` [points]; `surface` [kinds, networks, draws, points,
        points], kinds being plain, residual; `rough`, `flat` [kinds, networks, draws], shares; `loss`, in the middle.
        All of a network whose training diverges are NaN.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Li, Xu, Taylor, Studer, Goldstein: Visualizing the Loss Landscape of Neural Nets, 2018, arXiv:1712.09913,
    figures 1, 5 and 6.

    Example:

        found = kerascnn.studies.shortcuts_landscape(images, labels, depths=(8, 20), steps=200, draws=1, points=9)
        print(found.arrays["rough"][..., 0], found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    depths = ascending("depths", depths, lambda depth: _check.whole("depths", depth, 8, 10_000))
    if any((depth - 2) % (2 * _STAGES) for depth in depths):
        raise _check.refuse("depths", "6 * blocks + 2 each", depths)
    widths = ascending("widths", widths, lambda width: _check.whole("widths", width, 1, 4096))
    points = _check.whole("points", points, 3, 1001)
    if points % 2 == 0:
        raise _check.refuse("points", "odd, so that the network itself is one of them", points)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "depths": depths, "widths": widths,
        "steps": _check.whole("steps", steps, 1),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "points": points,
        "span": _check.real("span", span, 0.0, above=True),
        "samples": min(_check.whole("samples", samples, 1), len(examples.images)),
        "level": _check.real("level", level, 0.0, above=True), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    at = np.linspace(-span, span, points)
    at[points // 2] = 0.0
    networks = [(depth, widths[0]) for depth in depths] + [(depths[-1], width) for width in widths[1:]]
    trials = [(kind, *network, draw) for kind in KINDS for network in networks for draw in range(draws)]
    asked = examples.images[: settings["samples"]], examples.labels[: settings["samples"]]

    def row(number: int) -> np.ndarray:
        kind, depth, width, draw = trials[number]
        options = {"blocks": (depth - 2) // (2 * _STAGES), "widths": (width, 2 * width, 4 * width)}
        model = small_network(
            examples.shape, examples.classes, Draws(seed, draw), shortcuts=kind == "residual", **options
        )
        rate = step_down(learning_rate, steps)
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=5e-4)
        losses = Trainer(model, examples, optimizer, batch_size, seed=seed + draw).steps(steps)
        if np.isnan(losses[-1]):
            return np.full((points, points), np.nan)
        surface = Surface(model, *asked, _BATCH)
        directions = [surface.direction(np.random.default_rng((seed, draw, axis))) for axis in range(2)]
        return np.array([[surface.measure(directions, np.array([a, b]))[0] for a in at] for b in at])

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    surface = rows.reshape(len(KINDS), len(networks), draws, points, points)
    arrays = {
        "depths": np.array([depth for depth, _ in networks]), "widths": np.array([width for _, width in networks]),
        "at": at, "surface": surface, "loss": surface[..., points // 2, points // 2],
        "rough": roughness(surface), "flat": flatness(surface, level),
    }  # fmt: skip
    return Study("shortcuts_landscape", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def roughness(surface: np.ndarray) -> np.ndarray:
    """The share of inner points at which surfaces [..., points, points] bend down; where not finite, they count.

    NaN for a surface that is NaN in the middle: of a network that has none.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        middle = surface[..., 1:-1, 1:-1]
        along = surface[..., 1:-1, 2:] - 2 * middle + surface[..., 1:-1, :-2]
        other = surface[..., 2:, 1:-1] - 2 * middle + surface[..., :-2, 1:-1]
        mixed = surface[..., 2:, 2:] - surface[..., 2:, :-2] - surface[..., :-2, 2:] + surface[..., :-2, :-2]
        half, radius = (along + other) / 2, np.hypot((along - other) / 2, mixed / 4)
        low, high = half - radius, half + radius
        convex = np.isfinite(low) & (low >= -np.maximum(_ROUNDING * np.abs(middle), _BENT * np.abs(high)))
    return _of_networks(1 - convex.mean(axis=(-2, -1)), surface)


def flatness(surface: np.ndarray, level: float) -> np.ndarray:
    """The share of points at which surfaces [..., points, points] are below a level; NaN as for `roughness`."""
    return _of_networks((surface < level).mean(axis=(-2, -1)), surface)


def _of_networks(values: np.ndarray, surface: np.ndarray) -> np.ndarray:
    middle = surface.shape[-1] // 2
    return np.where(np.isfinite(surface[..., middle, middle]), values, np.nan)


def _claims(arrays) -> dict[str, bool]:
    """A median of NaN, where a training diverged, makes every comparison with it False."""
    (rough, plain), (flat, flat_plain) = ((x[1], x[0]) for x in (np.median(arrays[n], -1) for n in ("rough", "flat")))
    depths, widths = arrays["depths"], arrays["widths"]
    deepest = int(np.argmax(depths))  # the first one, of the first width
    found = {
        "The deepest network has a rougher surface without shortcuts than with them": bool(
            plain[deepest] > rough[deepest]
        ),
        "Its region of low loss is larger with shortcuts": bool(flat[deepest] > flat_plain[deepest]),
    }
    if deepest:
        found["Without shortcuts the surface gets rougher with depth"] = bool(plain[deepest] > plain[0])
    if widths[-1] > widths[0]:
        found["With shortcuts the widest network has a larger region of low loss than the narrowest"] = bool(
            flat[-1] > flat[deepest]
        )
        found["Without shortcuts, too, the widest network has a larger one"] = bool(
            flat_plain[-1] > flat_plain[deepest]
        )
    return found


def _plot(study: Study) -> Any:
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    columns = len(arrays["depths"])
    figure = Figure(figsize=(10, 5.6), dpi=100, layout="constrained")
    grid = figure.subplots(2, columns, squeeze=False, sharex=True, sharey=True)
    shown, known = arrays["surface"][:, :, 0], np.isfinite(arrays["surface"][:, :, 0])
    low = max(shown[known].min(), 1e-3) if known.any() else 0.1
    high = max(np.percentile(shown[known], 99), 2 * low) if known.any() else 10.0
    levels, drawn = np.geomspace(low * 0.999, high * 1.001, 25), None
    for kind, axes_row in enumerate(grid):
        for network, axes in enumerate(axes_row):
            rough, flat = (np.median(arrays[name][kind, network]) for name in ("rough", "flat"))
            title = f"{KINDS[kind]}, {arrays['depths'][network]} layers, width {arrays['widths'][network]}"
            axes.set_title(f"{title}\nrough {rough:.0%}, flat {flat:.0%}", fontsize=8.5)
            axes.set_aspect("equal")
            if not known[kind, network].any():
                continue
            surface = np.clip(np.nan_to_num(shown[kind, network], nan=high, posinf=high), low, high)
            drawn = axes.contourf(arrays["at"], arrays["at"], surface, levels=levels, cmap="viridis", norm=LogNorm())
            for lines, look in (
                (levels[::3], {"colors": "white", "linewidths": 0.4}),
                (np.array([settings["level"]]), {"colors": "#c2820a"}),
            ):
                crossed = lines[(lines > surface.min()) & (lines < surface.max())]
                if len(crossed):
                    axes.contour(arrays["at"], arrays["at"], surface, levels=crossed, **look)
            axes.plot(0, 0, "+", color="white")
    for axes in grid[-1]:
        axes.set_xlabel("first direction", fontsize=8.5)
    for axes in grid[:, 0]:
        axes.set_ylabel("second direction", fontsize=8.5)
    if drawn is not None:
        ticks = [tick for tick in (0.001, 0.01, 0.1, 1, 10, 100, 1000) if levels[0] < tick < levels[-1]]
        bar = figure.colorbar(drawn, ax=grid, label="training loss", ticks=ticks)
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.ax.minorticks_off()
    drawn_of = f", first of {settings['draws']} draws, medians of shares" if settings["draws"] > 1 else ""
    told = "{images} images, {steps} steps; orange: loss of {level:g}".format(**settings) + drawn_of
    figure.suptitle(f"The loss around networks with and without shortcuts: {told}", fontsize=11)
    return figure

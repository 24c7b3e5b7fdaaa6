"""Depth, width and filter size traded for each other at the same multiply-adds, counted and timed."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.analysis.cost import count
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.study import Study
from kerascnn.studies.trials import (
    Draws,
    Trainer,
    ascending,
    divided,
    fingerprint,
    measure_both,
    processor_seconds,
    step_down,
)

L = keras.layers
_MEASURES = ("loss", "accuracy", "held_loss", "held_accuracy", "forward_seconds", "step_seconds")


@dataclasses.dataclass(frozen=True)
class Variant:
    """One network: two stages of like convolutions."""

    depth: int  # convolutions of each stage
    kernel: int  # their size
    delayed: bool = False  # the pooling between the stages has stride 1, the convolution after it stride 2
    widths: tuple[int, int] = (0, 0)  # channels of the stages

    @property
    def name(self) -> str:
        """ "3 of 5x5", "2 of 3x3 delayed"."""
        return f"{self.depth} of {self.kernel}x{self.kernel}{' delayed' if self.delayed else ''}"


def constrained_cost(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    depths: Sequence[int] = (1, 2, 3, 6, 12),
    kernels: Sequence[int] = (5, 7),
    width: int = 32,
    stem: int = 8,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 0.02,
    draws: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains plain networks that share a number of multiply-adds between depth, width and filter size.

    A stem of stride 2, then two stages of convolutions with a ReLU each, 2x2 max pooling between them, the mean over
    all positions, the classifier; no batch norm and no shortcuts, as in the source. The base has the least depth, 3x3
    filters, and stages of `width` and twice as many channels. The others have more layers, larger filters, or a delayed
    subsampling: at the middle depth the pooling has stride 1 and the convolution after it stride 2, which costs the
    same. Their widths are solved: that of the first stage for its own cost, that of the second for the whole network's.
    Momentum 0.9, the rate divided by ten after three quarters of the steps.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        depths: ascending, convolutions of each stage.
        kernels: ascending, odd sizes of larger filters, each at the least depth.
        width: channels of the base's first stage.
        stem: channels of the first convolution, which is the same in all networks.
        steps: of each training, at least 2.
        batch_size: images of a step.
        learning_rate: of the first steps.
        draws: networks of each kind, of other initial weights and orders; medians are told.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with, for each network (the depths with 3x3 filters, the larger filters, the delayed one): `networks`,
        their names; `depths`, `kernels`, `widths` [networks, 2]; `macs` of one image and `params`, trainable ones, as
        `kerascnn.analysis.count` counts them; float64 [networks, draws]: `loss`, `accuracy`, `held_loss`,
        `held_accuracy`, of the training images as at inference, and of the held out ones; `forward_seconds` and
        `step_seconds`, medians of the processor time of a batch at inference and in training. That is the time of all
        threads of this process, which other programs hardly change; it leaves out what a GPU does.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: He, Sun: Convolutional Neural Networks at Constrained Time Cost, 2015, arXiv:1412.1710, section 3.

    Example:

        found = kerascnn.studies.constrained_cost(images, labels, depths=(1, 2), kernels=(5,), steps=200, draws=1)
        print(found.arrays["networks"], found.arrays["macs"], found.arrays["held_accuracy"][:, 0])
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    depths = ascending("depths", depths, lambda depth: _check.whole("depths", depth, 1, 1000))
    kernels = ascending("kernels", kernels, lambda kernel: _check.whole("kernels", kernel, 5, 101))
    if any(kernel % 2 == 0 for kernel in kernels):
        raise _check.refuse("kernels", "odd", kernels)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "depths": depths, "kernels": kernels,
        "width": _check.whole("width", width, 1, 4096), "stem": _check.whole("stem", stem, 1, 4096),
        "steps": _check.whole("steps", steps, 2),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    compared = variants(examples.shape, examples.classes, depths, kernels, width, stem)
    trials = [(variant, draw) for variant in compared for draw in range(draws)]

    def row(number: int) -> np.ndarray:
        variant, draw = trials[number]
        model = network(examples.shape, examples.classes, Draws(seed, draw), variant, stem)
        rate = step_down(learning_rate, steps)
        trainer = Trainer(model, examples, keras.optimizers.SGD(rate, momentum=0.9), batch_size, seed=seed + draw)
        ends = []  # of steps; the first one, which is compiled, does not count
        trainer.steps(steps, lambda _: ends.append(time.process_time()))
        return np.array([
            *measure_both(model, examples),
            processor_seconds(model, examples.images[:batch_size]),
            np.median(np.diff(ends)) if len(ends) > 1 else np.nan,
        ])  # fmt: skip

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    costs = [count(network(examples.shape, examples.classes, Draws(seed), variant, stem)) for variant in compared]
    arrays = {
        "networks": np.array([x.name for x in compared]), "depths": np.array([x.depth for x in compared]),
        "kernels": np.array([x.kernel for x in compared]), "widths": np.array([x.widths for x in compared]),
        "macs": np.array([x.macs for x in costs]), "params": np.array([x.params_trainable for x in costs]),
    }  # fmt: skip
    parts = np.moveaxis(rows.reshape(len(compared), draws, len(_MEASURES)), -1, 0)
    arrays.update(zip(_MEASURES, parts, strict=True))
    return Study("constrained_cost", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def multiply_adds(shape: tuple[int, ...], classes: int, variant: Variant, stem: int) -> tuple[int, int]:
    """(of the first stage, of the whole network) for one image."""
    sizes, stages, channels = [-(-size // 2) for size in shape[:2]], [], stem
    first = sizes[0] * sizes[1] * 9 * shape[2] * stem
    for width in variant.widths:
        taps = channels * width + (variant.depth - 1) * width**2
        stages.append(sizes[0] * sizes[1] * variant.kernel**2 * taps)
        sizes, channels = [-(-size // 2) for size in sizes], width
    return stages[0], first + sum(stages) + channels * classes


def variants(
    shape: tuple[int, ...], classes: int, depths: Sequence[int], kernels: Sequence[int], width: int, stem: int
) -> list[Variant]:
    """Networks that cost nearly what the first one does: all depths, the larger filters, the delayed subsampling."""
    base = Variant(depths[0], 3, widths=(width, 2 * width))
    others = [Variant(depth, 3) for depth in depths[1:]] + [Variant(depths[0], kernel) for kernel in kernels]
    others.append(Variant(depths[len(depths) // 2], 3, delayed=True))
    return [base, *(_solved(variant, shape, classes, base, stem) for variant in others)]


def _solved(variant: Variant, shape: tuple[int, ...], classes: int, base: Variant, stem: int) -> Variant:
    """The variant with the widths for which it costs what the base does."""

    def cost(*widths: int) -> tuple[int, int]:
        return multiply_adds(shape, classes, dataclasses.replace(variant, widths=widths), stem)

    stage, whole = multiply_adds(shape, classes, base, stem)
    first = _nearest(lambda width: cost(width, 1)[0], stage)
    return dataclasses.replace(variant, widths=(first, _nearest(lambda width: cost(first, width)[1], whole)))


def _nearest(cost: Callable[[int], int], wanted: int) -> int:
    """The number, at least 1, whose cost, which rises with it, is next to what is wanted."""
    number = 1
    while cost(number) < wanted:
        number += 1
    return min((max(1, number - 1), number), key=lambda n: abs(cost(n) - wanted))


def network(shape: tuple[int, ...], classes: int, draws: Draws, variant: Variant, stem: int) -> keras.Model:
    """Images -> logits; layers are called stem, stage1_conv1, ..., pool, stage2_conv1, ..., classifier."""
    x = inputs = keras.Input(shape, name="image")
    x = _conv(x, stem, 3, 2, draws, "stem")
    for stage, width in enumerate(variant.widths, 1):
        if stage == 2:
            x = L.MaxPooling2D(2, 1 if variant.delayed else 2, padding="same", name="pool")(x)
        for number in range(1, variant.depth + 1):
            stride = 2 if variant.delayed and (stage, number) == (2, 1) else 1
            x = _conv(x, width, variant.kernel, stride, draws, f"stage{stage}_conv{number}")
    x = L.GlobalAveragePooling2D(name="mean")(x)
    logits = L.Dense(classes, kernel_initializer=draws.he(), name="classifier")(x)
    return keras.Model(inputs, logits, name="plain_" + variant.name.replace(" ", "_"))


def _conv(x, width: int, kernel: int, stride: int, draws: Draws, name: str):
    options = {"strides": stride, "padding": "same", "kernel_initializer": draws.he()}
    return L.ReLU(name=f"{name}_relu")(L.Conv2D(width, kernel, name=name, **options)(x))


def _claims(arrays) -> dict[str, bool]:
    error = 1 - np.median(arrays["held_accuracy"], axis=-1)
    depths, kernels = arrays["depths"][:-1], arrays["kernels"][:-1]  # the last one is the delayed one
    series = error[:-1][kernels == 3]
    alike = {int(depth): value for depth, value in zip(depths[kernels == 3], series, strict=True)}
    claims = {}
    if len(series) > 1:
        claims["At the same cost the best network is not the shallowest"] = bool(series.argmin() > 0)
        claims["Depth can be overdone: the deepest is worse than the best"] = bool(series[-1] > series.min())
    for depth, kernel, value in zip(depths, kernels, error[:-1], strict=True):
        several = int(depth * (kernel - 1) // 2)  # of 3x3, with the same receptive field
        if kernel > 3 and several in alike:
            told = f"{several} layers of 3x3 are ahead of {depth} of {kernel}x{kernel} at the same cost"
            claims[told] = bool(alike[several] < value)
    claims["Delayed subsampling lowers the held-out error"] = bool(error[-1] < alike[int(arrays["depths"][-1])])
    return claims


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    depths, kernels = (len(settings[name]) for name in ("depths", "kernels"))
    looks = [("#440154", "o")] * depths + [("#c2820a", "s")] * kernels + [("#21918c", "^")]
    names = [str(name).replace(" of ", "\nof ").replace(" delayed", "\ndelayed") for name in arrays["networks"]]
    places = np.arange(len(names)) + 0.6 * (np.arange(len(names)) >= depths)
    figure = Figure(figsize=(10, 7.2), dpi=100, layout="constrained")
    grid = figure.subplots(2, 2).ravel()
    panels = ((100 * (1 - arrays["held_accuracy"]), "held-out error, %"), (arrays["loss"], "training loss"))
    for axes, (values, label) in zip(grid, panels, strict=False):
        for place, row, (color, marker) in zip(places, values, looks, strict=True):
            axes.plot(np.full(len(row), place), row, marker, color=color, alpha=0.6, markersize=5)
            axes.hlines(np.median(row), place - 0.3, place + 0.3, color=color, linewidth=2)
        axes.set(ylabel=label)
    bars = grid[2].bar(places, arrays["macs"] / 1e6, color=[color for color, _ in looks], width=0.7)
    grid[2].bar_label(bars, [f"{a}, {b}" for a, b in arrays["widths"]], fontsize=8)
    grid[2].set(ylabel="multiply-adds of an image, millions\n(above: channels of both stages)")
    times = (("forward_seconds", "forward", "white"), ("step_seconds", "training step", "0.35"))
    for shift, (name, told, color) in zip((-0.2, 0.2), times, strict=True):
        seconds = 1000 * np.median(arrays[name], axis=-1)
        bars = grid[3].bar(places + shift, seconds, 0.4, color=color, edgecolor="0.2", label=told)
        grid[3].bar_label(bars, fmt="{:.0f}", fontsize=7)
    grid[3].set(ylabel=f"processor time of {settings['batch_size']} images, ms")
    grid[3].legend(fontsize=8, ncols=2, loc="upper center")
    for axes in grid:
        axes.set_xticks(places, names, fontsize=8)
        axes.margins(y=0.15)
        axes.grid(alpha=0.3, axis="y")
    told = "{images} images, {steps} steps of {batch_size}, {draws} draws (bars: medians)".format(**settings)
    figure.suptitle(f"The same cost: layers of each stage and their size; {told}", fontsize=11)
    return figure

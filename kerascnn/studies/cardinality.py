"""More groups of fewer channels at the same cost, against deeper and wider networks whose blocks cost twice that."""

import dataclasses
import math
import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.analysis.cost import count
from kerascnn.layers.conv2d import Conv2D
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, fingerprint, measure_both, step_down

L = keras.layers
STAGES = 3
_MEASURES = ("loss", "accuracy", "held_loss", "held_accuracy")


@dataclasses.dataclass(frozen=True)
class Variant:
    """One network of the comparison."""

    kind: str  # "same cost", "deeper", "wider", "more groups"
    cardinality: int  # groups of the 3x3 convolutions
    widths: tuple[int, ...]  # channels of a group, by stage
    blocks: int  # in each stage

    @property
    def name(self) -> str:
        """As the paper writes it, of the first stage: "8x4d"."""
        return f"{self.cardinality}x{self.widths[0]}d"


def cardinality(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    cardinalities: Sequence[int] = (1, 2, 4, 16),
    width: int = 16,
    blocks: int = 1,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 0.1,
    draws: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains residual bottlenecks whose 3x3 convolution has rising numbers of groups, at the same cost, and others with
    twice the cost.

    A block reduces F channels to C groups of d by a 1x1 convolution, convolves each group, and leads back to F: it has
    C (2 F d + 9 d^2) weights. For each cardinality C the width d of a group is the whole number that comes next to the
    weights of the block with one group of F / 4, in each stage. Networks whose blocks cost twice as much have one group
    and twice the blocks ("deeper"), one wider group ("wider"), or twice the groups of the first and of the last network
    of the same cost ("more groups"). Between the three stages, 2x2 average pooling and a 1x1 convolution double F, so
    that all blocks of a stage are alike; all networks share their cost. Batch norm after each convolution, momentum
    0.9, weight decay 0.0001, the rate divided by ten after three quarters of the steps.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        cardinalities: ascending, from 1, at least two.
        width: of the one group of the first stage; F is 4, 8 and 16 times as much in the stages.
        blocks: in each stage; the deeper network has twice as many.
        steps: of each training.
        batch_size: images of a step.
        learning_rate: of the first steps.
        draws: networks of each kind, of other initial weights and orders; medians are told.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with, for each network (first those of the same cost, then deeper, wider, twice the groups of the
        first and of the last): `networks`, names as the paper writes them, groups x channels of a group in the first
        stage; `cardinality`, `group_widths` [networks, stages] and `blocks`; `params`, trainable ones, and `macs` of
        one image, as `kerascnn.analysis.count` counts them; `loss`, `accuracy`, `held_loss`, `held_accuracy`, float64
        [networks, draws]: of the training images as at inference, and of the held out ones.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Xie, Girshick, Dollár, Tu, He: Aggregated Residual Transformations for Deep Neural Networks, 2016,
    arXiv:1611.05431, section 5.1, tables 3 and 4.

    Example:

        found = kerascnn.studies.cardinality(images, labels, cardinalities=(1, 4), steps=200, draws=1)
        print(dict(zip(found.arrays["networks"], found.arrays["held_accuracy"][:, 0])))
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    cardinalities = ascending("cardinalities", cardinalities, lambda c: _check.whole("cardinalities", c, 1, 1024))
    if cardinalities[0] != 1 or len(cardinalities) < 2:
        raise _check.refuse("cardinalities", "ascending from 1, at least two", cardinalities)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "cardinalities": cardinalities,
        "width": _check.whole("width", width, 2, 1024), "blocks": _check.whole("blocks", blocks, 1, 100),
        "steps": _check.whole("steps", steps, 1),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    compared = variants(cardinalities, width, blocks)
    trials = [(variant, draw) for variant in compared for draw in range(draws)]

    def row(number: int) -> np.ndarray:
        variant, draw = trials[number]
        model = network(examples.shape, examples.classes, Draws(seed, draw), variant, width)
        rate = step_down(learning_rate, steps)
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=1e-4)
        Trainer(model, examples, optimizer, batch_size, seed=seed + draw).steps(steps)
        return np.array(measure_both(model, examples))

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    costs = [count(network(examples.shape, examples.classes, Draws(seed), x, width)) for x in compared]
    arrays = {
        "networks": np.array([x.name for x in compared]), "cardinality": np.array([x.cardinality for x in compared]),
        "group_widths": np.array([x.widths for x in compared]), "blocks": np.array([x.blocks for x in compared]),
        "params": np.array([x.params_trainable for x in costs]), "macs": np.array([x.macs for x in costs]),
    }  # fmt: skip
    parts = np.moveaxis(rows.reshape(len(compared), draws, len(_MEASURES)), -1, 0)
    arrays.update(zip(_MEASURES, parts, strict=True))
    return Study("cardinality", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def block_weights(cardinality: int, width: int, channels: int) -> int:
    """Of a block's three convolutions, F -> F; its multiply-adds at each position, too."""
    return cardinality * (2 * channels * width + 9 * width**2)


def group_width(cardinality: int, channels: int, weights: int) -> int:
    """The width of a group, at least 1, with which a block has nearly so many weights."""
    half = channels / 9  # of the quadratic equation C (2 F d + 9 d^2) = weights
    exact = math.sqrt(half**2 + weights / (9 * cardinality)) - half
    near = (max(1, math.floor(exact)), max(1, math.ceil(exact)))
    return min(near, key=lambda width: abs(block_weights(cardinality, width, channels) - weights))


def variants(cardinalities: Sequence[int], width: int, blocks: int) -> list[Variant]:
    """The networks of the same cost, then the four of twice the cost: deeper, wider, more groups twice."""
    channels = [4 * width * 2**stage for stage in range(STAGES)]

    def like(groups: int, times: int) -> tuple[int, ...]:
        """Widths with which blocks of so many groups cost so many times what the first network's do."""
        return tuple(group_width(groups, f, times * block_weights(1, f // 4, f)) for f in channels)

    same = [Variant("same cost", groups, like(groups, 1), blocks) for groups in cardinalities]
    deeper, wider = Variant("deeper", 1, same[0].widths, 2 * blocks), Variant("wider", 1, like(1, 2), blocks)
    more = [Variant("more groups", 2 * of.cardinality, of.widths, blocks) for of in (same[0], same[-1])]
    return [*same, deeper, wider, *more]


def network(shape: tuple[int, ...], classes: int, draws: Draws, variant: Variant, width: int) -> keras.Model:
    """Images -> logits: a stem of stride 2, three stages of bottlenecks with transitions between them."""
    x = inputs = keras.Input(shape, name="image")
    x = L.ReLU(name="stem_relu")(_conv(x, 4 * width, 3, 2, 1, draws, "stem"))
    for stage, group in enumerate(variant.widths):
        channels, inner, groups = 4 * width * 2**stage, variant.cardinality * group, variant.cardinality
        if stage:
            x = L.AveragePooling2D(2, padding="same", name=f"pool{stage}")(x)
            x = L.ReLU(name=f"transition{stage}_relu")(_conv(x, channels, 1, 1, 1, draws, f"transition{stage}"))
        for block in range(variant.blocks):
            name = f"stage{stage + 1}_block{block + 1}"
            y = L.ReLU(name=f"{name}_relu1")(_conv(x, inner, 1, 1, 1, draws, f"{name}_conv1"))
            y = L.ReLU(name=f"{name}_relu2")(_conv(y, inner, 3, 1, groups, draws, f"{name}_conv2"))
            y = _conv(y, channels, 1, 1, 1, draws, f"{name}_conv3")
            x = L.ReLU(name=f"{name}_relu3")(L.Add(name=f"{name}_add")([x, y]))
    x = L.GlobalAveragePooling2D(name="mean")(x)
    logits = L.Dense(classes, kernel_initializer=draws.he(), name="classifier")(x)
    return keras.Model(inputs, logits, name=f"resnext_{variant.name}")


def _conv(x, width: int, kernel: int, stride: int, groups: int, draws: Draws, name: str):
    options = {"strides": stride, "padding": "same", "use_bias": False, "kernel_initializer": draws.he()}
    x = Conv2D(width, kernel, groups=groups, name=name, **options)(x)
    return L.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)


def _claims(arrays) -> dict[str, bool]:
    error = 1 - np.median(arrays["held_accuracy"], axis=-1)
    loss = np.median(np.nan_to_num(arrays["loss"], nan=np.inf), axis=-1)
    same, (deeper, wider), more = error[:-4], error[-4:-2], error[-2:]
    return {
        "At the same cost the held-out error falls with each higher cardinality": bool((np.diff(same) < 0).all()),
        "At the same cost the highest cardinality has a lower held-out error than one group": bool(same[-1] < same[0]),
        "At the same cost the highest cardinality has a lower training loss, too": bool(loss[len(same) - 1] < loss[0]),
        "At twice the cost more groups have a lower held-out error than more layers": bool(more.max() < deeper),
        "At twice the cost more groups have a lower held-out error than wider ones": bool(more.max() < wider),
        "The highest cardinality has a lower held-out error than twice the layers, at half the cost": bool(
            same[-1] < deeper
        ),
    }


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    same = len(settings["cardinalities"])
    told = [""] * same + ["\ndeeper", "\nwider", "\ngroups", "\ngroups"]
    looks = [("#440154", "o")] * same + [("#c2820a", "s"), ("#35b779", "D")] + [("#21918c", "^")] * 2
    names = [f"{name}{more}" for name, more in zip(arrays["networks"], told, strict=True)]
    places = np.arange(len(names)) + 0.6 * (np.arange(len(names)) >= same)  # a gap between the two costs
    figure = Figure(figsize=(10, 7), dpi=100, layout="constrained")
    grid = figure.subplots(2, 2).ravel()
    panels = ((100 * (1 - arrays["held_accuracy"]), "held-out error, %"), (arrays["loss"], "training loss"))
    for axes, (values, label) in zip(grid, panels, strict=False):
        for place, row, (color, marker) in zip(places, values, looks, strict=True):
            axes.plot(np.full(len(row), place), row, marker, color=color, alpha=0.6, markersize=5)
            axes.hlines(np.median(row), place - 0.3, place + 0.3, color=color, linewidth=2)
        axes.set(ylabel=label)
    for axes, name, unit, label in (
        (grid[2], "macs", 1e6, "multiply-adds of an image, millions"),
        (grid[3], "params", 1e3, "trainable parameters, thousands"),
    ):
        bars = axes.bar(places, arrays[name] / unit, color=[color for color, _ in looks], width=0.7)
        axes.bar_label(bars, fmt="{:.3g}", fontsize=8)
        axes.set(ylabel=label)
        axes.margins(y=0.12)
    for axes in grid:
        axes.set_xticks(places, names, fontsize=8)
        axes.set_xlabel("left: the same cost; right: blocks of twice the cost")
        axes.grid(alpha=0.3, axis="y")
    told = "{images} images, {steps} steps of {batch_size}, {draws} draws (bars: medians)".format(**settings)
    figure.suptitle(f"Cardinality: groups x channels of a group; {told}", fontsize=11)
    return figure

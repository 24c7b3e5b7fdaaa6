"""Stacks of 3x3 convolutions against single larger ones that see as much."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, fingerprint, measure_both, step_down
from kerascnn.surgery.fields import receptive_field

KINDS = ("stack", "single")
L = keras.layers


def kernel_stacks(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    sizes: Sequence[int] = (5, 7),
    width: int = 16,
    stages: int = 2,
    steps: int = 600,
    batch_size: int = 64,
    learning_rate: float = 0.02,
    draws: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains networks of 3x3 convolutions in stacks, and the same with one larger convolution in each stack's place.

    Two 3x3 convolutions see 5x5 pixels and three see 7x7, with fewer weights and more ReLUs. The networks: a 3x3
    convolution of stride 2, stages of one stack or one large convolution, max pooling between stages, the mean over all
    positions, a classifier; all of one width, with ReLUs and biases, without batch norm. They are trained as in the
    source, by momentum 0.9 and weight decay 0.0005, the rate divided by ten after three quarters of the steps.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        sizes: of the single kernels, odd, at least 5, ascending; a stack has (size - 1) / 2 convolutions.
        width: channels of all convolutions.
        stages: stacks, one after the other.
        steps: of each training.
        batch_size: images of a step.
        learning_rate: of the first steps.
        draws: networks of each kind and size, of other initial weights and orders; medians are told.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `sizes` [s]; whole numbers [s, kinds]: `weights` of one stack, or of the convolution in its
        place, biases not counted, `parameters` and `macs` of the network, multiply-adds for one image, `field`, the
        pixels on a side of what a position of its last map sees; `loss`, `accuracy`, `held_loss`, `held_accuracy`,
        float64 [s, kinds, draws]: of the training images, and of the held out ones; kinds are stack, single.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014,
    arXiv:1409.1556, section 2.3; the accuracy: section 4.1.

    Example:

        found = kerascnn.studies.kernel_stacks(images, labels, sizes=(5,), steps=200, draws=1)
        print(found.arrays["held_accuracy"], found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    sizes = ascending("sizes", sizes, lambda size: _check.whole("sizes", size, 5, 99))
    if any(size % 2 == 0 for size in sizes):
        raise _check.refuse("sizes", "odd, as those of stacks of 3x3 are", sizes)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "sizes": sizes,
        "width": _check.whole("width", width, 1, 4096), "stages": _check.whole("stages", stages, 1, 8),
        "steps": _check.whole("steps", steps, 1),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    trials = [(size, kind, draw) for size in sizes for kind in KINDS for draw in range(draws)]

    def network(size: int, kind: str, draw: int) -> keras.Model:
        kernels = [3] * (size // 2) if kind == "stack" else [size]
        return stacked(examples.shape, examples.classes, Draws(seed, draw), kernels, width, stages)

    def row(number: int) -> np.ndarray:
        model, draw = network(*trials[number]), trials[number][-1]
        rate = step_down(learning_rate, steps)
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=5e-4)
        Trainer(model, examples, optimizer, batch_size, seed=seed + draw).steps(steps)
        return np.array(measure_both(model, examples))

    costs = np.array([[_costs(network(size, kind, 0)) for kind in KINDS] for size in sizes])
    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    arrays = {"sizes": np.array(sizes)}
    arrays.update(zip(("weights", "parameters", "macs", "field"), np.moveaxis(costs, -1, 0), strict=True))
    parts = np.moveaxis(rows.reshape(len(sizes), len(KINDS), draws, 4), -1, 0)
    arrays.update(zip(("loss", "accuracy", "held_loss", "held_accuracy"), parts, strict=True))
    return Study("kernel_stacks", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def stacked(
    shape: tuple[int, ...], classes: int, draws: Draws, kernels: Sequence[int], width: int, stages: int
) -> keras.Model:
    """Images -> logits; each stage has a convolution of each kernel size, see `kernel_stacks`."""

    def convolution(x, kernel: int, stride: int, name: str):
        options = {"padding": "same", "activation": "relu", "kernel_initializer": draws.he(), "name": name}
        return L.Conv2D(width, kernel, strides=stride, **options)(x)

    inputs = keras.Input(shape, name="image")
    x = convolution(inputs, 3, 2, "stem")
    for stage in range(1, stages + 1):
        if stage > 1:
            x = L.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
        for number, kernel in enumerate(kernels, 1):
            x = convolution(x, kernel, 1, f"stage{stage}_conv{number}")
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, L.Dense(classes, kernel_initializer=draws.he(), name="classifier")(x), name="stacked")


def _costs(model: keras.Model) -> tuple[int, int, int, int]:
    """(weights of the kernels of the first stage, parameters, multiply-adds, pixels of the field on a side)."""
    weights = macs = 0
    for layer in model.layers:
        if isinstance(layer, L.Conv2D | L.Dense):
            kernel = int(np.prod(layer.kernel.shape))
            macs += kernel * int(np.prod(layer.output.shape[1:-1]))  # each position meets the whole kernel once
            weights += kernel if layer.name.startswith("stage1_") else 0
    return weights, model.count_params(), macs, receptive_field(model).size[0]


def _claims(arrays: dict[str, np.ndarray]) -> dict[str, bool]:
    claims = {}
    failed = ~np.isfinite(arrays["held_loss"])
    accuracy = np.median(np.where(failed, 0.0, arrays["held_accuracy"]), axis=-1)
    for index, size in enumerate(arrays["sizes"].tolist()):
        stack, single = (f"{size // 2} convolutions of 3x3", f"one of {size}x{size}")
        (fewer, more), (less, most), (own, other) = (arrays[name][index] for name in ("weights", "macs", "field"))
        claims[f"{stack} see as many pixels as {single}"] = bool(own == other)
        told = f"They have fewer weights, {9 * (size // 2)} C^2 against {size**2} C^2, and multiply-adds than {single}"
        claims[told] = bool(fewer * size**2 == more * 9 * (size // 2) and fewer < more and less < most)
        learned = not np.median(failed[index, 0])  # a stack that has failed is as accurate as nothing
        claims[f"The network of {stack} is at least as accurate on held-out images as that of {single}"] = bool(
            learned and accuracy[index, 0] >= accuracy[index, 1]
        )
    return claims


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    figure = Figure(figsize=(10, 4.4), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    looks = (("#440154", "o", -0.18, ""), ("#c2820a", "s", 0.18, "//"))
    at = np.arange(len(arrays["sizes"]))
    for kind, (color, marker, shift, hatch) in enumerate(looks):
        label = ("stacks of 3x3", "single larger ones")[kind]
        for part, filled, beside in (("held_accuracy", True, -0.05), ("accuracy", False, 0.05)):
            values = 100 * arrays[part][:, kind]
            middle = np.median(values, axis=-1)
            spread = (middle - values.min(axis=-1), values.max(axis=-1) - middle)
            left.errorbar(
                at + shift + beside, middle, spread, fmt=marker, color=color, capsize=4,
                mfc=color if filled else "white", label=f"{label}, {'held out' if filled else 'training'}",
            )  # fmt: skip
        bars = right.bar(at + shift, arrays["weights"][:, kind], 0.34, color=color, hatch=hatch, edgecolor="white",
                         label=label)  # fmt: skip
        right.bar_label(bars, fontsize=9)
    for axes in (left, right):
        axes.set(xlim=(-0.6, len(at) - 0.4), xticks=at)
        axes.set_xticklabels([f"{size // 2} of 3x3\nor one of {size}x{size}" for size in arrays["sizes"]])
        axes.grid(alpha=0.3, axis="y")
    left.set_ylabel("accuracy, %")
    right.set_ylabel("weights of one stack or convolution")
    right.margins(y=0.15)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    told = "{width} channels, {images} images, {steps} steps, {draws} draws: medians and ranges".format(**settings)
    figure.suptitle(f"Stacks of 3x3 convolutions; {told}")
    return figure

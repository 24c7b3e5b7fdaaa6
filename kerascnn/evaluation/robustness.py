"""How a classifier bears common corruptions of its images: errors by corruption and severity, and their mean."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from kerascnn import _check, _figures, data
from kerascnn._errors import InputError
from kerascnn.data import corruptions
from kerascnn.data.epochs import finished
from kerascnn.data.preprocessing import change_channels, fit_image, normalize_image
from kerascnn.evaluation.drawing import without_formulas
from kerascnn.evaluation.measuring import evaluate
from kerascnn.evaluation.report import Report
from kerascnn.inference.predictor import Predictor
from kerascnn.inference.tta import MultiView

# Mean top-1 errors of AlexNet over the five severities of ImageNet-C, by which others' are divided there; from
# github.com/hendrycks/robustness (ImageNet-C/test.py).
ALEXNET = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "pixelate": 0.717840,
    "jpeg": 0.606500,
}


@dataclasses.dataclass(frozen=True)
class Robustness:
    """Top-1 errors under corruptions; made by `robustness`."""

    clean: float  # error on the images as they are
    errors: Mapping[str, tuple[float, ...]]  # of each corruption, one a severity
    severities: tuple[int, ...]
    examples: int
    seed: int

    @property
    def means(self) -> dict[str, float]:
        """The error under each corruption: the mean over its severities."""
        return {name: float(np.mean(values)) for name, values in self.errors.items()}

    @property
    def mean(self) -> float:
        """The mean of `means` over the corruptions: the mean corruption error, not divided by another network's."""
        return float(np.mean(list(self.means.values())))

    def relative(self, baseline: Mapping[str, float]) -> float | None:
        """The mean corruption error: the mean of the quotients of the errors and another network's.

        Args:
            baseline: corruption -> mean error of the other network: its `means`, or for ImageNet `ALEXNET`.

        Returns:
            1 for a network like the other; None where the two have no corruption in common.
        """
        both = [self.means[name] / baseline[name] for name in self.errors if baseline.get(name)]
        return float(np.mean(both)) if both else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "examples": self.examples,
            "seed": self.seed,
            "severities": list(self.severities),
            "clean_error": self.clean,
            "errors": {name: list(values) for name, values in self.errors.items()},
            "means": self.means,
            "mean_corruption_error": self.mean,
        }


def robustness(
    predictor: Predictor,
    source: data.Source,
    split: str = "test",
    *,
    corrupted_by: str = "all",
    severities: Sequence[int] = corruptions.SEVERITIES,
    batch_size: int = 128,
    seed: int = 0,
    measure: Callable[[tf.data.Dataset, str], Report] | None = None,
) -> Robustness:
    """Measures a classifier under common corruptions.

    Images are corrupted as the network sees them: fitted to its input, before they are normalized, in the channels that
    the data have.

    Args:
        predictor: a classifier that looks at one view of an image.
        source: the set.
        split: "train", "validation" or "test".
        corrupted_by: "all", or names of `data.corruptions.CORRUPTIONS` with commas between them.
        severities: some of 1 to 5.
        batch_size: images at a time.
        seed: what is random follows from it, the corruption, the severity and the number of the image.
        measure: is called with each dataset and its name in words, to show progress; by default `evaluate`.

    Returns:
        The errors.

    Raises:
        InputError: an argument cannot be used, or the network is not one of those.

    Source:
        Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, 2019,
        arXiv:1903.12261, section 4.

    Example:

        found = evaluation.robustness(predictor, data.load("digits"), corrupted_by="gaussian_noise,contrast")
        print(found.means, found.mean)
    """
    if predictor.task != "classification" or isinstance(predictor, MultiView):
        rule = "Corruptions are for classifiers that look at one view of an image"
        raise InputError(f"{rule}. Received: {type(predictor).__name__} for {predictor.task}")
    levels = tuple(_check.whole("severities", level, 1, 5) for level in severities)
    if not levels or len(set(levels)) < len(levels):
        raise _check.refuse("severities", "different numbers from 1 to 5", severities)
    _check.whole("batch_size", batch_size, 1)
    _check.whole("seed", seed, 0, 2**31 - 1)
    channels = min(source.image_shape[2], predictor.input_shape[2])
    names = corruptions.choose(corrupted_by, channels)
    ask = measure or (lambda dataset, _: evaluate(predictor, dataset))
    clean = ask(_dataset(predictor, source, split, batch_size, None), "clean")
    errors = {}
    for name in names:
        found = []
        for level in levels:
            dataset = _dataset(predictor, source, split, batch_size, (name, level, seed))
            found.append(1 - ask(dataset, f"{name} {level}").top1)
        errors[name] = tuple(found)
    return Robustness(1 - clean.top1, errors, levels, clean.examples, seed)


def _dataset(predictor, source, split, batch_size, corruption):
    """(image, label) batches, corrupted between fitting and normalizing."""
    height, width, outputs = predictor.input_shape
    channels = min(source.image_shape[2], outputs)

    def prepared(index, example):
        image, label = example
        image = fit_image(image, (height, width, channels), predictor.preprocessing)
        if corruption is not None:
            name, level, seed = corruption
            image = tf.numpy_function(
                lambda pixels, at: corruptions.corrupt(pixels, name, level, seed=seed, index=int(at)),
                [image, index], tf.uint8,
            )  # fmt: skip
            image = tf.ensure_shape(image, [height, width, channels])
        return normalize_image(change_channels(image, outputs), predictor.preprocessing), label

    examples = source.dataset(split).enumerate().map(prepared, tf.data.AUTOTUNE, deterministic=True)
    return finished(examples.batch(batch_size), -(-source.sizes[split] // batch_size))


def plot_robustness(found: Robustness, path: str | os.PathLike, title: str = "") -> None:
    """Writes a PNG: the error under each corruption, severity by severity, the worst corruption first.

    Args:
        found: of `robustness`.
        path: the PNG.
        title: above all.
    """
    names = sorted(found.errors, key=lambda name: -found.means[name])
    values = 100 * np.array([[*found.errors[name], found.means[name]] for name in names])
    columns = [f"severity {level}" for level in found.severities] + ["mean"]
    size = (1.9 + 0.95 * len(columns), 1.6 + 0.36 * len(names) + 0.3 * bool(title))
    figure = Figure(figsize=(max(size[0], 5.5), size[1]), dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="Reds", vmin=100 * min(found.clean, values.min() / 100), vmax=100, aspect="auto")
    axes.axvline(len(columns) - 1.5, color="white", linewidth=4)
    axes.set_xticks(range(len(columns)), columns, fontsize=9)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    for (row, column), value in np.ndenumerate(values):
        dark = image.norm(value) > 0.55
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=9, color="white" if dark else "black")
    axes.set_title(f"top-1 error, %: clean {found.clean:.2%}, mean under corruptions {found.mean:.2%}", fontsize=10)
    if title:
        figure.suptitle(title, fontsize=11)
    _figures.save(without_formulas(figure), path)


def plot_corruptions(
    image: np.ndarray, names: Sequence[str], path: str | os.PathLike, *, seed: int = 0, title: str = ""
) -> None:
    """Writes a PNG of what corruptions make of an image: one a row, first without, then by severity.

    Args:
        image: uint8 [height, width, 1 or 3].
        names: of `data.corruptions.CORRUPTIONS`, at least one.
        path: the PNG.
        seed: of what is random.
        title: above all.

    Raises:
        InputError: there is no such corruption, or the image has no such pixels.
    """
    if not names:
        raise InputError("There must be a corruption to draw. Received: none")
    columns = len(corruptions.SEVERITIES) + 1
    figure = Figure(figsize=(1.15 * columns + 1.2, 1.15 * len(names) + 0.5), dpi=110, layout="constrained")
    grid = figure.subplots(len(names), columns, squeeze=False)
    for name, row in zip(names, grid, strict=True):
        made = [image, *(corruptions.corrupt(image, name, level, seed=seed) for level in corruptions.SEVERITIES)]
        for axes, pixels in zip(row, made, strict=True):
            axes.imshow(np.broadcast_to(pixels, [*pixels.shape[:2], 3]), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center", fontsize=8)
    for axes, text in zip(grid[0], ("clean", *corruptions.SEVERITIES), strict=True):
        axes.set_title(str(text), fontsize=9)
    if title:
        figure.suptitle(title, fontsize=10)
    _figures.save(without_formulas(figure), path)

"""The loss around trained weights, along random directions that have each filter's norm."""

import hashlib
import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.prepared import prepared
from kerascnn.studies.examples import checked_examples
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.study import Study

_ROUNDING = 1e-6  # of the loss: a smaller fall on the way outwards is none


def landscape(
    model: keras.Model,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    points: int = 25,
    span: float = 1.0,
    dimensions: int = 2,
    seed: int = 0,
    batch_size: int = 250,
    folder: str | os.PathLike | None = None,
) -> Study:
    """The mean cross-entropy and the accuracy at weights + a d1 + b d2, for a and b from -span to span.

    Both directions are drawn from a normal distribution, and each filter of them (what makes one map, or one output of
    a dense layer) is scaled to the norm of the network's own, so that networks with large and small weights can be
    compared. Biases, scales and statistics of batch norms stay. The model is asked as at inference and keeps its
    weights.

    Args:
        model: a functional or built sequential classifier, images -> [n, classes].
        images: [n, height, width, channels], preprocessed as the model takes them.
        labels: classes [n].
        points: along each direction, odd, so that the network itself is one of them.
        span: how far to go, in norms of the filters.
        dimensions: 1 or 2.
        seed: of the directions.
        batch_size: images at a time.
        folder: where finished rows of the grid are kept. A call with the same arguments goes on where another was
            interrupted; several at a time, in as many processes or on machines that share the folder, share the work.

    Returns:
        A `Study` with `at`, float64 [points]; `loss` and `accuracy`, float64 [points, points], or [1, points] of one
        dimension: rows are of d2, columns of d1; `curvature` [dimensions], second differences of the loss in the
        middle.

    Raises:
        InputError: an argument cannot be used, or the folder is another landscape's.

    Source: Li, Xu, Taylor, Studer, Goldstein: Visualizing the Loss Landscape of Neural Nets, 2018, arXiv:1712.09913,
    section 4.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = kerascnn.studies.landscape(model, images, labels, points=11)
        print(found.arrays["loss"][5, 5], found.claims)
    """
    points = _check.whole("points", points, 3, 1001)
    if points % 2 == 0:
        raise _check.refuse("points", "odd, so that the network itself is one of them", points)
    span, dimensions = _check.real("span", span, 0.0, above=True), _check.whole("dimensions", dimensions, 1, 2)
    seed, batch_size = _check.whole("seed", seed, 0, 2**31 - 1), _check.whole("batch_size", batch_size, 1)
    start = time.perf_counter()
    surface = Surface(model, images, labels, batch_size)
    settings = {
        "model": model.name, "images": len(surface.images), "points": points, "span": span, "dimensions": dimensions,
        "seed": seed,
    }  # fmt: skip
    at = np.linspace(-span, span, points)
    at[points // 2] = 0.0
    directions = [surface.direction(np.random.default_rng((seed, number))) for number in range(dimensions)]
    heights = at if dimensions == 2 else np.zeros(1)

    def row(number: int) -> np.ndarray:
        steps = np.zeros((points, dimensions))
        steps[:, 0] = at
        steps[:, dimensions - 1] = heights[number] if dimensions == 2 else at
        return np.array([surface.measure(directions, step) for step in steps])

    rows = shared_rows(folder, len(heights), row, {**settings, "state": surface.fingerprint()})
    loss, accuracy = np.moveaxis(rows, -1, 0)
    arrays = {"at": at, "loss": loss, "accuracy": accuracy, "curvature": _curvature(loss, at)}
    claims = {
        "Nowhere around is the loss lower than at the trained weights": bool(loss.min() >= _middle(loss)),
        "It rises all the way outwards, in every direction": bool(_rises(loss)),
    }
    return Study("landscape", settings, arrays, claims, time.perf_counter() - start, _plot)


class Surface:
    """The loss of a network as a function of its kernels; nothing is ever written to them.

    Args:
        model: a classifier, see `landscape`.
        images: [n, height, width, channels].
        labels: classes [n].
        batch_size: images at a time.
    """

    def __init__(self, model: keras.Model, images: Any, labels: Any, batch_size: int):
        asked = prepared(model)
        self.images, self.labels = checked_examples(asked.network, images, labels)
        self._network, self._batch_size = asked.folded, batch_size
        self.kernels = [x for x in asked.network.variables if len(x.shape) > 1 and "float" in x.dtype]
        layers = asked.network._flatten_layers()
        self._depthwise = {id(x.kernel) for x in layers if isinstance(x, keras.layers.DepthwiseConv2D)}
        if not self.kernels:
            raise InputError(f"The model must have kernels. Received: {model.name} without")
        self._sums = tf.function(self._sums_of, reduce_retracing=True)

    def direction(self, random: np.random.Generator) -> list[np.ndarray]:
        """Random numbers of the shape of each kernel, each filter of the norm of the kernel's."""
        found = []
        for kernel in self.kernels:
            axes = (0, 1) if id(kernel) in self._depthwise else tuple(range(len(kernel.shape) - 1))
            value = kernel.numpy().astype("float64")
            found.append(normalized(random.standard_normal(value.shape), value, axes))
        return found

    def measure(self, directions: Sequence[Sequence[np.ndarray]], steps: np.ndarray) -> tuple[float, float]:
        """(mean cross-entropy, accuracy) at the weights plus `steps` times the directions."""
        moved = [
            tf.convert_to_tensor(sum(step * one for step, one in zip(steps, parts, strict=True)), kernel.dtype)
            for kernel, *parts in zip(self.kernels, *directions, strict=True)
        ]
        sums = np.zeros(2)
        for first in range(0, len(self.images), self._batch_size):
            part = slice(first, first + self._batch_size)
            sums += self._sums(moved, tf.constant(self.images[part]), tf.constant(self.labels[part])).numpy()
        return tuple(sums / len(self.images))

    def _sums_of(self, moved: list[tf.Tensor], images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        values = [(kernel, kernel + step) for kernel, step in zip(self.kernels, moved, strict=True)]
        with keras.StatelessScope(values):
            logits = tf.cast(self._network(images, training=False), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        right = tf.equal(tf.argmax(logits, axis=1), tf.cast(labels, tf.int64))
        return tf.stack([tf.reduce_sum(tf.cast(x, tf.float64)) for x in (losses, right)])

    def fingerprint(self) -> str:
        """Of the weights, the images and the labels."""
        found = hashlib.sha256()
        for value in (*(x.numpy() for x in self._network.variables), self.images, self.labels):
            found.update(np.ascontiguousarray(value))
        return found.hexdigest()[:16]


def normalized(direction: np.ndarray, kernel: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """A direction whose filters have the norms of the kernel's; a filter of zeros gets none.

    Args:
        direction: of the kernel's shape.
        kernel: what makes several outputs.
        axes: over which one output's part extends: all but the last; of a depthwise kernel the first two.
    """
    own, wanted = (np.sqrt(np.sum(x**2, axis=axes, keepdims=True)) for x in (direction, kernel))
    return direction * np.divide(wanted, own, out=np.zeros_like(own), where=own > 0)


def _middle(loss: np.ndarray) -> float:
    return float(loss[loss.shape[0] // 2, loss.shape[1] // 2])


def _curvature(loss: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Second differences in the middle, along each direction that there is."""
    row, column = loss[loss.shape[0] // 2], loss[:, loss.shape[1] // 2]
    step, found = at[1] - at[0], []
    for line in (row, column) if len(column) > 1 else (row,):
        middle = len(line) // 2
        found.append((line[middle - 1] - 2 * line[middle] + line[middle + 1]) / step**2)
    return np.array(found)


def _rises(loss: np.ndarray) -> bool:
    """Whether the loss falls nowhere on the straight lines from the middle to the border."""
    rows, columns = (size // 2 for size in loss.shape)
    steps = np.linspace(0, 1, columns + 1)
    border = [(r, c) for r in range(loss.shape[0]) for c in range(loss.shape[1])
              if r in (0, loss.shape[0] - 1) and rows or c in (0, loss.shape[1] - 1)]  # fmt: skip
    for r, c in border:
        places = np.rint([rows + steps * (r - rows), columns + steps * (c - columns)]).astype(int)
        line = loss[places[0], places[1]]
        if (np.diff(line) < -_ROUNDING * abs(line[:-1])).any():
            return False
    return True


def _plot(study: Study) -> Any:
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator

    at, loss, accuracy = (study.arrays[name] for name in ("at", "loss", "accuracy"))
    figure = Figure(figsize=(10, 4.4), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.get_layout_engine().set(wspace=0.08)
    middle = loss.shape[0] // 2
    if len(loss) > 1:
        shown_loss = np.maximum(loss, 1e-6)
        levels = np.geomspace(shown_loss.min() * 0.999, shown_loss.max() * 1.001, 25)
        shown = left.contourf(at, at, shown_loss, levels=levels, cmap="viridis", norm=LogNorm())
        left.contour(at, at, shown_loss, levels=levels[::2], colors="white", linewidths=0.5)
        left.plot(0, 0, "+", color="white", markersize=10)
        left.set(xlabel="along the first direction", ylabel="along the second", aspect="equal")
        left.xaxis.set_major_locator(MaxNLocator(5))
        ticks = LogLocator(10, (1, 2, 5)).tick_values(levels[0], levels[-1])
        bar = figure.colorbar(shown, ax=left, label="loss", ticks=ticks[(ticks >= levels[0]) & (ticks <= levels[-1])])
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.ax.minorticks_off()
        right.plot(at, loss[middle], color="#440154", label="the first direction")
        right.plot(at, loss[:, loss.shape[1] // 2], color="#35b779", label="the second direction")
    else:
        left.plot(at, 100 * accuracy[0], color="#440154")
        left.set(xlabel="along the direction", ylabel="accuracy, %", ylim=(0, 100))
        left.grid(alpha=0.3)
        right.plot(at, loss[0], color="#440154", label="the direction")
    right.set(xlabel="in norms of the filters", ylabel="loss", yscale="log")
    right.xaxis.set_major_locator(MaxNLocator(5))
    right.legend()
    right.grid(alpha=0.3)
    settings = study.settings
    figure.suptitle(f"{settings['model']}: the loss of {settings['images']} images around the trained weights")
    return figure

"""What a layer gives for images, and how much of it is zero."""

import dataclasses
import os
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.inner import asked, batches, probe, rectified
from kerascnn.explain.tiles import draw_tiles


@dataclasses.dataclass(frozen=True)
class Activations:
    """What a layer gives for each image."""

    maps: np.ndarray  # float32, as the layer gives it: [n, rows, columns, channels], [n, tokens, channels], [n, units]
    layer: str


@dataclasses.dataclass(frozen=True)
class ActivationStatistics:
    """Of each channel of a layer, over a set of images and all positions."""

    layer: str
    images: int  # how many were seen: a unit that is dead on them may live on others
    positions: int  # activations of each channel, images times positions
    zeros: np.ndarray  # int64 [channels]: how many of them are exactly 0
    largest: np.ndarray  # float64 [channels]: the largest absolute value
    sums: np.ndarray  # float64 [channels]: of the values
    absolute: np.ndarray  # float64 [channels]: of the absolute values
    squares: np.ndarray  # float64 [channels]: of the squares

    @property
    def zero_fraction(self) -> np.ndarray:
        """Part of each channel's activations that is exactly 0, float64 [channels]."""
        return self.zeros / self.positions

    @property
    def dead(self) -> np.ndarray:
        """Whether a channel is 0 for every image at every position, bool [channels]."""
        return self.largest == 0

    @property
    def hoyer(self) -> np.ndarray:
        """Hoyer's sparsity (sqrt(n) - |a|_1 / |a|_2) / (sqrt(n) - 1) of each channel's activations: 0 where all are
        alike, 1 where one alone is not 0; for activations that are seldom exactly 0, too. 1 for a dead channel.

        Source: Hoyer: Non-negative matrix factorization with sparseness constraints, JMLR 5, 2004.
        """
        root = np.sqrt(self.positions)
        if root == 1:
            return np.ones(len(self.zeros))
        norms = np.sqrt(self.squares)
        ratio = np.divide(self.absolute, norms, out=np.ones_like(norms), where=norms > 0)
        return (root - ratio) / (root - 1)

    @property
    def treves_rolls(self) -> np.ndarray:
        """Lifetime sparseness (sum a / n)^2 / (sum a^2 / n): 1 where all are alike, 1 / n where one is not 0.

        Source: Treves, Rolls: What determines the capacity of autoassociative memories in the brain?, 1991,
        doi.org/10.1088/0954-898X_2_4_004. NaN for a dead channel.
        """
        means = self.squares / self.positions
        out = np.full_like(means, np.nan)
        return np.divide((self.sums / self.positions) ** 2, means, out=out, where=means > 0)

    def __add__(self, other: "ActivationStatistics") -> "ActivationStatistics":
        """Of both sets of images together."""
        if self.layer != other.layer or self.zeros.shape != other.zeros.shape:
            raise InputError(f"Statistics must be of one layer. Received: {self.layer} and {other.layer}")
        added = ("images", "positions", "zeros", "sums", "absolute", "squares")
        sums = {name: getattr(self, name) + getattr(other, name) for name in added}
        return ActivationStatistics(self.layer, largest=np.maximum(self.largest, other.largest), **sums)


def activations(model: keras.Model, images: npt.ArrayLike, layer: str, *, batch_size: int = 32) -> Activations:
    """What a layer gives for images, at inference.

    Source: Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2013, arXiv:1311.2901, section 4.

    Args:
        model: a functional or built sequential model of one image [n, height, width, channels].
        images: a batch, preprocessed as the model takes it; or a stream of batches, see `activation_statistics`.
        layer: name of the layer. With `activation="relu"` in a layer its output is that after the ReLU.
        batch_size: images at a time.

    Returns:
        An `Activations`.

    Raises:
        InputError: an argument cannot be used.

    Example:

        model = kerascnn.create_model("lenet5")
        kerascnn.explain.activations(model, images, "c1").maps.shape  # (n, 28, 28, 6)
    """
    network = probe(model, [layer])
    parts = [asked(network, batch)[0] for batch in batches(network, images, batch_size)]
    return Activations(np.concatenate(parts), layer)


def activation_statistics(
    model: keras.Model, images: Any, layers: Any = None, *, batch_size: int = 32
) -> dict[str, ActivationStatistics]:
    """How sparse layers are over a set of images, and which of their channels are dead on it; nothing is kept of an
    image, so that the set may be of any size.

    Args:
        model: a functional or built sequential model of one image [n, height, width, channels].
        images: an array, preprocessed as the model takes it; or a stream of arrays, or of tuples that begin with one,
            as a `tf.data.Dataset` gives them.
        layers: names; None: every layer that ends in a ReLU.
        batch_size: images of an array at a time.

    Returns:
        `ActivationStatistics` by layer, in the order of the names.

    Raises:
        InputError: an argument cannot be used, or no layer is named and none ends in a ReLU.

    Example:

        model = kerascnn.create_model("alexnet", classes=10)
        found = kerascnn.explain.activation_statistics(model, images)
        {name: int(of.dead.sum()) for name, of in found.items()}
    """
    names = rectified(model) if layers is None else [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise InputError(f"layers must be named where no layer ends in a ReLU. Received: {model.name}, layers={layers}")
    network = probe(model, names)
    found: dict[str, ActivationStatistics] = {}
    for batch in batches(network, images, batch_size):
        for name, values in zip(names, asked(network, batch), strict=True):
            part = _statistics(name, len(batch), values)
            found[name] = found[name] + part if name in found else part
    return found


def draw_activations(
    found: Activations,
    path: str | os.PathLike,
    *,
    index: int = 0,
    count: int = 64,
    title: str = "",
) -> None:
    """Writes a PNG with the maps of a layer for one image, each from its own least value, dark, to its largest, bright.

    Above each map stand its number and its largest absolute value; a map of zeros is dark and says so.

    Args:
        found: of `activations`, of a layer that gives maps.
        path: the PNG.
        index: of the image.
        count: maps at most, the first ones.
        title: of the picture; "": the layer's name.

    Raises:
        InputError: the layer gives no maps, or an argument is out of range.
        OSError: the file cannot be written.
    """
    if not isinstance(found, Activations) or found.maps.ndim != 4:
        received = found.maps.shape if isinstance(found, Activations) else type(found).__name__
        raise InputError(f"found must be maps [n, rows, columns, channels] of activations. Received: {received}")
    index = _check.whole("index", index, 0, len(found.maps) - 1)
    shown = np.moveaxis(found.maps[index], -1, 0)[: _check.whole("count", count, 1)]
    largest = np.abs(shown).max(axis=(1, 2))
    labels = [f"{number}: {high:.2g}" if high else f"{number}: zero" for number, high in enumerate(largest)]
    zero = float((found.maps[index] == 0).mean())
    of = f"{len(shown)} of {found.maps.shape[-1]} maps" if len(shown) < found.maps.shape[-1] else f"{len(shown)} maps"
    rows, columns = shown.shape[1:]
    text = f"{title or found.layer}: {of} of {rows} × {columns}, {zero:.0%} zeros; each map by its own scale"
    draw_tiles(path, list(shown), title=text, labels=labels)


def _statistics(layer: str, images: int, values: np.ndarray) -> ActivationStatistics:
    flat = values.reshape(-1, values.shape[-1]).astype("float64")
    absolute = np.abs(flat)
    return ActivationStatistics(
        layer, images, len(flat), (flat == 0).sum(0), absolute.max(0), flat.sum(0), absolute.sum(0), (flat**2).sum(0)
    )

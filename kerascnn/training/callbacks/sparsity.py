"""How sparse a network becomes, and how many of its units die."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _figures
from kerascnn._errors import InputError
from kerascnn._files import atomic_write, ensure_folder
from kerascnn.explain import activation_statistics
from kerascnn.explain.inner import rectified

_COLUMNS = ("epoch", "layer", "zero_fraction", "dead", "channels", "images")
_SCALAR = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"}, data_class=1)  # 1: a scalar time series


class Sparsity(keras.callbacks.Callback):
    """After each epoch, the part of zeros and of dead channels of each layer that ends in a ReLU, over fixed images.

    Written are sparsity.csv, one row an epoch and layer, sparsity.png, and scalars for TensorBoard in
    tensorboard/sparsity, without it being installed. A run that is resumed goes on in the same files.

    A channel is dead where it is 0 for all of the images at all positions; other images may wake it. `kerascnn train
    --sparsity N` adds the callback by itself.

    Args:
        folder: where it writes; made where it is not there.
        images: float32 [n, height, width, channels], preprocessed as the model takes them, the same after each epoch.
        layers: names; None: every layer that ends in a ReLU.

    Raises:
        InputError: in `fit`: the model has no such layers, or does not take the images.
        OSError: a file cannot be written.

    Example:

        model.fit(images, labels, epochs=3, callbacks=[Sparsity("runs/a", images[:256])])
    """

    def __init__(self, folder: str | os.PathLike, images: Any, layers: Any = None):
        super().__init__()
        self._folder, self._images = Path(folder), images
        self._layers = [layers] if isinstance(layers, str) else layers
        self._rows: list[dict[str, Any]] = []
        self._names: list[str] = []
        self._writer: Any = None

    def on_train_begin(self, logs=None):
        self._names = rectified(self.model) if self._layers is None else list(self._layers)
        if not self._names:
            raise InputError(f"sparsity needs a network with layers that end in a ReLU. Received: {self.model.name}")
        ensure_folder(self._folder)

    def on_epoch_begin(self, epoch, logs=None):
        if not self._rows and epoch:
            self._rows = _read(self._folder / "sparsity.csv")
        self._rows = [row for row in self._rows if row["epoch"] <= epoch]

    def on_epoch_end(self, epoch, logs=None):
        for name, found in activation_statistics(self.model, self._images, self._names).items():
            zeros, dead = float(found.zero_fraction.mean()), int(found.dead.sum())
            values = (epoch + 1, name, zeros, dead, len(found.dead), found.images)
            self._rows.append(dict(zip(_COLUMNS, values, strict=True)))
        with atomic_write(self._folder / "sparsity.csv") as file:
            writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
        plot_sparsity(self._rows, self._folder / "sparsity.png")
        self._tell(epoch + 1)

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None  # a run may have several `fit`s

    def _tell(self, epoch):
        folder = self._folder / "tensorboard" / "sparsity"
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(folder))
            with self._writer.as_default():
                for row in (row for row in self._rows if row["epoch"] == epoch):
                    shares = {"zeros": row["zero_fraction"], "dead": row["dead"] / row["channels"]}
                    for name, value in shares.items():
                        tf.summary.write(f"{name}/{row['layer']}", tf.constant(value, tf.float32), epoch, _SCALAR)
            self._writer.flush()
        except tf.errors.OpError as error:
            raise OSError(f"TensorBoard logs cannot be written to {folder}: {error.message}") from error


def first_images(dataset: tf.data.Dataset, count: int) -> np.ndarray:
    """The first images of a dataset of batches (images, ...), as one array of at most `count`."""
    kept, wanted = [], count
    for images, *_ in dataset:
        kept.append(np.asarray(images)[:wanted])
        wanted -= len(kept[-1])
        if not wanted:
            break
    return np.concatenate(kept)


def plot_sparsity(rows: list[dict[str, Any]], path: str | os.PathLike) -> None:
    """Writes a PNG: by epoch the parts of zeros and of dead channels of each layer, the first dark, the last bright.

    Args:
        rows: of sparsity.csv, at least one.
        path: the PNG.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["layer"] for row in rows))
    figure = Figure(figsize=(10, 4.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    colors = colormaps["viridis"](np.linspace(0, 0.9, len(names)))
    for name, color in zip(names, colors, strict=True):
        own = [row for row in rows if row["layer"] == name]
        epochs = [row["epoch"] for row in own]
        left.plot(epochs, [100 * row["zero_fraction"] for row in own], color=color, marker=".", label=name)
        dead = [100 * row["dead"] / row["channels"] for row in own]
        right.plot(epochs, dead, color=color, marker=".", label=f"{name}: {own[-1]['dead']} of {own[-1]['channels']}")
    left.set_ylabel("zeros, % of activations")
    right.set_ylabel(f"dead channels on {rows[-1]['images']} images, %")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_ylim(-2, 102)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if len(names) <= 12:
            axes.legend(fontsize=7)
    if len(names) > 12:
        figure.suptitle(f"{len(names)} layers, from {names[0]} (dark) to {names[-1]} (bright)", fontsize=9)
    _figures.save(figure, path)


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows that an earlier start has written; none where it has not."""
    if not path.is_file():
        return []
    kinds = (int, str, float, int, int, int)
    try:
        rows = list(csv.reader(io.StringIO(path.read_text())))
        if tuple(rows[0]) != _COLUMNS:
            raise ValueError(f"columns {rows[0]}")
        return [{name: kind(cell) for name, kind, cell in zip(_COLUMNS, kinds, row, strict=True)} for row in rows[1:]]
    except (ValueError, IndexError) as error:
        raise InputError(f"sparsity.csv must be one that a run has written ({error}). Received: {path}") from error

"""The patches of a set of images that activate a unit most."""

import dataclasses
import os
from typing import Any

import keras
import numpy as np

from kerascnn import _check, surgery
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.explain.inner import asked, batches, constants_of, pixels, probe
from kerascnn.explain.tiles import draw_tiles

_FIRST = 16  # channels that are looked at where none are named


@dataclasses.dataclass(frozen=True)
class Patches:
    """For each of some channels of a layer, where in a set of images it was largest: at most one place an image."""

    values: np.ndarray  # float32 [channels, count]: the activations, the largest first
    images: np.ndarray  # int64 [channels, count]: the number of the image in the set
    positions: np.ndarray  # int64 [channels, count, 2]: row and column in the map; 0, 0 where there is no map
    # int64 [channels, count, 4]: first row, first column, last row, last column of the receptive field in pixels;
    # outside of the image where padding is seen
    fields: np.ndarray
    # float32 [channels, count, height, width, image channels]: the field as it was seen, preprocessed, NaN where there
    # is no image; not larger than the image
    patches: np.ndarray
    channels: tuple[int, ...]
    layer: str
    seen: int  # images of the set
    left_out: tuple[str, ...]  # layers whose gates see the whole image, which is not counted, see `receptive_field`
    preprocessing: Preprocessing | None  # what the pixels went through, where the model says it


def patches(
    model: keras.Model, images: Any, layer: str, *, channels: Any = None, count: int = 9, batch_size: int = 32
) -> Patches:
    """The images of a set, each with one place, where channels of a layer are largest, cut out by the receptive field.

    Fields are exact: each position's own, with the one-sided padding of "same" convolutions; nothing outside of it can
    change the activation, but for gates of squeeze-and-excitation, which `left_out` names. Of equal activations the
    first one counts, by image and by position. A channel that is 0 for every image shows the first images.

    Source: Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2013, arXiv:1311.2901, figure 2;
    Girshick et al. 2014, arXiv:1311.2524, section 3.1.

    Args:
        model: a functional or built sequential model of one image [n, height, width, channels].
        images: an array, preprocessed as the model takes it; or a stream of arrays of one size, or of tuples that begin
            with one, such as a `tf.data.Dataset`; it is gone through once.
        layer: name of a layer that gives a map [n, rows, columns, channels] or units [n, channels], whose field is the
            whole image. Before a ReLU other images may win than behind it.
        channels: numbers of the channels; None: the first 16.
        count: patches of each, at most one an image; fewer where there are fewer images.
        batch_size: images of an array at a time.

    Returns:
        A `Patches`.

    Raises:
        InputError: an argument cannot be used.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.patches(model, images, "c3", channels=[0, 5])
        found.patches.shape  # (2, 9, 14, 14, 1)
    """
    count = _check.whole("count", count, 1)
    network = probe(model, [layer])
    rank = len(network.outputs[0].shape)
    if rank not in (2, 4):
        raise InputError(f"layer must give a map or units. Received: layer={layer!r}, {network.outputs[0].shape}")
    numbers = _channels(channels, network.outputs[0].shape[-1])
    best = np.zeros((len(numbers), 0), _ENTRY)
    kept: dict[int, np.ndarray] = {}
    seen, shape, columns = 0, (), 1
    for batch in batches(network, images, batch_size):
        if seen and batch.shape[1:] != shape:
            raise InputError(f"images must all have one size. Received: {shape} and {batch.shape[1:]}")
        shape = batch.shape[1:]
        values = asked(network, batch)[0][..., list(numbers)]
        columns = values.shape[2] if rank == 4 else 1
        values = values.reshape(len(batch), -1, len(numbers))  # [n, places, channels]
        best = _merged(best, values, seen, count)
        wanted = set(np.unique(best["image"]).tolist())
        kept = {key: image for key, image in kept.items() if key in wanted}
        kept |= {seen + i: batch[i] for i in range(len(batch)) if seen + i in wanted}
        seen += len(batch)
    field, left_out = _fields(network, best["place"], columns, shape)
    cut = [[_cut(kept[i], box) for i, box in zip(*row, strict=True)] for row in zip(best["image"], field, strict=True)]
    positions = np.stack(np.divmod(best["place"], columns), axis=-1)
    return Patches(
        best["value"].copy(), best["image"].copy(), positions, field, _padded(cut), numbers, layer, seen, left_out,
        constants_of(model),
    )  # fmt: skip


def draw_patches(found: Patches, path: str | os.PathLike, *, title: str = "") -> None:
    """Writes a PNG: a row a channel, its patches from the largest activation to the smallest, with the activation and
    the image's number above each; gray where there is no image.

    Args:
        found: of `patches`.
        path: the PNG.
        title: "": the layer's name and the size of the field.

    Raises:
        InputError: `found` is something else, or images of it have neither 1 nor 3 channels.
        OSError: the file cannot be written.
    """
    if not isinstance(found, Patches):
        raise InputError(f"found must be what patches returns. Received: {type(found).__name__}")
    count = found.values.shape[1]
    flat = found.patches.reshape(-1, *found.patches.shape[2:])
    labels = [
        f"{channel}: {value:.3g}, #{image}" if index == 0 else f"{value:.3g}, #{image}"
        for channel, row, numbers in zip(found.channels, found.values, found.images, strict=True)
        for index, (value, image) in enumerate(zip(row, numbers, strict=True))
    ]
    height, width = found.patches.shape[2:4]
    what = f"{found.layer}: patches of {height} × {width} with the largest activations of a channel, a row each"
    draw_tiles(
        path, list(pixels(flat, found.preprocessing)), title=title or f"{what}, of {found.seen} images",
        labels=labels, columns=count,
    )  # fmt: skip


_ENTRY = np.dtype([("value", "float32"), ("image", "int64"), ("place", "int64")])


def _channels(channels: Any, total: int) -> tuple[int, ...]:
    if channels is None:
        return tuple(range(min(total, _FIRST)))
    given = [channels] if np.ndim(channels) == 0 else list(channels)
    if not given:
        raise _check.refuse("channels", "at least one number", channels)
    return tuple(_check.whole("channels", channel, 0, total - 1) for channel in given)


def _merged(best: np.ndarray, values: np.ndarray, first: int, count: int) -> np.ndarray:
    """The largest entries of each channel, of those that were and of a batch [n, places, channels]."""
    places = values.argmax(axis=1)  # [n, channels], the first of equal ones
    new = np.zeros(places.T.shape, _ENTRY)
    new["value"] = np.take_along_axis(values, places[:, None], axis=1)[:, 0].T
    new["image"] = first + np.arange(len(values))
    new["place"] = places.T
    every = np.concatenate([best, new], axis=1)  # ordered by image where values are equal: the sort is stable
    order = np.argsort(-every["value"], axis=1, kind="stable")[:, :count]
    return np.take_along_axis(every, order, axis=1)


def _fields(network: keras.Model, places: np.ndarray, columns: int, shape) -> tuple[np.ndarray, tuple[str, ...]]:
    """The field of each place, [channels, count, 4], and the gates that are left out."""
    if len(network.outputs[0].shape) == 2:
        return np.broadcast_to([0, 0, shape[0] - 1, shape[1] - 1], (*places.shape, 4)).astype("int64"), ()
    unique, back = np.unique(places, return_inverse=True)
    hulls = surgery.fields_at(network, [divmod(int(place), columns) for place in unique], tuple(shape))
    boxes = np.array([(rows[0], wide[0], rows[1], wide[1]) for rows, wide in hulls], "int64")
    return boxes[back].reshape(*places.shape, 4), surgery.receptive_field(network, tuple(shape)).left_out


def _cut(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The part of an image in a field, NaN outside of the image; the image's own side where the field is longer."""
    spans = []
    for first, last, size in ((box[0], box[2], image.shape[0]), (box[1], box[3], image.shape[1])):
        low, high = max(first, 0), min(last, size - 1) + 1
        start = 0 if last - first + 1 >= size else first
        spans.append((slice(low, high), slice(low - start, high - start), min(last - first + 1, size)))
    (rows, to_rows, height), (columns, to_columns, width) = spans
    patch = np.full((height, width, image.shape[2]), np.nan, "float32")
    patch[to_rows, to_columns] = image[rows, columns]
    return patch


def _padded(cut: list[list[np.ndarray]]) -> np.ndarray:
    """Patches as one array; where maps were enlarged fields may differ in size, and NaN follows the smaller ones."""
    sizes = {patch.shape for row in cut for patch in row}
    height, width, depth = (max(size[axis] for size in sizes) for axis in range(3))
    whole = np.full((len(cut), len(cut[0]), height, width, depth), np.nan, "float32")
    for i, row in enumerate(cut):
        for j, patch in enumerate(row):
            whole[i, j, : patch.shape[0], : patch.shape[1]] = patch
    return whole

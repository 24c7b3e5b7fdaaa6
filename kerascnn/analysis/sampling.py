"""Where deformable convolutions look: the sampling locations of one unit, and a picture of them."""

import numbers
import os
from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _figures
from kerascnn._errors import InputError
from kerascnn.layers import DeformableConv2D
from kerascnn.surgery.cut import input_in, output_in
from kerascnn.surgery.fields import receptive_field
from kerascnn.surgery.replace import check, over

_INCHES = 5  # of the longer side of a picture


def sampling_locations(
    model: keras.Model, image: npt.ArrayLike, position: Sequence[float], *, layers: int = 3
) -> np.ndarray:
    """The pixels that a unit of a deformable network samples through its last deformable convolutions.

    Each tap of the last deformable layer reads at a real-valued place, the unit there has taps of its own in the layer
    before, and so on: with 3x3 kernels 9 ** layers places (Dai et al. 2017, arXiv:1703.06211, figures 5 and 6, where
    three layers give 729). Offsets between units are interpolated bilinearly, and beyond the border those of the
    border count. Only the offsets of the first group of channels are followed. What lies between the layers (1x1
    convolutions, strides) keeps places in the middle of their receptive fields.

    Args:
        model: a functional `keras.Model` with `DeformableConv2D` layers, one behind the other.
        image: [height, width, channels], preprocessed as the model takes it.
        position: (row, column) in pixels; the unit is the one of the last deformable layer centered nearest to it.
        layers: how many deformable layers to go back.

    Returns:
        float32 [taps of the layers multiplied, 2]: (row, column) in pixels, which may lie outside the image.

    Raises:
        InputError: the model has fewer deformable layers, the image does not fit, or the position is not in it.
    """
    check(model)
    found = [layer for layer in model.layers if isinstance(layer, DeformableConv2D)]
    whole = isinstance(layers, int) and not isinstance(layers, bool)
    if not whole or not 1 <= layers <= len(found):
        raise InputError(
            f"layers must be from 1 to the number of deformable layers of {model.name}, {len(found)}. "
            f"Received: {layers!r}"
        )
    image = _array("image", image)
    if len(model.inputs) != 1:
        raise InputError(f"{model.name} must have one input. Received: {len(model.inputs)}")
    if image.ndim != 3 or image.shape[2] != model.input_shape[3]:
        raise InputError(
            f"image must be [height, width, {model.input_shape[3]}] for {model.name}. Received: shape {image.shape}"
        )
    pair = isinstance(position, list | tuple | np.ndarray) and len(position) == 2 and all(map(_is_number, position))
    if not pair or not all(0 <= place < size for place, size in zip(position, image.shape, strict=False)):
        raise InputError(f"position must be (row, column) in the image of {image.shape[:2]}. Received: {position!r}")
    chosen = found[-layers:]
    probe = over(model, [input_in(model, layer) for layer in chosen])
    try:
        maps = probe(image[None], training=False)
    except ValueError as error:
        raise InputError(f"image must fit {model.name}, which takes {model.input_shape}. Received: {error}") from error
    points = None
    for layer, x in reversed(list(zip(chosen, keras.tree.flatten(maps), strict=True))):
        offsets = keras.ops.convert_to_numpy(layer.offsets(keras.ops.cast(x, layer.compute_dtype))[0])[0]
        _, step = _places(model, input_in(model, layer), image.shape)
        origin, stride = _places(model, output_in(model, layer), image.shape)
        if points is None:
            unit = np.clip(np.round((np.array(position) - origin) / stride), 0, np.array(offsets.shape[:2]) - 1)
            points = (origin + stride * unit)[None]
        moves = _between(offsets.astype("float32"), (points - origin) / stride)
        points = (points[:, None] + step * (_taps(layer) + moves)).reshape(-1, 2)
    return points.astype("float32")


def _array(name: str, value) -> np.ndarray:
    try:
        return np.asarray(value, "float32")
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers. Received: {type(value).__name__}") from error


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _places(model, tensor, shape) -> tuple[np.ndarray, np.ndarray]:
    """The pixel that unit 0 of a map is centered on, and the pixels from unit to unit."""
    if tensor is model.inputs[0]:
        return np.zeros(2), np.ones(2)
    field = receptive_field(over(model, tensor), shape)
    return np.array(field.origin), np.array(field.stride)


def _taps(layer) -> np.ndarray:
    """Places of the taps around their middle, in pixels of the layer's input: [taps, 2]."""
    rows, columns = (
        dilation * (np.arange(size) - (size - 1) / 2)
        for size, dilation in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    )
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def _between(offsets: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Offsets [height, width, groups * taps * 2] of the first group at real places [n, 2]: [n, taps, 2]."""
    last = np.array(offsets.shape[:2]) - 1
    places = np.clip(places, 0, last)
    low = np.floor(places).astype(int)
    high, part = np.minimum(low + 1, last), places - low
    total = 0.0
    for down in (0, 1):
        for aside in (0, 1):
            rows, columns = (high if down else low)[:, 0], (high if aside else low)[:, 1]
            weight = np.abs(1 - down - part[:, 0]) * np.abs(1 - aside - part[:, 1])
            total = total + weight[:, None] * offsets[rows, columns]
    return total.reshape(len(places), -1, 2)


def plot_sampling(
    image: npt.ArrayLike,
    points: npt.ArrayLike,
    path: str | os.PathLike,
    *,
    position: Sequence[float] | None = None,
    title: str = "",
) -> None:
    """Writes a PNG: the image with a red dot at each sampling location and a green one at the unit.

    Args:
        image: [height, width, 1 or 3], of any range, which is stretched from its smallest value to its largest.
        points: [n, 2], (row, column) in pixels, of `sampling_locations`; what lies outside is left out.
        path: the PNG.
        position: (row, column) of the unit, if it is to be shown.
        title: above the picture.

    Raises:
        InputError: `image` or `points` has another shape.
    """
    from matplotlib.figure import Figure  # here, since most uses of this package draw nothing

    image, points = _array("image", image), _array("points", points)
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise InputError(f"image must be [height, width, 1 or 3]. Received: shape {image.shape}")
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"points must be [n, 2]. Received: shape {points.shape}")
    if position is not None and (not isinstance(position, list | tuple | np.ndarray) or len(position) != 2):
        raise InputError(f"position must be (row, column). Received: {position!r}")
    height, width = image.shape[:2]
    spread = float(image.max() - image.min()) or 1.0
    inches = _INCHES / max(height, width)
    figure = Figure(figsize=(width * inches, height * inches + (0.3 if title else 0)), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.imshow(((image - image.min()) / spread).repeat(3 // image.shape[2], axis=2), interpolation="nearest")
    axes.scatter(points[:, 1], points[:, 0], s=7, color="red", linewidths=0)
    if position is not None:
        axes.scatter([position[1]], [position[0]], s=40, color="lime", edgecolors="black")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), title=title)
    axes.axis("off")
    _figures.save(figure, path)

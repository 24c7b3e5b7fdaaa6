"""The filters of a convolution, as pictures and in numbers."""

import dataclasses
import os

import keras
import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.inner import name_of, opened
from kerascnn.explain.tiles import draw_tiles
from kerascnn.layers import DeformableConv2D, model_preprocessing
from kerascnn.surgery.inline import bare

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, DeformableConv2D)
_DEAD = 0.01  # of the median norm
_PADDED = 32  # points of the spectrum per axis


@dataclasses.dataclass(frozen=True)
class Filters:
    """The filters of one layer."""

    kernels: np.ndarray  # float32 [filters, height, width, channels of a group], as correlated with the layer's input
    layer: str

    @property
    def norms(self) -> np.ndarray:
        """Euclidean norm of each filter, float64 [filters]."""
        return np.sqrt((self.kernels.astype("float64") ** 2).sum(axis=(1, 2, 3)))

    @property
    def dead(self) -> np.ndarray:
        """Whether the norm of a filter is below a hundredth of the median, bool [filters]."""
        return self.norms < _DEAD * np.median(self.norms)

    @property
    def roughness(self) -> np.ndarray:
        """Total variation over the squared norm: sum of squared differences of neighbors, float64 [filters]; small for
        smooth filters. 0 where all weights are 0."""
        values = self.kernels.astype("float64")
        varied = sum((np.diff(values, axis=axis) ** 2).sum(axis=(1, 2, 3)) for axis in (1, 2))
        squares = self.norms**2
        return np.divide(varied, squares, out=np.zeros_like(squares), where=squares > 0)

    @property
    def high_frequencies(self) -> np.ndarray:
        """Part of the spectral energy above half of the Nyquist frequency, float64 [filters]: 1 - pi / 16 on average
        for filters of independent noise, 0 where all weights are 0."""
        size = max(_PADDED, *self.kernels.shape[1:3])
        energy = (np.abs(np.fft.fft2(self.kernels.astype("float64"), (size, size), axes=(1, 2))) ** 2).sum(axis=3)
        frequencies = np.fft.fftfreq(size)
        high = np.hypot(frequencies[:, None], frequencies) > 0.25
        total = energy.sum(axis=(1, 2))
        return np.divide(energy[:, high].sum(axis=1), total, out=np.zeros_like(total), where=total > 0)


def filters(model: keras.Model, layer: str | None = None, *, pixels: bool = True) -> Filters:
    """The filters of a convolution.

    Source: Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012,
    figure 3.

    Args:
        model: a functional or built sequential model.
        layer: name of a layer with a kernel [height, width, channels, filters], or of a depthwise convolution, each of
            whose filters has one channel; None: the first such layer with more than one position.
        pixels: divide by the deviation of each channel that preprocessing divides by, where the layer is the first one
            and the model says it: the weights are then those of the pixels of an image file, up to a factor.

    Returns:
        A `Filters`.

    Raises:
        InputError: there is no such layer, or it has no such kernel.

    Example:

        model = kerascnn.create_model("alexnet")
        kerascnn.explain.filters(model).kernels.shape  # (96, 11, 11, 3)
    """
    _check.flag("pixels", pixels)
    layers = {name: bare(operation) for name, operation in opened(model)[1].items()}
    if layer is None:
        name = next((name for name, x in layers.items() if _spatial(x)), None)
        if name is None:
            raise InputError(f"The model must have a convolution of several positions. Received: {model.name}")
    else:
        name = name_of(model, layers, layer)
    found = layers[name]
    kernel = _kernel(found)
    if kernel is None:
        raise InputError(f"layer must be a convolution of images. Received: layer={layer!r} ({type(found).__name__})")
    if isinstance(found, keras.layers.DepthwiseConv2D):
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    kernel = np.moveaxis(kernel, -1, 0)
    if pixels and found is next((x for x in layers.values() if isinstance(x, _CONVOLUTIONS)), None):
        kernel = kernel / _deviation(model, kernel.shape[-1])
    return Filters(kernel.astype("float32"), name)


def draw_filters(found: Filters, path: str | os.PathLike, *, count: int = 96, channels: int = 8) -> None:
    """Writes a PNG: filters of three channels in their colors, with zero as gray and the largest absolute weight of
    each filter at an end of the scale; of other filters a row each, a square a channel, negative weights blue, positive
    ones red; filters of one position and many channels are the rows of one picture.

    Args:
        found: of `filters`.
        path: the PNG.
        count: filters at most, the first ones; a sixth of it where they are not of three channels.
        channels: shown of each filter at most, where they are not three.

    Raises:
        InputError: an argument cannot be used.
        OSError: the file cannot be written.
    """
    if not isinstance(found, Filters):
        raise InputError(f"found must be what filters returns. Received: {type(found).__name__}")
    count, channels = _check.whole("count", count, 1), _check.whole("channels", channels, 1)
    kernels, (total, height, width, depth) = found.kernels, found.kernels.shape
    largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    scaled = kernels / np.where(largest > 0, largest, 1)
    if depth == 3 or depth == 1:
        shown = scaled[:count]
        tiles = list(0.5 + 0.5 * shown if depth == 3 else shown[..., 0])
        labels, columns = [str(number) for number in range(len(shown))], None
    elif height * width == 1:  # no pictures, but rows of weights
        shown, labels, columns = scaled[:count], [], 1
        tiles = [shown[:, 0, 0]]
    else:
        shown = scaled[: max(1, count // 6), ..., :channels]
        tiles = [plane for kernel in shown for plane in np.moveaxis(kernel, -1, 0)]
        labels = [f"{i} ← {j}" for i in range(len(shown)) for j in range(shown.shape[-1])]
        columns = shown.shape[-1]
    of = f"{len(shown)} of {total}" if len(shown) < total else str(total)
    what = f"{of} filters of {height} × {width} × {depth}"
    if height * width == 1 and depth not in (1, 3):
        what += ", a row each"
    if shown.shape[-1] < depth:
        what += f", of each {shown.shape[-1]} channels"
    bar = "" if depth == 3 else "weight, as a part of the filter's largest"
    title = f"{found.layer}: {what}; each by its own scale{', gray is 0' if depth == 3 else ''}"
    draw_tiles(path, tiles, title=title, labels=labels, columns=columns, color_map="RdBu_r", limits=(-1, 1), bar=bar)


def _kernel(layer) -> np.ndarray | None:
    return np.asarray(keras.ops.cast(layer.kernel, "float32")) if isinstance(layer, _CONVOLUTIONS) else None


def _spatial(layer) -> bool:
    return isinstance(layer, _CONVOLUTIONS) and layer.kernel.shape[0] * layer.kernel.shape[1] > 1


def _deviation(model: keras.Model, channels: int) -> np.ndarray:
    """By what each channel of the pixels is divided, relative to the mean of them; ones where nobody says it."""
    try:
        deviation = np.array(model_preprocessing(model).for_channels(channels).std)
    except InputError:
        return np.ones(channels)
    return deviation / deviation.mean()

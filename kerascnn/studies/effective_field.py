"""How much each pixel of the receptive field counts: the effective receptive field."""

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.models.auxiliary import AuxiliaryModel
from kerascnn.studies.study import Study
from kerascnn.surgery import fields_at, up_to

_COUNTS = 1 - 0.9545  # of the largest value: what pixels above it are counted, two deviations of a Gaussian
_BATCH = 8


def effective_field(
    model: keras.Model, layer: str | None = None, *, images: Any = None, samples: int = 32, seed: int = 0
) -> Study:
    """The gradient of the middle of a map with respect to the image, beside the theoretical receptive field.

    For each image the sum over the channels at the middle position is differentiated; the map is the root of the mean
    square over images and channels, divided by its largest value. (Signed gradients would cancel.)

    Args:
        model: a functional or built sequential `keras.Model` of one image [n, height, width, channels]; it is kept.
        layer: the name of a layer with a map; None: the last one with more than one position.
        images: float32 [n, height, width, channels], preprocessed as the model takes them; None: standard normal noise.
        samples: how many images of noise.
        seed: of the noise.

    Returns:
        A `Study` with `field`, float64 [height, width], at most 1; `box` int64 [2, 2], the first and the last row and
        column of the theoretical field; `size`, the root of the number of pixels that count, above 4.55 % of the
        largest; and `variance` [2], of the field as a distribution along rows and columns, in pixels squared.

    Raises:
        InputError: the model has no such layer, or does not take the images.

    Source: Luo, Li, Urtasun, Zemel: Understanding the effective receptive field in deep convolutional neural networks,
    2016, arXiv:1701.04128.

    Example:

        found = kerascnn.studies.effective_field(kerascnn.create_model("resnet20", classes=0), "stage2")
        print(found.arrays["size"], found.arrays["box"])
    """
    samples, seed = _check.whole("samples", samples, 1, 2**20), _check.whole("seed", seed, 0, 2**31 - 1)
    start = time.perf_counter()
    if isinstance(model, AuxiliaryModel):
        raise InputError("The model must have one output; build it without auxiliary_heads. Received: auxiliary heads")
    part = up_to(model, _gives_a_map if layer is None else layer)
    shape = tuple(part.outputs[0].shape)
    if len(part.inputs) != 1 or len(part.inputs[0].shape) != 4 or len(shape) != 4 or None in shape[1:3]:
        raise InputError(
            "The layer must give a map of known size [n, height, width, channels] of one image. "
            f"Received: {layer!r} of {model.name}, {shape}"
        )
    wanted = tuple(part.inputs[0].shape)[1:]
    if None in wanted:
        raise InputError(f"The size of the images must be known. Received: {model.name}, {wanted}")
    if images is None:
        images = np.random.default_rng(seed).standard_normal((samples, *wanted), dtype=np.float32)
    images = np.asarray(images)
    if images.ndim != 4 or not len(images) or images.shape[1:] != wanted or images.dtype.kind not in "fiu":
        raise InputError(f"images must be a batch [n, {', '.join(map(str, wanted))}]. Received: {images.shape}")
    middle = (shape[1] // 2, shape[2] // 2)
    field = np.sqrt(_mean_square(part, images.astype("float32"), middle))
    field /= field.max() or 1
    box = np.clip(np.array(fields_at(part, [middle])[0]), 0, np.array(wanted[:2])[:, None] - 1)
    arrays = {
        "field": field, "box": box, "size": np.sqrt(np.count_nonzero(field > _COUNTS)), "variance": _variance(field),
    }  # fmt: skip
    area = np.sqrt(np.prod(box[:, 1] - box[:, 0] + 1))
    inside = field[box[0, 0] : box[0, 1] + 1, box[1, 0] : box[1, 1] + 1].sum()
    claims = {
        "Fewer pixels count than the theoretical field has": bool(arrays["size"] < area),
        "Nothing outside of the theoretical field counts": bool(np.isclose(inside, field.sum())),
    }
    settings = {"model": model.name, "layer": part.output._keras_history.operation.name, "images": len(images),
                "seed": seed}  # fmt: skip
    return Study("effective_field", settings, arrays, claims, time.perf_counter() - start, _plot)


def _gives_a_map(layer: keras.layers.Layer) -> bool:
    shape = getattr(getattr(layer, "output", None), "shape", ())
    return len(shape) == 4 and not all(size == 1 for size in shape[1:3])


def _mean_square(part: keras.Model, images: np.ndarray, middle: tuple[int, int]) -> np.ndarray:
    """Of the gradients, over images and channels: float64 [height, width]."""

    @tf.function(reduce_retracing=True)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_sum(tf.cast(part(x, training=False)[:, middle[0], middle[1]], tf.float32))
        return tape.gradient(score, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    total = np.zeros(images.shape[1:3])
    for begin in range(0, len(images), _BATCH):
        found = gradient(tf.constant(images[begin : begin + _BATCH])).numpy().astype("float64")
        total += (found**2).sum(axis=(0, 3))
    return total / (len(images) * images.shape[3])


def _variance(field: np.ndarray) -> np.ndarray:
    found = []
    for axis in (0, 1):
        weights = field.sum(axis=1 - axis)
        places = np.arange(len(weights))
        total = weights.sum() or 1
        mean = (weights * places).sum() / total
        found.append((weights * (places - mean) ** 2).sum() / total)
    return np.array(found)


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    field, ((top, bottom), (left, right)) = study.arrays["field"], study.arrays["box"]
    figure = Figure(figsize=(10, 4.6), dpi=100, layout="constrained")
    picture, profile = figure.subplots(1, 2)
    shown = picture.imshow(field, cmap="inferno", vmin=0, vmax=1)
    picture.add_patch(
        Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, fill=False, edgecolor="#35b779", lw=2)
    )
    picture.set_title("how much each pixel counts; the frame: the receptive field", fontsize=9)
    figure.colorbar(shown, ax=picture, shrink=0.8)
    row = field[np.unravel_index(field.argmax(), field.shape)[0]]
    profile.plot(row, color="#440154")
    profile.axhline(_COUNTS, color="0.5", linewidth=1)
    profile.axvspan(left, right, color="#35b779", alpha=0.15)
    profile.set(xlabel="column of the row with the largest value; the line: what counts", ylim=(0, 1.05))
    profile.grid(alpha=0.3)
    size, side = float(study.arrays["size"]), (bottom - top + 1, right - left + 1)
    told = f"{size:.1f} pixels square count, of {side[0]} x {side[1]}"
    figure.suptitle(f"{study.settings['model']}, {study.settings['layer']}: {told}")
    return figure

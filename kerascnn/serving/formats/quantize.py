"""int8 after training: the images that tell how large the values of each layer are, and what it costs.

Weights become 8-bit whole numbers with one scale per output channel, activations with one scale per tensor, which is
chosen from the values that a few hundred training images lead to. No image of the validation or test part is seen.

Source: Jacob et al.: Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
2017, arXiv:1712.05877; per channel: Krishnamoorthi 2018, arXiv:1806.08342.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn import _check, data
from kerascnn._errors import InputError
from kerascnn.inference.predictor import Predictor

KINDS = ("int8",)
IMAGES = 200  # by default
_BATCH = 32
_MOST = 2**31  # bytes of images in memory


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """Images for int8; made by `calibration`."""

    images: np.ndarray  # float32 [n, *input_shape], preprocessed: they set the scales
    compared: np.ndarray  # float32 [m, *input_shape]: on them the answers before and after are compared
    origin: dict[str, Any]  # data, part, seed, and how many of each; plain JSON values


def calibration(source: "data.Source", predictor: Predictor, count: int = IMAGES, seed: int = 0) -> Calibration:
    """Draws images from the training part of a data set, and prepares them as for evaluation.

    Args:
        source: of `kerascnn.data.load`; its validation and test parts are not read.
        predictor: the network that will be quantized.
        count: how many set the scales; all, where the part is smaller. As many others, where there are so many, are
            drawn to compare answers on.
        seed: chooses them.

    Returns:
        The images.

    Raises:
        InputError: an argument that cannot be used, a damaged image, or more images than fit into memory.

    Example:

        from kerascnn import data, inference
        from kerascnn.serving.formats import quantize

        predictor = inference.checkpoint.load("runs/digits")
        images = quantize.calibration(data.load("digits"), predictor, 100).images
    """
    if not isinstance(source, data.Source):
        raise _check.refuse("calibration", "a data.Source, as data.load gives", source)
    count, seed = _check.whole("calibration_images", count, 1), _check.whole("seed", seed, 0)
    if source.task != predictor.task:
        raise InputError(f"The calibration set must be for {predictor.task}. Received: {source.name}, {source.task}")
    part = source.split("train")
    if 8 * count * np.prod(predictor.input_shape) > _MOST:
        raise InputError(f"The calibration images must fit into {_MOST >> 30} GiB. Received: {count} images")
    order = np.random.default_rng(seed).permutation(part.size)
    first, others = order[:count], order[count : 2 * count]
    images = _read(source, predictor, first)
    compared = _read(source, predictor, others) if len(others) else images
    where = "other images of the part" if len(others) else "the same images"
    origin = {
        "data": source.name, "part": "train", "seed": seed, "images": len(images), "compared": len(compared),
        "compared_on": where,
    }  # fmt: skip
    return Calibration(images, compared, origin)


def _read(source, predictor, positions) -> np.ndarray:
    split = source.split("train").select(np.sort(positions))
    chosen = dataclasses.replace(source, splits={**source.splits, "train": split})
    batches = data.eval_pipeline(
        chosen, "train", image_shape=predictor.input_shape, preprocessing=predictor.preprocessing, batch_size=_BATCH
    )
    try:
        return np.concatenate([images.numpy() for images, _ in batches])
    except tf.errors.OpError as error:
        raise data.explain(chosen, error) from error


def agreement(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """How much answers differ.

    Args:
        before, after: probabilities [n, classes] or [n, height, width, classes].

    Returns:
        "agreement": the share of images, or of pixels, whose most probable class is the same; "largest_difference" and
        "mean_difference" of probabilities.
    """
    difference = np.abs(after.astype(np.float64) - before)
    return {
        "agreement": float(np.mean(after.argmax(-1) == before.argmax(-1))),
        "largest_difference": float(difference.max(initial=0.0)),
        "mean_difference": float(difference.mean()),
    }


def check_request(format: str, quantize: str | None, calibration: Calibration | None, precision: str) -> None:
    """Whether the options of a format that has int8 fit together.

    Args:
        format: its name.
        quantize: None or one of KINDS.
        calibration: images, with `quantize` alone.
        precision: of the arithmetic without `quantize`.

    Raises:
        InputError: they do not.
    """
    _check.one_of("quantize", quantize, (None, *KINDS))
    if quantize is None and calibration is not None:
        raise InputError("A calibration set is for quantize=int8 alone. Received: one without it")
    if quantize is not None and calibration is None:
        raise InputError(f"quantize={quantize} needs a calibration set. Received: none, for {format}")
    if quantize is not None and precision != "float32":
        raise InputError(f"Give quantize or precision, not both. Received: {quantize} and {precision}")

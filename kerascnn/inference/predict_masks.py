"""The class of each pixel of image files, from a SavedModel or from a Keras model, with pictures of it."""

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.table import Table
from rich.text import Text

from kerascnn._errors import InputError
from kerascnn._files import atomic_write, ensure_folder
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.letterbox import fit_whole_image, restore
from kerascnn.data.preprocessing import check_image_shape, read_image
from kerascnn.inference import saved_model as saved_models
from kerascnn.inference.drawing import plot_overlay
from kerascnn.inference.predict import compiled, expand


@dataclasses.dataclass(frozen=True)
class MaskPrediction:
    """What was found in one image, and where it was written."""

    path: str
    classes: tuple[str, ...]  # those that were found, most pixels first
    shares: tuple[float, ...]  # of the image's pixels
    mask: str  # a grey PNG of class numbers, of the image's size
    overlay: str  # a PNG with the classes in colours over the image


def predict_masks(
    paths: Iterable[str | os.PathLike],
    out: str | os.PathLike,
    *,
    saved_model: str | os.PathLike | None = None,
    checkpoint_model: keras.Model | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> list[MaskPrediction]:
    """Gives each pixel of image files a class, and writes two pictures an image.

    An image is fitted whole into the network's input; the classes found there are taken back to the image's own size.

    Args:
        paths: images (JPEG, PNG, GIF, BMP) and folders; a folder stands for all images below it, sorted.
        out: the folder for NAME_mask.png and NAME_overlay.png of each image NAME.*; made if it is not there.
        saved_model: an exported model: the folder of a version, or the one above. It brings class names, constants and
            input shape with it, so those arguments must be left out.
        checkpoint_model: a Keras model that ends in probabilities or logits of each pixel, instead of `saved_model`.
        class_names: with `checkpoint_model`: one name per output.
        preprocessing: with `checkpoint_model`: what was done to the pixels in training.
        input_shape: with `checkpoint_model`: (height, width, channels).

    Returns:
        One `MaskPrediction` per image, in the order of `paths`.

    Raises:
        InputError: a file is missing or not a whole image, two images have one name, a folder has no images or cannot
            be written, the arguments do not fit together, or the model is not one for segmentation.
    """
    if (saved_model is None) == (checkpoint_model is None):
        raise InputError("Give either saved_model or checkpoint_model. Received: both or neither")
    described = (class_names, preprocessing, input_shape)
    if saved_model is not None:
        if any(value is not None for value in described):
            raise InputError("A SavedModel brings class_names, preprocessing and input_shape. Received: one of them")
    elif any(value is None for value in described):
        raise InputError("A Keras model needs class_names, preprocessing and input_shape. Received: not all")
    files = _named_apart(expand(paths))
    if saved_model is not None:
        model = saved_models.load(saved_model)
        if model.task != "segmentation":
            raise InputError(f"The SavedModel must be one for segmentation. Received: {model.path}")
        run, names, constants, shape = model.predict, model.class_names, model.preprocessing, model.input_shape
    else:
        names, constants, shape = tuple(class_names), preprocessing, check_image_shape(input_shape)
        run = compiled(checkpoint_model, (*shape[:2], len(names)), shape)
    folder = ensure_folder(out)
    predictions = []
    for path in files:  # one at a time: maps of probabilities are large, and the network takes most of the time
        image = read_image(path, shape[2])
        outputs = run(fit_whole_image(image, shape, constants).numpy()[None])[0]
        mask = restore(outputs.argmax(axis=-1).astype(np.uint8), *image.shape[:2])
        predictions.append(_write(path, image.numpy(), mask, names, folder))
    return predictions


def masks_to_table(predictions: Sequence[MaskPrediction]) -> Table:
    """A `rich` table: image, class, share of its pixels; further classes of an image on lines below it."""
    table = Table("image", "class")
    table.add_column("pixels", justify="right")
    for prediction in predictions:
        for index, (name, share) in enumerate(zip(prediction.classes, prediction.shares, strict=True)):
            # A file or class may be called "[bold]", which rich would obey in a plain string.
            table.add_row(Text("" if index else prediction.path), Text(name), f"{share:.2%}")
    return table


def masks_to_json(predictions: Sequence[MaskPrediction]) -> str:
    """A JSON list of {"path", "classes", "shares", "mask", "overlay"}, one image a line."""
    lines = (json.dumps(dataclasses.asdict(prediction), ensure_ascii=False) for prediction in predictions)
    return "[\n " + ",\n ".join(lines) + "\n]" if predictions else "[]"


def _named_apart(paths: Iterable[Path]) -> list[Path]:
    files: dict[str, Path] = {}
    for path in paths:
        if path.stem in files:
            rule = "Images must differ in name, because their masks are called after them"
            raise InputError(f"{rule}. Received: {files[path.stem]} and {path}")
        files[path.stem] = path
    return list(files.values())


def _write(path, image, mask, names, folder) -> MaskPrediction:
    mask_path, overlay_path = (folder / f"{path.stem}_{kind}.png" for kind in ("mask", "overlay"))
    with atomic_write(mask_path, "wb") as file:
        file.write(tf.io.encode_png(mask[..., None]).numpy())
    plot_overlay(image, mask, names, overlay_path)
    counts = np.bincount(mask.ravel(), minlength=len(names))
    order = [index for index in np.argsort(-counts, kind="stable") if counts[index]]
    return MaskPrediction(
        path=str(path),
        classes=tuple(names[index] for index in order),
        shares=tuple(round(float(counts[index] / mask.size), 7) for index in order),
        mask=str(mask_path),
        overlay=str(overlay_path),
    )

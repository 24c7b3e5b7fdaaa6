"""The class of each pixel of image files."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.table import Table

from kerascnn._errors import InputError
from kerascnn._files import atomic_write, ensure_folder
from kerascnn.data.letterbox import restore
from kerascnn.data.preprocessing import read_image
from kerascnn.inference.files import Found, expand, refuse_if_none
from kerascnn.inference.predict import _called, as_text, json_lines, predictor_of
from kerascnn.inference.predictor import Predictor

# (image uint8 [height, width, channels], mask uint8 [height, width], class names, path of a PNG to write) -> None
Draw = Callable[[np.ndarray, np.ndarray, Sequence[str], Path], None]


@dataclasses.dataclass(frozen=True)
class MaskPrediction:
    """What was found in one image, and where it was written; or why there is nothing."""

    path: str
    classes: tuple[str, ...] = ()  # those that were found, most pixels first
    shares: tuple[float, ...] = ()  # of the image's pixels
    mask: str | None = None  # a gray PNG of class numbers, of the image's size
    overlay: str | None = None  # a PNG with the classes in colors over the image, where it was drawn
    error: str | None = None  # why the image could not be read or the mask not be written


def predict_masks(
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    predictor: Predictor | keras.Model | None = None,
    out: str | os.PathLike | None = None,
    *,
    draw: Draw | None = None,
    **described: Any,
) -> list[MaskPrediction]:
    """Gives each pixel of image files a class, and writes it.

    An image is fitted whole into the network's input; the classes found there are taken back to the image's own size.

    Args:
        paths: one path or several, of images and of folders, as for `predict`.
        predictor: the network in use; or a Keras model with the arguments of `Predictor.from_model`.
        out: the folder for NAME_mask.png of each image NAME.*; made if it is not there.
        draw: writes NAME_overlay.png too, such as `kerascnn.evaluation.plot_overlay`.
        **described: what `predictor_of` takes: without `predictor` a `saved_model=` or `checkpoint_model=`.

    Returns:
        One `MaskPrediction` per image, in the order of `paths`. An image that cannot be read has an `error`, and the
        others are predicted all the same.

    Raises:
        InputError: not one image could be read, two images have one name, the folder cannot be written, the arguments
            do not fit together, the model is not one for segmentation, or its outputs are not finite.

    Example:

        predictor = inference.checkpoint.load("runs/fcn8s")
        found = inference.predict_masks("photos", predictor, "masks", draw=evaluation.plot_overlay)
    """
    if out is None:
        raise InputError("out must be the folder for the masks. Received: None")
    predictor = predictor_of(predictor, **described)
    if predictor.task != "segmentation":
        raise InputError(f"The network must be one for segmentation. Received: {_called(predictor)}")
    files = _named_apart(expand(paths))
    folder = ensure_folder(out)
    predictions = []
    for path, error in files:  # one at a time: maps of probabilities are large, and the network takes most of the time
        try:
            if error is not None:
                raise InputError(error)
            image = read_image(path, predictor.input_shape[2])
        except InputError as reason:
            predictions.append(MaskPrediction(str(path), error=str(reason)))
            continue
        numbers = predictor.predict(predictor.prepare(image)[None])[0].argmax(axis=-1).astype(np.uint8)
        mask = restore(numbers, *image.shape[:2])
        predictions.append(_write(path, image.numpy(), mask, predictor.class_names, folder, draw))
    refuse_if_none(prediction.error for prediction in predictions)
    return predictions


def masks_to_table(predictions: Sequence[MaskPrediction]) -> Table:
    """A `rich` table: image, class, share of its pixels; further classes of an image on lines below it."""
    table = Table("image", "class")
    table.add_column("pixels", justify="right")
    for prediction in predictions:
        if prediction.error is not None:
            table.add_row(as_text(prediction.path), as_text(prediction.error), "")
        for index, (name, share) in enumerate(zip(prediction.classes, prediction.shares, strict=True)):
            table.add_row(as_text("" if index else prediction.path), as_text(name), f"{share:.2%}")
    return table


def masks_to_json(predictions: Sequence[MaskPrediction]) -> str:
    """A JSON list of {"path", "classes", "shares", "mask", "overlay", "error"}, one image a line."""
    return json_lines(map(dataclasses.asdict, predictions))


def _named_apart(found: Iterable[Found]) -> list[Found]:
    files: dict[str, Found] = {}
    for path, error in found:
        if path.stem in files:
            rule = "Images must differ in name, because their masks are called after them"
            raise InputError(f"{rule}. Received: {files[path.stem][0]} and {path}")
        files[path.stem] = (path, error)
    return list(files.values())


def _write(path, image, mask, names, folder, draw) -> MaskPrediction:
    mask_path, overlay_path = (folder / f"{path.stem}_{kind}.png" for kind in ("mask", "overlay"))
    try:
        with atomic_write(mask_path, "wb") as file:
            file.write(tf.io.encode_png(mask[..., None]).numpy())
        if draw is not None:
            draw(image, mask, names, overlay_path)
    except OSError as error:  # a name that is too long with its ending, a full disk
        return MaskPrediction(str(path), error=f"The mask cannot be written ({error.strerror}). Received: {mask_path}")
    counts = np.bincount(mask.ravel(), minlength=len(names))
    order = [index for index in np.argsort(-counts, kind="stable") if counts[index]]
    return MaskPrediction(
        path=str(path),
        classes=tuple(names[index] for index in order),
        shares=tuple(round(float(counts[index] / mask.size), 7) for index in order),
        mask=str(mask_path),
        overlay=None if draw is None else str(overlay_path),
    )

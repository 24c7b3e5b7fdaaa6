"""Class names and probabilities for image files."""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from rich.table import Table
from rich.text import Text

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.data.preprocessing import read_image
from kerascnn.inference import saved_model as saved_models
from kerascnn.inference.files import expand, refuse_if_none
from kerascnn.inference.predictor import Predictor

_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image, most probable first; or why there are none."""

    path: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    error: str | None = None  # why the image could not be read


def predict(
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    predictor: Predictor | keras.Model | None = None,
    *,
    top: int = 5,
    **described: Any,
) -> list[Prediction]:
    """Classifies image files.

    Args:
        paths: one path or several, of images (JPEG, PNG, GIF, BMP, WebP) and of folders; a folder stands for all images
            below it, sorted, without hidden ones.
        predictor: the network in use; or a Keras model with the arguments of `Predictor.from_model`.
        top: how many classes to give per image; all, where there are fewer.
        **described: what `predictor_of` takes: without `predictor` a `saved_model=` or `checkpoint_model=`.

    Returns:
        One `Prediction` per image, in the order of `paths`. An image that cannot be read has an `error`, and the others
        are predicted all the same.

    Raises:
        InputError: not one image could be read (the message names the first), the arguments do not fit together, the
            model cannot be loaded or is not one of classes, or its outputs are not finite.

    Example:

        predictor = inference.checkpoint.load("runs/digits")
        for found in inference.predict(["photos", "five.png"], predictor, top=1):
            print(found.path, found.error or found.classes[0])
    """
    top = _check.whole("top", top, 1)
    predictor = predictor_of(predictor, **described)
    if predictor.task != "classification":
        raise InputError(f"The network is for {predictor.task}; use predict_masks. Received: {_called(predictor)}")
    files = expand(paths)
    predictions: list[Prediction | None] = [None] * len(files)
    batch = max(1, _BATCH * math.prod(predictor.input_shape) // math.prod(predictor.element_shape))
    for start in range(0, len(files), batch):
        images: dict[int, np.ndarray] = {}
        for index, (path, error) in enumerate(files[start : start + batch], start):
            try:
                if error is not None:
                    raise InputError(error)
                images[index] = predictor.prepare(read_image(path, predictor.input_shape[2]))
            except InputError as reason:
                predictions[index] = Prediction(str(path), error=str(reason))
        if not images:
            continue
        probabilities = predictor.predict(np.stack(list(images.values())))
        order = np.argsort(-probabilities, axis=-1, kind="stable")[:, :top]
        for index, row, best in zip(images, probabilities, order, strict=True):
            values = tuple(round(float(value), 7) for value in row[best])  # float32 has no more digits
            names = tuple(predictor.class_names[number] for number in best)
            predictions[index] = Prediction(str(files[index][0]), names, values)
    done = [prediction for prediction in predictions if prediction is not None]
    refuse_if_none(prediction.error for prediction in done)
    return done


def predictor_of(
    predictor: Predictor | keras.Model | None = None,
    *,
    saved_model: str | os.PathLike | None = None,
    checkpoint_model: keras.Model | None = None,
    **described: Any,
) -> Predictor:
    """The one network that is asked, in whichever form it is given.

    Args:
        predictor: a `Predictor`, or a Keras model.
        saved_model: instead, an exported model: the folder of a version, or the one above.
        checkpoint_model: instead, a Keras model.
        **described: with a Keras model, the arguments of `Predictor.from_model`: class_names, preprocessing,
            input_shape, logits.

    Returns:
        The predictor.

    Raises:
        InputError: none or several are given, or a Keras model is not described, or another is.
    """
    given = [value for value in (predictor, saved_model, checkpoint_model) if value is not None]
    if len(given) != 1:
        rule = "Give one network: a predictor, or either saved_model or checkpoint_model"
        raise InputError(f"{rule}. Received: {'several' if given else 'none'}")
    unknown = set(described) - {"class_names", "preprocessing", "input_shape", "logits"}
    if unknown:
        raise InputError(f"There is no such argument. Received: {', '.join(sorted(unknown))}")
    named = {name: value for name, value in described.items() if value is not None}
    (network,) = given
    if isinstance(network, keras.Model):
        if "class_names" not in named:
            raise InputError("A Keras model needs class_names, one per output. Received: none")
        return Predictor.from_model(network, named.pop("class_names"), **named)
    if named:
        raise InputError(
            f"A {'SavedModel' if saved_model is not None else 'predictor'} brings class_names, preprocessing and "
            f"input_shape. Received: {', '.join(named)}"
        )
    if saved_model is not None:
        return saved_models.load(saved_model)
    if not isinstance(network, Predictor):
        raise InputError(f"The network must be a Predictor or a keras.Model. Received: {network!r}")
    return network


def to_table(predictions: Sequence[Prediction]) -> Table:
    """A `rich` table: image, class, probability; further classes of an image on lines below it."""
    table = Table("image", "class")
    table.add_column("probability", justify="right")
    for prediction in predictions:
        if prediction.error is not None:
            table.add_row(as_text(prediction.path), as_text(prediction.error), "")
        rows = zip(prediction.classes, prediction.probabilities, strict=True)
        for index, (name, probability) in enumerate(rows):
            table.add_row(as_text("" if index else prediction.path), as_text(name), f"{probability:.2%}")
    return table


def to_json(predictions: Sequence[Prediction]) -> str:
    """A JSON list of {"path", "classes", "probabilities", "error"}, one image a line; "error" is null for one that
    could be read."""
    return json_lines(map(dataclasses.asdict, predictions))


def json_lines(records: Iterable[dict[str, Any]]) -> str:
    """A JSON list with one record a line."""
    lines = [_json(record) for record in records]
    return "[\n " + ",\n ".join(lines) + "\n]" if lines else "[]"


def as_text(text: str) -> Text:
    """Text for a table: a file may be called "[bold]", which rich would obey, or not be named in UTF-8."""
    return Text(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _json(record) -> str:
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a file name that is not UTF-8: as escapes, which Python reads back as that name
        return json.dumps(record)
    return text


def _called(predictor: Predictor) -> str:
    return str(predictor.path or getattr(predictor.model, "name", "a function"))

"""Class names and probabilities for image files, from a SavedModel or from a Keras model."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.table import Table
from rich.text import Text

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.preprocessing import FORMATS, check_image_shape, preprocess_image, read_image
from kerascnn.inference import saved_model as saved_models

_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image, most probable first."""

    path: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


def predict(
    paths: Iterable[str | os.PathLike],
    *,
    saved_model: str | os.PathLike | None = None,
    checkpoint_model: keras.Model | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    input_shape: tuple[int, int, int] | None = None,
    top: int = 5,
) -> list[Prediction]:
    """Classifies image files.

    Args:
        paths: images (JPEG, PNG, GIF, BMP) and folders; a folder stands for all images below it, sorted.
        saved_model: an exported model: the folder of a version, or the one above. It brings class names, constants and
            input shape with it, so those arguments must be left out.
        checkpoint_model: a Keras model that ends in probabilities or logits, instead of `saved_model`.
        class_names: with `checkpoint_model`: one name per output.
        preprocessing: with `checkpoint_model`: what was done to the pixels in training.
        input_shape: with `checkpoint_model`: (height, width, channels).
        top: how many classes to give per image; all, where there are fewer.

    Returns:
        One `Prediction` per image, in the order of `paths`.

    Raises:
        InputError: a file is missing or not a whole image (the message names it), a folder has no images, the
            arguments do not fit together, or the SavedModel cannot be loaded.
    """
    if top < 1:
        raise InputError(f"top must be at least 1. Received: {top}")
    if (saved_model is None) == (checkpoint_model is None):
        raise InputError("Give either saved_model or checkpoint_model. Received: both or neither")
    described = (class_names, preprocessing, input_shape)
    if saved_model is not None:
        if any(value is not None for value in described):
            raise InputError("A SavedModel brings class_names, preprocessing and input_shape. Received: one of them")
        files = list(expand(paths))
        model = saved_models.load(saved_model)
        if model.task != "classification":
            raise InputError(f"The SavedModel is for {model.task}; use predict_masks. Received: {model.path}")
        run, names, constants, shape = model.predict, model.class_names, model.preprocessing, model.input_shape
    else:
        if any(value is None for value in described):
            raise InputError("A Keras model needs class_names, preprocessing and input_shape. Received: not all")
        names, constants, shape = tuple(class_names), preprocessing, check_image_shape(input_shape)
        files = list(expand(paths))
        run = _runner(checkpoint_model, len(names), shape)
    predictions = []
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        images = [preprocess_image(read_image(path, shape[-1]), shape, constants) for path in batch]
        probabilities = run(np.stack(images))
        order = np.argsort(-probabilities, axis=-1, kind="stable")[:, :top]
        for path, row, best in zip(batch, probabilities, order, strict=True):
            values = tuple(round(float(value), 7) for value in row[best])  # float32 has no more digits
            predictions.append(Prediction(str(path), tuple(names[index] for index in best), values))
    return predictions


def expand(paths: Iterable[str | os.PathLike]) -> Iterator[Path]:
    """The files themselves; for a folder, the images anywhere below it, sorted by path.

    Raises:
        InputError: nothing was given, there is no such file, or no image in a folder.
    """
    count = 0
    for path in map(Path, paths):
        found = [path]
        if path.is_dir():
            found = sorted(entry for entry in path.rglob("*") if entry.suffix.lower() in FORMATS and entry.is_file())
            if not found:
                raise InputError(f"The folder must have images ({', '.join(FORMATS)}). Received: {path}")
        elif not path.exists():
            raise InputError(f"There is no such image. Received: {path}")
        count += len(found)
        yield from found
    if not count:
        raise InputError("At least one image or folder must be given. Received: none")


def to_table(predictions: Sequence[Prediction]) -> Table:
    """A `rich` table: image, class, probability; further classes of an image on lines below it."""
    table = Table("image", "class")
    table.add_column("probability", justify="right")
    for prediction in predictions:
        rows = zip(prediction.classes, prediction.probabilities, strict=True)
        for index, (name, probability) in enumerate(rows):
            # A file or class may be called "[bold]", which rich would obey in a plain string.
            table.add_row(Text("" if index else prediction.path), Text(name), f"{probability:.2%}")
    return table


def to_json(predictions: Sequence[Prediction]) -> str:
    """A JSON list of {"path", "classes", "probabilities"}, one image a line."""
    lines = (json.dumps(dataclasses.asdict(prediction), ensure_ascii=False) for prediction in predictions)
    return "[\n " + ",\n ".join(lines) + "\n]" if predictions else "[]"


def compiled(model: keras.Model, outputs: tuple[int, ...], shape: tuple[int, int, int]) -> Callable:
    """A model as one graph for all batch sizes.

    Args:
        model: functional.
        outputs: the shape that its output must have for one image: (classes,) or (height, width, classes).
        shape: (height, width, channels) of an image.

    Returns:
        float32 [n, height, width, channels] -> float32 [n, *outputs], of NumPy.

    Raises:
        InputError: the model has other outputs.
    """
    if len(model.outputs) != 1 or tuple(model.outputs[0].shape)[1:] != outputs:
        raise InputError(
            f"The model must have one output [n, {', '.join(map(str, outputs))}], one number per class name. "
            f"Received: {[tuple(output.shape) for output in model.outputs]}"
        )
    model = keras.Model(model.inputs[0], model.outputs[0])  # the same layers, inputs not in a list

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32)], autograph=False)
    def run(images):
        return tf.cast(model(images, training=False), tf.float32)

    return lambda images: run(images).numpy()


def _runner(model: keras.Model, classes: int, shape: tuple[int, int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """The model as one graph for all batch sizes; logits become probabilities."""
    run = compiled(model, (classes,), shape)

    def probabilities(images: np.ndarray) -> np.ndarray:
        outputs = run(images)
        logits = outputs.min() < 0 or np.abs(outputs.sum(axis=-1) - 1).max() > 1e-3
        return tf.nn.softmax(outputs).numpy() if logits else outputs

    return probabilities

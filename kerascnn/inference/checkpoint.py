"""Reading trained models: whole and of ours, or an InputError. Nothing is unpickled, no code in a file is run."""

import math
import os
import zipfile
from pathlib import Path

import keras

import kerascnn.layers  # noqa: F401  registers the layers that a file may name
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.inference.predictor import Predictor
from kerascnn.inference.predictor import with_probabilities as with_probabilities
from kerascnn.inference.run_record import read_config
from kerascnn.weights.keras_files import check_keras_file


def check_whole(path: str | os.PathLike):
    """Reads a .keras file through and compares its checksums.

    Raises:
        InputError: it is missing, truncated, damaged, or no .keras file; or its weights are not safe to read: links,
            data in other files, or far more than the file holds.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"A checkpoint must be a regular file. Received: {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = set(archive.namelist())
    except FileNotFoundError as error:
        raise InputError(f"The checkpoint is not there. Received: {path}") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(f"The checkpoint is truncated or not a .keras file. Received: {path}") from error
    if damaged or not {"config.json", "model.weights.h5"} <= names:
        raise InputError(f"The checkpoint is damaged or not a .keras file. Received: {path}")
    check_keras_file(path)


def load(path: str | os.PathLike) -> Predictor:
    """Loads a trained model.

    Args:
        path: a run folder (its best.keras is taken), or a .keras file in one.

    Returns:
        The network in use, with its record as `config`.

    Raises:
        InputError: missing, truncated, damaged, foreign, or diverged: its weights are not finite.

    Example:

        predictor = inference.checkpoint.load("runs/digits")
        print(predictor.class_names, predictor.config["training"]["epochs"])
    """
    path = Path(path)
    if path.is_dir():
        config = read_config(path / "config.json")
        path = path / "best.keras"
        if not path.exists():
            raise InputError(f"The run has no best.keras yet: not one epoch is finished. Received: {path.parent}")
    else:
        if path.suffix != ".keras":
            raise InputError(f"A checkpoint is a run folder or a .keras file in one. Received: {path}")
        check_whole(path)
        beside = path.parent / "config.json"
        config = read_config(beside if beside.exists() else path.parent.parent / "config.json")
    check_whole(path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises a dozen kinds, whatever a broken file leads to
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"Keras cannot load the checkpoint ({reason}). Received: {path}") from error
    try:
        preprocessing = Preprocessing.from_dict(config["preprocessing"])
        shape = tuple(config["model"]["input_shape"])
        names = tuple(config["class_names"])
        if not all(isinstance(name, str) for name in names) or isinstance(config["class_names"], str):
            raise TypeError("class_names must be a list of text")
        if not all(map(math.isfinite, (*preprocessing.mean, *preprocessing.std, preprocessing.crop_fraction))):
            raise ValueError("preprocessing must be finite")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"config.json is not that of a run ({error!r}). Received: {path}") from error
    if tuple(model.input_shape[1:]) != shape or model.output_shape[-1] != len(names):
        raise InputError(
            f"The checkpoint maps {tuple(model.input_shape[1:])} to {model.output_shape[-1]} classes; config.json "
            f"says {shape} to {len(names)}. Received: {path}"
        )
    return Predictor.from_model(model, names, preprocessing=preprocessing, input_shape=shape, path=path, config=config)

"""A network whose probabilities are scaled by a temperature, and the temperature that was fitted for a run."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn import _check, _records, surgery
from kerascnn._errors import InputError
from kerascnn.inference.predictor import Predictor, as_function
from kerascnn.surgery.replace import over

FILE = "calibration.json"  # beside the checkpoint
_COLDEST, _HOTTEST = 1e-3, 1e3


def with_temperature(predictor: Predictor, temperature: float) -> Predictor:
    """The same network, its logits divided by a temperature before the softmax. The order of the classes stays.

    Args:
        predictor: a classifier that ends in a softmax.
        temperature: in [0.001, 1000]; 1 changes nothing, above 1 the network becomes less sure.

    Returns:
        A predictor that shares the weights. Where the original has a Keras model its model is one too, so that it can
        be evaluated, exported and explained; else its probabilities are raised to the power 1 / temperature.

    Raises:
        InputError: the temperature is out of range, or the network is for another task or does not end in a softmax.

    Source:
        Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, 2017, arXiv:1706.04599, section 4.2.

    Example:

        predictor = inference.checkpoint.load("runs/digits")
        softer = inference.with_temperature(predictor, 1.5)
    """
    temperature = _check.real("temperature", temperature, _COLDEST, _HOTTEST)
    if predictor.task != "classification":
        raise InputError(f"A temperature is for classification. Received: a network for {predictor.task}")
    if predictor.model is None:
        return dataclasses.replace(predictor, function=_softened(predictor.function, temperature))
    model = predictor.model
    try:
        network = surgery.logits_of(model) if surgery.final_activation(model) == "softmax" else None
    except InputError:  # such as the mean of several heads
        network = None
    if network is None:
        kind = surgery.final_activation(model) or "an unknown end"
        raise InputError(f"A temperature needs a network that ends in a softmax. Received: {kind} in {model.name}")
    # The network may end in layers of these names already.
    names, number = {layer.name for layer in network.layers}, 1
    while {f"temperature_{number}", f"softmax_{number}"} & names:
        number += 1
    scaling = keras.layers.Rescaling(1 / temperature, dtype="float32", name=f"temperature_{number}")
    softmax = keras.layers.Activation("softmax", dtype="float32", name=f"softmax_{number}")
    model = over(network, softmax(scaling(network.outputs[0])))
    return dataclasses.replace(predictor, model=model, function=as_function(model, predictor.input_shape))


def keep(predictor: Predictor, temperature: float, fitted: dict[str, Any]) -> Path:
    """Writes calibration.json beside the checkpoint of a run.

    Args:
        predictor: loaded from a run, so that it has a path.
        temperature: what was fitted.
        fitted: on what, and with what gain; plain JSON values.

    Returns:
        The file.
    """
    path = _beside(predictor)
    record = {
        "temperature": temperature,
        "checkpoint": predictor.path.name,
        "sha256": _digest(predictor.path),
        **fitted,
    }
    _records.write(path, record)
    return path


def calibrated(predictor: Predictor) -> Predictor:
    """The network of a run with the temperature that `kerascnn evaluate RUN --calibrate` kept beside it.

    Args:
        predictor: from `inference.checkpoint.load`.

    Returns:
        `with_temperature` of it.

    Raises:
        InputError: there is no calibration.json, it is damaged, or was fitted for other weights than these.

    Example:

        predictor = inference.calibrated(inference.checkpoint.load("runs/digits"))
    """
    path = _beside(predictor)
    if not os.path.lexists(path):
        raise InputError(
            f"The run has no {FILE}; kerascnn evaluate {path.parent} --calibrate fits a temperature. Received: {path}"
        )
    record = _records.read(path, FILE)
    if not isinstance(record.get("sha256"), str) or not isinstance(record.get("temperature"), float):
        raise InputError(f"{FILE} must have a temperature and a sha256. Received: others in {path}")
    if record["sha256"] != _digest(predictor.path):
        raise InputError(
            f"{FILE} was fitted for other weights; kerascnn evaluate {path.parent} --calibrate fits it anew. "
            f"Received: {predictor.path}"
        )
    return with_temperature(predictor, record["temperature"])


def _beside(predictor: Predictor) -> Path:
    if predictor.path is None or not predictor.path.is_file():
        raise InputError(f"{FILE} belongs to the checkpoint of a run. Received: {predictor.path or 'no path'}")
    return predictor.path.parent / FILE


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _softened(function, temperature):
    def scaled(images: np.ndarray) -> np.ndarray:
        shares = np.asarray(function(images), np.float64) ** (1 / temperature)
        return (shares / shares.sum(axis=-1, keepdims=True)).astype(np.float32)

    return scaled

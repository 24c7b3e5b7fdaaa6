"""One network out of several of one architecture: the mean of their weights."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from kerascnn._errors import InputError
from kerascnn.inference.predictor import Predictor, as_function


def average_weights(predictors: Sequence[Predictor]) -> Predictor:
    """A new network whose weights are the means of those of several: checkpoints of one run, or runs from one start.

    Networks that were trained from different random weights have no mean that is good for anything; those of one run,
    and those fine-tuned from the same weights, do. The moving statistics of batch norms are averaged too, and are not
    those of the new weights: use `estimate_statistics` afterwards, as `evaluation.soup` does.

    Args:
        predictors: of one architecture, with Keras models, one at least.

    Returns:
        A predictor of its own, with the preprocessing, class names and config of the first.

    Raises:
        InputError: none is given, one has no Keras model, or they are not of one architecture.

    Source:
        Wortsman et al.: Model soups, 2022, arXiv:2203.05482; over one run: Izmailov et al. 2018, arXiv:1803.05407.

    Example:

        newest = [inference.checkpoint.load(f"runs/a/checkpoints/epoch_{epoch:04d}.keras") for epoch in (9, 10)]
        network = inference.average_weights(newest)
    """
    networks = list(predictors)
    if not networks:
        raise InputError("There must be networks to be averaged. Received: none")
    for predictor in networks:
        check_same(networks[0], predictor)
    model = keras.models.clone_model(networks[0].model)
    values = [predictor.model.get_weights() for predictor in networks]
    model.set_weights([_mean(parts) for parts in zip(*values, strict=True)])
    return dataclasses.replace(
        networks[0], model=model, function=as_function(model, networks[0].input_shape), path=None
    )


def check_same(first: Predictor, other: Predictor) -> None:
    """Refuses two networks that are not of one architecture, or do not see or name the same.

    Args:
        first, other: the networks.

    Raises:
        InputError: they differ; says in what.
    """
    for predictor in (first, other):
        if predictor.model is None:
            raise InputError(f"Weights are averaged of Keras models. Received: a function{predictor.origin}")
    for name in ("class_names", "input_shape", "preprocessing"):
        if getattr(first, name) != getattr(other, name):
            raise InputError(
                f"Networks to be averaged must have the same {name}. Received: others{first.origin} than{other.origin}"
            )
    if _architecture(first.model) != _architecture(other.model):
        raise InputError(
            f"Networks to be averaged must be of one architecture. Received: {_called(first)} and {_called(other)}"
        )


def _architecture(model) -> list:
    """The layers in their order, and what shapes their weights have; not their names, which count up in a process."""
    return [(type(layer).__name__, [tuple(weight.shape) for weight in layer.weights]) for layer in model.layers]


def _mean(parts):
    """The mean in float64; what is no number of that kind, such as the state of random numbers, of the first."""
    first = np.asarray(parts[0])
    if first.dtype.kind in "iub":
        return first
    return np.mean([np.asarray(part, np.float64) for part in parts], axis=0).astype(first.dtype)


def _called(predictor) -> str:
    name = predictor.config.get("model", {}).get("name", predictor.model.name)
    return f"{name}{predictor.origin}"

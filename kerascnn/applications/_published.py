"""Networks with published weights: which row `weights=` means, and what of the network follows from it."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
from absl import logging

from kerascnn._errors import InputError
from kerascnn.applications import _registry
from kerascnn.weights import catalogue, load_weights
from kerascnn.weights.files import endings, is_file_name

_HEAD = "head"  # the classifier is called so in every network


def published_row(info: _registry.ModelInfo, weights: Any) -> catalogue.Weights | None:
    """The row that is meant.

    Args:
        info: of the network.
        weights: as builders take it.

    Returns:
        The row; None for a file, or for none.

    Raises:
        InputError: it is neither a tag nor a file.
    """
    if weights is None:
        return None
    if not isinstance(weights, str | os.PathLike):
        raise InputError(f"weights must be None, the path of a file or a tag. Received: {weights!r}")
    path = os.fspath(weights)
    if path == catalogue.DEFAULT or path in catalogue.tags(info.name):
        return catalogue.find(info.name, path)
    if not isinstance(weights, str) or is_file_name(path) or os.path.splitext(path)[1]:
        return None
    raise InputError(
        f"weights must be None, a file ({endings()}) or a tag; tags of {info.name}: {catalogue.listed(info.name)}. "
        f"Received: {path[:80]!r}"
    )


def twin(published: catalogue.Weights, own: Any, spec: Any) -> Callable:
    """The builder of the network that a row is for, where it is not the one that was asked for.

    Args:
        published: the row.
        own: the spec of the network that was asked for.
        spec: the one that was given.

    Returns:
        The builder.

    Raises:
        InputError: the spec was changed, which the twin would not have.
    """
    if spec is not own:
        raise InputError(
            f"The weights {published.tag} are those of {published.network}; change its spec instead. Received: {spec!r}"
        )
    logging.warning(
        "The weights %s are for another form of the network, %s, which is built; docs/weights.md tells them apart.",
        published.tag, published.network,
    )  # fmt: skip
    return _registry.builder(published.network)


def as_published(info: _registry.ModelInfo, published: catalogue.Weights) -> _registry.ModelInfo:
    """A network with the facts of a row in place of its own: preprocessing, usual size and channels."""
    size = published.input_size or info.input_shape[:2]
    return dataclasses.replace(info, preprocessing=published.preprocessing, input_shape=(*size, published.channels))


def load_published(model: keras.Model, published: catalogue.Weights, path: Path, names: Mapping[str, Any]) -> None:
    """Loads the file of a row, whose library is known.

    Args:
        model: a network as it was built.
        published: the row.
        path: its file.
        names: library -> rules that translate its names.

    Raises:
        InputError: the file does not fit.
    """
    own = {published.library: names[published.library]} if published.library in names else {}
    whole = published.classes > 0 or not any(layer.name == _HEAD for layer in model.layers)
    load_weights(model if whole else keras.Model(model.inputs, model.get_layer(_HEAD).input), path, own)
    if published.bgr:
        turn_colors(model)


def turn_colors(model: keras.Model) -> None:
    """Turns the first convolution of a network that takes blue, green, red into one that takes red, green, blue."""
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernel = first.kernel.numpy()
    if kernel.shape[2] == 3:  # other numbers of channels have been spread evenly
        first.kernel.assign(kernel[:, :, ::-1])

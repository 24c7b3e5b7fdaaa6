"""Puts the variables of a file into a model: all of them or none."""

import os
import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from absl import logging

from kerascnn._errors import InputError
from kerascnn.models.auxiliary import AuxiliaryModel
from kerascnn.surgery.adapters import own_variables, refuse_quantized, reset_adapters
from kerascnn.weights.foreign import read_layers
from kerascnn.weights.guard import shown
from kerascnn.weights.memory import assign, is_finite
from kerascnn.weights.names import Rules
from kerascnn.weights.origin import warn_of_twins
from kerascnn.weights.tensorflow_names import leave_background_out

_HEAD = "head"  # the classifier is called so in every network
# It, and what stands before it in some heads.
_OF_HEADS = re.compile(r"head(_.*)?|fc|fc?\d(_bn)?|aspp_.*|last_(conv|bn)")
_AUXILIARY = "aux"  # layers of auxiliary heads are called aux...
_PROGRESS = "progress"  # of scheduled drop-path: a network has it as an option, and no other library's file does
_LISTED = 8  # names per list in an error message


def load_weights(
    model: keras.Model,
    path: str | os.PathLike,
    names: Mapping[str, Rules] | None = None,
    *,
    alike: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Reads a file into a model, layer by layer, by name.

    A model with another number of classes keeps its own head; a model without a head, or without the auxiliary heads of
    the file, ignores the file's. Another number of input channels adapts the first convolution, for files of PyTorch as
    timm does it: its kernel for three colors is repeated, and scaled by 3 / channels; else it is spread evenly. For one
    channel both are the sum, so that a gray image gives what its three equal colors gave. Another size of the image
    resizes what belongs to places, by the layer's own method `resized(arrays) -> arrays`, as
    `kerascnn.layers.PositionEmbedding` has one. What wraps the names of a state dict (`module.`, `model.`, `backbone.`,
    ...) is left out, which a line in the log says. Everything else must fit; a file that does not fit changes nothing.
    Low-rank adapters of the model start anew.

    Args:
        model: built by a builder of this package.
        path: a `.weights.h5`, `.keras` or `.h5` file of this package or of `keras.applications` (whose biases before a
            batch norm go into its mean); a file with the state dict of a PyTorch network; a checkpoint of TensorFlow.
        names: library -> rules that translate its names; "keras" is for Keras files, "tensorflow" for checkpoints,
            every other for PyTorch's.
        alike: library, "" for this package, -> the registry name of the model, then those of other networks that such
            a file fits as well; a warning in the log names them where the file does not tell which one it is for.

    Raises:
        InputError: the file cannot be read, or layers are missing, unexpected or of another shape; all are listed. Or
            a weight is not finite, or the model has quantized layers.
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise InputError(f"The model must be a built keras.Model. Received: {model!r}")
    refuse_quantized(model, "Weights are loaded")
    layers = {layer.name: layer for layer in model.layers}
    library, found = read_layers(path, layers, names or {}, model.name)
    wanted = {name: [tuple(v.shape) for v in own_variables(layer)] for name, layer in layers.items()}
    wanted = {name: shapes for name, shapes in wanted.items() if shapes}
    if not isinstance(model, AuxiliaryModel):
        found = {name: arrays for name, arrays in found.items() if not name.startswith(_AUXILIARY)}
    if library == "tensorflow":
        leave_background_out(found, wanted, path)
    for name in _head(found):
        if name not in wanted:
            if _HEAD not in wanted:
                del found[name]
        elif _other_classes(_shapes(found[name]), wanted[name]):
            del found[name], wanted[name]
    if (_PROGRESS in found) != (_PROGRESS in wanted):
        for names_of in (found, wanted):
            names_of.pop(_PROGRESS, None)
    first = _first_convolution(model)
    if first in found and first in wanted:
        found[first] = _adapt(
            found[first], wanted[first], repeats=library not in ("", "keras", "tensorflow"), path=path
        )
    for name in found.keys() & wanted.keys():
        if hasattr(layers[name], "resized") and _shapes(found[name]) != wanted[name]:
            found[name] = layers[name].resized(found[name])

    missing = [name for name in wanted if name not in found]
    unexpected = sorted(name for name in found if name not in wanted)
    misshaped = [
        f"{name} {_text(_shapes(found[name]))} instead of {_text(wanted[name])}"
        for name in wanted
        if name in found and _shapes(found[name]) != wanted[name]
    ]
    if missing or unexpected or misshaped:
        lists = (("missing", missing), ("unexpected", unexpected), ("mis-shaped", misshaped))
        details = "; ".join(f"{title}: {_listed(names)}" for title, names in lists if names)
        raise InputError(f"The weights do not fit {model.name}: {details}. Received: {shown(path)}")
    strange = next((name for name in wanted if not all(map(is_finite, found[name]))), None)
    if strange:
        raise InputError(f"Weights must be finite; {strange} has NaN or infinity. Received: {shown(path)}")
    for name in wanted:
        for variable, value in zip(own_variables(layers[name]), found.pop(name), strict=True):
            assign(variable, value)
        reset_adapters(layers[name])
    warn_of_twins(path, (alike or {}).get(library, ()), library)


def _head(found) -> list[str]:
    """The classifier and what belongs to it in some networks: `head_bn`, `fc6`, `aspp_conv1`."""
    return [name for name in found if _OF_HEADS.fullmatch(name)]


def _shapes(arrays) -> list[tuple[int, ...]]:
    return [tuple(array.shape) for array in arrays]


def _text(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _other_classes(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]]) -> bool:
    """The two differ in the number of classes alone, the last axis of every variable of a head.

    A kernel from scores to scores, as in fixed up-sampling, has it twice.
    """
    return (
        found != wanted
        and len(found) == len(wanted)
        and all(
            ours[:-1] == theirs[:-1]
            or (ours[:-2] == theirs[:-2] and ours[-2:] == 2 * ours[-1:] and theirs[-2:] == 2 * theirs[-1:])
            for ours, theirs in zip(wanted, found, strict=True)
        )
        and len({shape[-1] for shape in found}) == 1
    )


def _first_convolution(model: keras.Model) -> str | None:
    kernels = (layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    return next(kernels, None)


def _adapt(arrays: list[np.ndarray], wanted: list[tuple[int, ...]], repeats: bool, path) -> list[np.ndarray]:
    """A kernel [kh, kw, c, filters] for another number of channels, if that is all that differs."""
    kernel, shape = arrays[0], wanted[0]
    fits = kernel.ndim == len(shape) == 4 and kernel.shape[:2] == shape[:2] and kernel.shape[3] == shape[3]
    if not fits or kernel.shape[2] == shape[2]:
        return arrays
    given, channels = kernel.shape[2], shape[2]
    if repeats and channels > 1:
        made = np.take(kernel, np.arange(channels) % given, axis=2) * (given / channels)
    else:
        made = np.repeat(kernel.mean(axis=2, keepdims=True, dtype="float64") * (given / channels), channels, axis=2)
    if channels > 1:  # for one, every library takes the sum
        how = "repeated" if repeats else "spread evenly"
        logging.warning("The first kernel of %s, for %d channels, is %s for %d.", path, given, how, channels)
    return [made.astype(kernel.dtype), *arrays[1:]]

"""What a network says of each image of a data set, kept in a file: linear probes and neighbors need it many times."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import keras
import numpy as np

from kerascnn import _check, data
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.inference.predictor import as_function
from kerascnn.layers import model_preprocessing
from kerascnn.surgery.cut import input_in, up_to
from kerascnn.surgery.parts import HEAD
from kerascnn.surgery.replace import over
from kerascnn.weights.own_files import write_safetensors
from kerascnn.weights.safetensors_files import read_safetensors


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """Features of the images of one split, in its order."""

    values: np.ndarray  # float32 [n, features]
    labels: np.ndarray  # int64 [n]
    class_names: tuple[str, ...]
    layer: str  # where they come from; "head": what it is given

    def __len__(self) -> int:
        return len(self.labels)


def features(
    model: keras.Model,
    source: "data.Source",
    split: str = "train",
    *,
    layer: str | None = None,
    input_shape: tuple[int, int, int] | None = None,
    batch_size: int = 64,
    cache: str | os.PathLike | None = None,
) -> Features:
    """Runs the images of a data set through a network, up to its head or to a layer.

    Maps [height, width, channels] and tokens [count, channels] are averaged over their places. Pixels go through what
    the network itself asks for (`kerascnn.model_preprocessing`), in the way of evaluation.

    Args:
        model: a network of this package or one that was built upon one, such as
            `create_model("efficientnet_lite0", weights="imagenet")`.
        source: of `kerascnn.data.load`, with labels.
        split: "train", "validation" or "test".
        layer: name of a layer; None: what the layer called "head" is given.
        input_shape: (height, width, channels) of the images; None: that of the model.
        batch_size: images at a time.
        cache: a folder. Features of the same weights, layer, images and sizes are read from it, else written to it.

    Returns:
        The features, in the order of the split.

    Raises:
        InputError: there is no such layer or split, the size is not known, the set has masks, or a file of the cache is
            damaged.

    Example:

        network = kerascnn.create_model("efficientnet_lite0", weights="imagenet")
        train = kerascnn.features(network, kerascnn.data.load("digits"), cache="features")
        print(train.values.shape)
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise InputError(f"The model must be a built keras.Model. Received: {model!r}")
    if source.task != "classification":
        raise InputError(f"Features are for sets with labels. Received: {source.name}, for {source.task}")
    _check.whole("batch_size", batch_size, 1)
    shape = tuple(model.input_shape[1:] if input_shape is None else input_shape)
    if len(shape) != 3 or None in shape:
        raise InputError(f"input_shape must be (height, width, channels). Received: {shape}")
    part = _part(model, layer)
    constants = model_preprocessing(model).for_channels(shape[2])
    split_of = source.split(split)
    what = {
        "layer": layer or HEAD,
        "input_shape": shape,
        "preprocessing": constants.to_dict(),
        "images": source.record()["fingerprint"][split],
        "source": source.name,
        "weights": _digest(part),
    }
    file = None
    if cache is not None:
        name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
        file = ensure_folder(cache) / f"{model.name}-{split}-{name}.safetensors"
        if file.exists():
            return _read(file, what, split_of.size, source.class_names)
    batches = data.eval_pipeline(source, split, image_shape=shape, preprocessing=constants, batch_size=batch_size)
    values, labels, run = [], [], as_function(part, shape)
    for images, numbers in batches:
        values.append(np.asarray(run(images), "float32"))
        labels.append(numbers.numpy())
    found = Features(np.concatenate(values), np.concatenate(labels), tuple(source.class_names), what["layer"])
    if not np.isfinite(found.values).all():
        raise InputError(f"The network must give finite features. Received: {model.name}, layer {what['layer']}")
    if file is not None:
        write_safetensors(file, {"values": found.values, "labels": found.labels})
    return found


def _part(model: keras.Model, layer: str | None) -> keras.Model:
    """The network up to a layer, one vector an image."""
    if layer is None:
        heads = [x for x in model.layers if x.name == HEAD]
        if not heads:
            raise InputError(f"A network without a layer called head needs the name of one. Received: {model.name}")
        x = input_in(model, heads[0])
    else:
        x = up_to(model, layer).output
    if not isinstance(x, keras.KerasTensor) or not 2 <= len(x.shape) <= 4:
        raise InputError(f"Features must be vectors, tokens or maps. Received: {layer or HEAD} of {model.name}")
    if len(x.shape) > 2:
        x = keras.ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))
    return over(model, x)


def _digest(part: keras.Model) -> str:
    digest = hashlib.sha256()
    for variable in part.weights:
        digest.update(f"{variable.path} {variable.shape}".encode())
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def _read(file: Path, what: dict, size: int, class_names) -> Features:
    arrays = read_safetensors(file)
    values, labels = arrays.get("values"), arrays.get("labels")
    if values is None or labels is None or values.ndim != 2 or labels.shape != (size,) or len(values) != size:
        raise InputError(f"The features must be those of {size} images; delete the file. Received: {file}")
    return Features(np.array(values), np.array(labels, "int64"), tuple(class_names), what["layer"])

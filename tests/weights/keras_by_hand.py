"""Files as Keras 1 and 2 wrote them, written with h5py alone."""

import h5py
import numpy as np


def write(path, layers, *, group=None, chunks=1, text=bytes, version="2.2.4"):
    """Writes a file.

    Args:
        path: of the file.
        layers: name -> {weight name: array}, in the file's order.
        group: that holds the layers, "model_weights" in a file with a whole model; None: the root.
        chunks: number of attributes that a list is spread over.
        text: bytes, as Keras writes names, or str.
        version: of Keras; None: not told, as Keras 1.
    """
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        _names(root, "layer_names", list(layers), chunks, text)
        root.attrs["backend"] = b"tensorflow"
        if version:
            root.attrs["keras_version"] = version.encode()
        for name, arrays in layers.items():
            own = root.require_group(name)
            _names(own, "weight_names", list(arrays), 1, text)
            for key, array in arrays.items():
                own.create_dataset(key, data=array)
    return path


def _names(group, attribute, names, chunks, text):
    if not names:
        group.attrs[attribute] = []
        return
    for i, part in enumerate(np.array_split(np.array(names), chunks)):
        key = attribute if chunks == 1 else f"{attribute}{i}"
        group.attrs[key] = [name.encode() for name in part] if text is bytes else part.astype(object)


def of_model(model, rename=None):
    """What Keras 2 would write of a model: every layer, with the names of its variables."""
    rename = rename or (lambda name: name)
    return {
        rename(layer.name): {f"{rename(layer.name)}/{v.name}:0": np.asarray(v) for v in layer.weights}
        for layer in model.layers
    }

"""Variables of TensorFlow and JAX under the names of our layers; the layouts are nearly those of Keras."""

from collections.abc import Mapping

import numpy as np
from absl import logging

from kerascnn.weights.keras_names import translated
from kerascnn.weights.names import Rules

_KERNELS = ("weights", "depthwise_weights", "depthwise_kernel")
_ENTRIES = {**dict.fromkeys(_KERNELS, "kernel"), "biases": "bias", "scale": "gamma"}


def from_tensorflow(content: Mapping[str, np.ndarray], layers: Mapping, rules: Rules) -> dict[str, list[np.ndarray]]:
    """The layers of a checkpoint.

    Args:
        content: name of the variable, such as "MobilenetV1/Conv2d_0/weights", -> array.
        layers: the model's layers by name.
        rules: that translate scopes, such as "MobilenetV1/Conv2d_0".

    Returns:
        Our layer names -> arrays, in the order of the layer's variables; scopes that no rule knows under their own.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in content.items():
        scope, _, entry = name.rpartition("/")
        own = found.setdefault(translated(rules, scope) if scope else name, {})
        entry = _ENTRIES.get(entry, entry)
        own[name if entry in own else entry] = array
    return {name: _in_order(layers[name], own) if name in layers else list(own.values()) for name, own in found.items()}


def _in_order(layer, own: dict[str, np.ndarray]) -> list[np.ndarray]:
    arrays = []
    if "gamma" in own and "bias" in own:  # JAX calls the shift of a norm so
        own["beta"] = own.pop("bias")
    for variable in layer.weights:
        if variable.name in own:
            arrays.append(_shaped(own.pop(variable.name), tuple(variable.shape)))
    return [*arrays, *own.values()]


def _shaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A dense layer that is a 1x1 convolution there, or the other way round."""
    if array.ndim == 4 and len(shape) == 2 and array.shape[:2] == (1, 1):
        return array[0, 0]
    if array.ndim == 2 and len(shape) == 4:
        return array[None, None]
    return array


def leave_background_out(found: dict[str, list[np.ndarray]], wanted: Mapping, path) -> None:
    """Drops the first class where a file has one more than the model: the background, as in TF-slim's releases.

    Args:
        found: our layer names -> arrays of the file, which change.
        wanted: our layer names -> shapes of the model.
        path: for the log.
    """
    heads = {}
    for name in ("head", "aux_head"):
        arrays, shapes = found.get(name, []), wanted.get(name, [])
        more = [(*shape[:-1], shape[-1] + 1) for shape in shapes]
        if shapes and [array.shape for array in arrays] == more:
            heads[name] = [array[..., 1:] for array in arrays]
    if heads:
        logging.warning("Class 0 of %s, the background, is left out: the others are those of the model.", path)
        found.update(heads)

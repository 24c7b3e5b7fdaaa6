"""From one model into another: what both have under the same name."""

from collections.abc import Collection

import keras
import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.surgery.adapters import merged_weights, own_variables, refuse_quantized


def shallow_layers(model: keras.Model, convolutions: int = 4, dense: int = 3) -> list[str]:
    """The layers of a shallow network from which a deeper one starts: the first convolutions and the last dense layers.

    What lies between them in the deeper network keeps its random weights.

    Args:
        model: the shallow one, functional or sequential.
        convolutions: how many of its first ones.
        dense: how many of its last ones.

    Returns:
        Their names, for `copy_weights(..., layers=names)`.

    Raises:
        InputError: a number is none, or the model has fewer such layers.

    Source:
        Simonyan & Zisserman 2014 (arXiv:1409.1556), section 3.1: 4 and 3, from net A to B, C, D and E. In ours the
        layers have the names of their stages: A's second convolution is the first of B's second stage.

    Example:

        from kerascnn import weights

        a, d = (kerascnn.create_model(name, classes=10, input_shape=(32, 32, 3)) for name in ("vgg11", "vgg16"))
        weights.copy_weights(a, d, layers=weights.shallow_layers(a))
    """
    found: list[str] = []
    for kind, name, count, part in (
        (keras.layers.Conv2D, "convolutions", convolutions, slice(None, convolutions)),
        (keras.layers.Dense, "dense", dense, slice(-dense if dense else None, None if dense else 0)),
    ):
        _check.whole(name, count, 0)
        layers = [layer.name for layer in model.layers if isinstance(layer, kind)]
        if len(layers) < count:
            raise InputError(f"{name} must be at most {len(layers)}, those of {model.name}. Received: {name}={count}")
        found += layers[part]
    return found


def copy_weights(source: keras.Model, target: keras.Model, *, layers: Collection[str] | None = None) -> list[str]:
    """Gives the layers of a model the values that the layers of the same names have in another.

    A variable is copied where the layer of that name in the other model has a variable of that name and shape. Where a
    dense layer became a convolution over the same map, its matrix [height * width * channels, units] becomes the kernel
    [height, width, channels, units]. All else stays as it is: so an ImageNet network starts a segmentation network, a
    coarser FCN a finer one (Long, Shelhamer, Darrell 2014, arXiv:1411.4038, section 4.1), and a plain ResNet a
    deformable one. Low-rank adapters of the source are merged into what is copied; those of the target stay.

    Args:
        source: a built `keras.Model`.
        target: a built `keras.Model`, which changes.
        layers: names of those that are copied where they fit; None: all.

    Returns:
        The variables that were copied, as "layer/variable", in the target's order.

    Raises:
        InputError: nothing was copied, the source has no layer of a name, or a model is not built or has quantized
            layers.
    """
    for model in (source, target):
        if not isinstance(model, keras.Model) or not model.built:
            raise InputError(f"The models must be built keras.Models. Received: {model!r}")
        refuse_quantized(model, "Weights are copied")
    given = {layer.name: _values(layer) for layer in source.layers}
    unknown = sorted(set(layers or ()) - set(given))
    if unknown:
        raise InputError(f"{source.name} must have the layers that are copied. Received: {', '.join(unknown)[:200]}")
    if layers is not None:
        given = {name: given[name] for name in layers}
    copied = []
    for layer in target.layers:
        for variable in own_variables(layer):
            value = given.get(layer.name, {}).get(variable.name)
            if value is None:
                continue
            if variable.name == "kernel" and value.ndim == 2 and len(variable.shape) == 4:
                if value.shape != (np.prod(variable.shape[:3]), variable.shape[3]):
                    continue
                value = value.reshape(variable.shape)
            if value.shape == tuple(variable.shape):
                variable.assign(value)
                copied.append(f"{layer.name}/{variable.name}")
    if not copied:
        raise InputError(
            "The models must have layers with weights of the same name and shape. "
            f"Received: {source.name} and {target.name}"
        )
    return copied


def _values(layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    return {v.name: value for v, value in zip(own_variables(layer), merged_weights(layer), strict=True)}

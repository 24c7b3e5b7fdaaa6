"""From one model into another: what both have under the same name."""

import keras
import numpy as np

from kerascnn._errors import InputError
from kerascnn.surgery.adapters import merged_weights, own_variables, refuse_quantized


def copy_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Gives the layers of a model the values that the layers of the same names have in another.

    A variable is copied where the layer of that name in the other model has a variable of that name and shape. Where a
    dense layer became a convolution over the same map, its matrix [height * width * channels, units] becomes the kernel
    [height, width, channels, units]. All else stays as it is: so an ImageNet network starts a segmentation network, a
    coarser FCN a finer one (Long, Shelhamer, Darrell 2014, arXiv:1411.4038, section 4.1), and a plain ResNet a
    deformable one. Low-rank adapters of the source are merged into what is copied; those of the target stay.

    Args:
        source: a built `keras.Model`.
        target: a built `keras.Model`, which changes.

    Returns:
        The variables that were copied, as "layer/variable", in the target's order.

    Raises:
        InputError: nothing was copied, or a model is not built or has quantized layers.
    """
    for model in (source, target):
        if not isinstance(model, keras.Model) or not model.built:
            raise InputError(f"The models must be built keras.Models. Received: {model!r}")
        refuse_quantized(model, "Weights are copied")
    given = {layer.name: _values(layer) for layer in source.layers}
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

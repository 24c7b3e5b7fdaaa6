"""A network on Keras' own convolutions, to see what ours are worth."""

from typing import Any

import keras

from kerascnn import layers


def with_keras_convolutions(model: keras.Model) -> keras.Model:
    """A clone of a network, with weights of its own, in which Keras' own Conv2D does every convolution.

    Args:
        model: functional.

    Returns:
        The clone. Where padding is explicit, a `ZeroPadding2D` stands before the convolution.
    """
    return keras.models.clone_model(model, clone_function=_replaced)


def _replaced(layer: Any) -> Any:
    config = layer.get_config()
    if not isinstance(layer, layers.Conv2D):
        return type(layer).from_config(config)
    if isinstance(config["padding"], str):
        return keras.layers.Conv2D.from_config(config)
    padding, name = config.pop("padding"), config.pop("name")
    if isinstance(padding, int):
        padding = ((padding, padding), (padding, padding))
    convolution = keras.layers.Conv2D.from_config({**config, "padding": "valid", "name": "conv"})
    return keras.Sequential([keras.layers.ZeroPadding2D(padding, name="pad"), convolution], name=name)

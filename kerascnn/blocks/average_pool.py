"""The average pool inside Inception modules, which keeps the size."""

import keras


def average_pool(x: keras.KerasTensor, *, counted: bool, name: str) -> keras.KerasTensor:
    """Mean over 3x3 windows; at the border over the pixels inside, or, if `counted`, over nine with zeros outside.

    TensorFlow leaves padding out of the mean; Torch and Caffe count it.
    """
    if not counted:
        return keras.layers.AveragePooling2D(3, 1, "same", name=name)(x)
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.AveragePooling2D(3, 1, name=name)(x)

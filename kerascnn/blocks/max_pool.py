"""Max pooling with symmetric padding."""

import keras


def max_pool(
    x: keras.KerasTensor, pool_size: int = 3, strides: int = 2, *, padding: int = 1, name: str
) -> keras.KerasTensor:
    """Pads by zeros on all sides, then takes maxima; as Torch's for x >= 0, which a ReLU before it ensures."""
    if padding:
        x = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(pool_size, strides, name=name)(x)

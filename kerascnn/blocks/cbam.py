"""The two gates of CBAM (Woo et al. 2018, arXiv:1807.06521): channels first, then pixels."""

import keras

from kerascnn import layers


def channel_gate(x: keras.KerasTensor, reduction: int, *, name: str) -> keras.KerasTensor:
    """x times gate: one MLP (dense c / reduction, ReLU, dense c) on global average and maximum, sum, sigmoid."""
    reduce = layers.PlainConv2D(x.shape[-1] // reduction, 1, activation="relu", name=f"{name}_reduce")
    expand = layers.PlainConv2D(x.shape[-1], 1, name=f"{name}_expand")
    average = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_average")(x)
    maximum = keras.layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_maximum")(x)
    gate = keras.layers.Add(name=f"{name}_add")([expand(reduce(average)), expand(reduce(maximum))])
    gate = keras.layers.Activation("sigmoid", name=f"{name}_sigmoid")(gate)
    return keras.layers.Multiply(name=f"{name}_scale")([x, gate])


def spatial_gate(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """x times gate: maximum and mean over the channels, 7x7 convolution to one map, BN, sigmoid."""
    gate = layers.ChannelPool(name=f"{name}_pool")(x)
    gate = layers.PlainConv2D(1, 7, padding="same", use_bias=False, name=f"{name}_conv")(gate)
    gate = layers.BatchNormalization(momentum=0.99, epsilon=1e-5, name=f"{name}_bn")(gate)
    gate = keras.layers.Activation("sigmoid", name=f"{name}_sigmoid")(gate)
    return keras.layers.Multiply(name=f"{name}_scale")([x, gate])

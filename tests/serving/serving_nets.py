"""A small classifier with everything that folding meets."""

import keras
import numpy as np

from kerascnn._preprocessing import CIFAR
from kerascnn.layers import Conv2D

SHAPE = (12, 12, 3)
NAMES = tuple(f"class {index}" for index in range(7))


def randomize(model, seed=0):
    """Weights and batch statistics that are all unlike their initial values."""
    random = np.random.default_rng(seed)
    weights = model.get_weights()
    model.set_weights(
        [random.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else random.normal(scale=0.4, size=w.shape) for w in weights]
    )
    return model


def conv_bn(x, filters, conv=keras.layers.Conv2D, dtype=None, **options):
    options = {"padding": "same", "use_bias": False, **options}
    x = conv(filters, 3, dtype=dtype, **options)(x)
    return keras.layers.BatchNormalization(dtype=dtype)(x)


def small_net(grouped=Conv2D, activation="softmax", dtype=None, shape=SHAPE, classes=7):
    """conv-BN, grouped conv-BN, a pre-activation branch (its BN stays), depthwise-BN, dense-BN, dropout, dense."""
    x = inputs = keras.Input(shape)
    x = keras.layers.ReLU(dtype=dtype)(conv_bn(x, 8, dtype=dtype))
    y = conv_bn(x, 8, grouped, dtype=dtype, groups=4, name="grouped", use_bias=True)
    x = keras.layers.Add(dtype=dtype)([x, y])
    y = keras.layers.BatchNormalization(name="preactivation", dtype=dtype)(x)
    y = keras.layers.Conv2D(8, 1, dtype=dtype)(keras.layers.ReLU(dtype=dtype)(y))
    x = keras.layers.Add(dtype=dtype)([x, y])
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, dtype=dtype)(x)
    x = keras.layers.BatchNormalization(scale=False, dtype=dtype)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype)(x)
    x = keras.layers.Dense(9, dtype=dtype)(x)
    x = keras.layers.BatchNormalization(center=False, dtype=dtype)(x)
    x = keras.layers.Dropout(0.5, dtype=dtype)(x)
    outputs = keras.layers.Dense(classes, activation, dtype="float32", name="head")(x)
    return randomize(keras.Model(inputs, outputs, name="small"))


def export_options(**changes):
    return {"class_names": NAMES, "preprocessing": CIFAR, "input_shape": SHAPE, "check": False, **changes}

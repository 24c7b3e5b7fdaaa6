"""Convolution, batch norm, ReLU, as in the Torch releases of the ResNet family."""

import functools

import keras

from kerascnn.layers.batch_normalization import BatchNormalization
from kerascnn.layers.conv2d import Conv2D
from kerascnn.layers.plain_conv2d import PlainConv2D

# N(0, sqrt(2 / (k * k * filters))): He et al. 2015, arXiv:1502.01852, in the fan-out form of fb.resnet.torch.
HE_FAN_OUT = functools.partial(
    keras.initializers.VarianceScaling, 2.0, mode="fan_out", distribution="untruncated_normal"
)


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    *,
    groups: int = 1,
    dilation: int = 1,
    use_bias: bool = False,
    name: str,
) -> keras.KerasTensor:
    """Convolution, symmetrically padded by dilation * (kernel_size - 1) / 2: [b, h, w, c] -> [b, h/s, w/s, filters]."""
    options = {"use_bias": use_bias, "kernel_initializer": HE_FAN_OUT(), "name": name}
    if groups == 1 and dilation == 1 and (strides == 1 or kernel_size == 1):
        return PlainConv2D(filters, kernel_size, strides, "same", **options)(x)
    # Not plain: TensorFlow's "same" pads strided windows one-sidedly, and its grouped gradients are slow.
    padding = dilation * (kernel_size - 1) // 2
    return Conv2D(filters, kernel_size, strides, padding, dilation_rate=dilation, groups=groups, **options)(x)


def batch_norm(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """Batch norm with Torch's constants."""
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def bn_relu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """Batch norm called `name`, ReLU: the pre-activation."""
    return keras.layers.Activation("relu", name=name.replace("bn", "relu"))(batch_norm(x, name=name))


def conv_bn(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    *,
    groups: int = 1,
    dilation: int = 1,
    relu: bool = True,
    name: str,
) -> keras.KerasTensor:
    """Convolution without bias, batch norm, ReLU if `relu`; `name` contains "conv", which names the others too."""
    x = conv(x, filters, kernel_size, strides, groups=groups, dilation=dilation, name=name)
    bn_name = name.replace("conv", "bn")
    return bn_relu(x, name=bn_name) if relu else batch_norm(x, name=bn_name)

"""ResNet for CIFAR trained with stochastic depth.

Gao Huang, Yu Sun, Zhuang Liu, Daniel Sedra, Kilian Weinberger: Deep Networks with Stochastic Depth, 2016,
arXiv:1603.09382.

Departures: none from the authors' release (yueatsprograms/Stochastic_Depth), whose convolutions keep biases and whose
shortcuts average 2x2 pixels; of an odd size the last row and column are averaged alone, where the release stops.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Section 4."""

    depth: int  # layers with weights, 6n + 2
    survival: float = 0.5  # probability p_L that the last block is kept; linear decay from 1 before the first


VARIANTS = {"resnet110_sd": Spec(110), "resnet1202_sd": Spec(1202)}


def conv_bn(x, filters, stride=1, *, name):
    """3x3/stride with bias, BN."""
    x = blocks.conv(x, filters, 3, stride, use_bias=True, name=name)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name.replace("conv", "bn"))(x)


def relu(x, *, name):
    """ReLU."""
    return keras.layers.Activation("relu", name=name)(x)


def block(x, filters, stride, survival, *, name):
    """3x3/stride, BN, ReLU, 3x3, BN, kept or not; plus x (averaged 2x2 and with zero channels), ReLU."""
    y = relu(conv_bn(x, filters, stride, name=f"{name}_conv1"), name=f"{name}_relu1")
    y = conv_bn(y, filters, name=f"{name}_conv2")
    y = layers.DropPath(1 - survival, "batch", "inference", name=f"{name}_survival")(y)
    if stride > 1:
        x = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_shortcut_pool")(x)
        x = layers.ZeroPadShortcut(filters, name=f"{name}_shortcut")(x)
    return relu(keras.layers.Add(name=f"{name}_add")([x, y]), name=f"{name}_relu")


def features(x, spec: Spec):
    """Stage outputs [b, h, w, 16], [b, h/2, w/2, 32], [b, h/4, w/4, 64]."""
    x = relu(conv_bn(x, 16, name="stem_conv"), name="stem_relu")
    depth = (spec.depth - 2) // 6
    stages = []
    for s, filters in enumerate((16, 32, 64)):
        for b in range(depth):
            survival = 1 - (s * depth + b + 1) / (3 * depth) * (1 - spec.survival)  # equation 4
            stride = 2 if s > 0 and b == 0 else 1
            x = block(x, filters, stride, survival, name=f"stage{s + 1}_block{b + 1}")
        stages.append(x)
    return stages


_family = CIFARFamily(
    __name__,
    recipe="stochastic_depth",
    features=features,
    variants=VARIANTS,
    paper="Huang, Sun, Liu, Sedra, Weinberger: Deep Networks with Stochastic Depth, 2016, arXiv:1603.09382",
    weight_decay=1e-4,
    min_size=8,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ResNet110SD = _family("ResNet110SD", "resnet110_sd", reported="CIFAR-10 5.23, CIFAR-100 24.58 % (paper)")
ResNet1202SD = _family("ResNet1202SD", "resnet1202_sd", reported="CIFAR-10 4.91 % (paper)")

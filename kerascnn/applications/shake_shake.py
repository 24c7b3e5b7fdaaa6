"""Shake-Shake: CIFAR residual networks of two branches, mixed at random anew for every image, forwards and backwards.

Xavier Gastaldi: Shake-Shake regularization, 2017, arXiv:1705.07485, the form that the paper calls Shake-Shake-Image,
as released (xgastaldi/shake-shake).

Departures: none. Batch norm and initial values follow the release.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network of depth 6 * units + 2 and two branches of `width`, called 26 2x`width`d."""

    width: int  # of the first stage; doubles from stage to stage
    units: int = 4  # per stage


VARIANTS = {  # tables 1 and 2
    "shake_shake26_2x32d": Spec(32),
    "shake_shake26_2x64d": Spec(64),
    "shake_shake26_2x96d": Spec(96),
    "shake_shake26_2x112d": Spec(112),
}


def relu(x, *, name):
    """ReLU."""
    return keras.layers.Activation("relu", name=name)(x)


def branch(x, filters, stride, *, name):
    """3x3/stride, BN, ReLU, 3x3, BN; the ReLU before it is the unit's."""
    x = blocks.conv_bn(x, filters, 3, stride, name=f"{name}_conv1")
    return blocks.conv_bn(x, filters, 3, relu=False, name=f"{name}_conv2")


def shortcut(x, filters, stride, *, name):
    """Two 1x1 side by side, each to half the channels, and BN.

    With a stride they see different pixels: of even and, the image being shifted right and down by one, of odd place.
    """
    y = keras.layers.ZeroPadding2D(((1, 0), (1, 0)), name=f"{name}_shift_pad")(x)
    y = keras.layers.Cropping2D(((0, 1), (0, 1)), name=f"{name}_shift_crop")(y)
    x = blocks.conv(x, filters // 2, 1, stride, name=f"{name}_conv1")
    y = blocks.conv(y, filters // 2, 1, stride, name=f"{name}_conv2")
    x = keras.layers.Concatenate(name=f"{name}_concat")([x, y])
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)


def unit(x, filters, stride, *, name):
    """ReLU, two branches, mixed; plus x, or where the shape changes the shortcut of that ReLU's output."""
    pre = relu(x, name=f"{name}_relu0")
    sides = [branch(pre, filters, stride, name=f"{name}_branch{i}") for i in (1, 2)]
    if x.shape[-1] != filters:
        x = shortcut(pre, filters, stride, name=f"{name}_shortcut")
    return keras.layers.Add(name=f"{name}_add")([x, layers.ShakeShake(name=f"{name}_shake")(sides)])


def features(x, spec: Spec):
    """Stage outputs [b, h, w, k], [b, h/2, w/2, 2k], [b, h/4, w/4, 4k], sums; the last one after a ReLU."""
    x = blocks.conv_bn(x, 16, 3, relu=False, name="stem_conv")
    stages = []
    for s in range(3):
        for b in range(spec.units):
            stride = 2 if s > 0 and b == 0 else 1
            x = unit(x, spec.width * 2**s, stride, name=f"stage{s + 1}_block{b + 1}")
        stages.append(x)
    return [*stages[:-1], relu(x, name="final_relu")]


_family = CIFARFamily(
    __name__,
    recipe="shake_shake",
    features=features,
    variants=VARIANTS,
    paper="Gastaldi: Shake-Shake regularization, 2017, arXiv:1705.07485",
    min_size=8,
    weight_decay=1e-4,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ShakeShake26_2x32d = _family("ShakeShake26_2x32d", "shake_shake26_2x32d", reported="CIFAR-10 3.55 % (paper)")
ShakeShake26_2x64d = _family("ShakeShake26_2x64d", "shake_shake26_2x64d", reported="CIFAR-10 2.98 % (paper)")
ShakeShake26_2x96d = _family("ShakeShake26_2x96d", "shake_shake26_2x96d", reported="CIFAR-10 2.86 % (paper)")
ShakeShake26_2x112d = _family("ShakeShake26_2x112d", "shake_shake26_2x112d", reported="CIFAR-10 2.82 % (release)")

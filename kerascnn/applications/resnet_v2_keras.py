"""ResNet version 2 in the form of `keras.applications`, to which its weights belong.

After Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: Identity Mappings in Deep Residual Networks, 2016,
arXiv:1603.05027. `resnet_v2` has the paper's networks.

Departures, all of them Keras': the stem has a bias and no BN, and every unit its own BN and ReLU; the first unit of a
stage projects, the last one strides, with a sub-sampled identity beside it; the third convolution and the projection
have biases; the pixel range is [-1, 1].
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family, Ordered
from kerascnn.applications._images import pixels_and_labels
from kerascnn.layers.batch_normalization import BatchNormalization
from kerascnn.layers.conv2d import Conv2D
from kerascnn.layers.plain_conv2d import PlainConv2D


@dataclasses.dataclass(frozen=True)
class Spec:
    """One depth."""

    depths: tuple[int, ...]  # units per stage
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of the 3x3 convolutions; a stage puts out four times as much
    strides: tuple[int, ...] = (2, 2, 2, 1)  # of each stage's last unit


VARIANTS = {  # table 1 of arXiv:1512.03385
    "resnetv2_50_keras": Spec((3, 4, 6, 3)),
    "resnetv2_101_keras": Spec((3, 4, 23, 3)),
    "resnetv2_152_keras": Spec((3, 8, 36, 3)),
}


def bn_relu(x, *, name):
    """Batch norm with Keras' constants, ReLU."""
    x = BatchNormalization(momentum=0.99, epsilon=1.001e-5, name=name)(x)
    return keras.layers.Activation("relu", name=name.replace("bn", "relu"))(x)


def unit(x, width, stride, rate, *, project, name):
    """BN, ReLU, 1x1, BN, ReLU, 3x3/stride, BN, ReLU, 1x1, plus projection, sub-sampled x or x."""
    pre = bn_relu(x, name=f"{name}_bn1")
    if project:
        x = PlainConv2D(4 * width, 1, stride, name=f"{name}_shortcut_conv")(pre)
    elif stride > 1:
        x = keras.layers.MaxPooling2D(1, stride, name=f"{name}_shortcut_pool")(x)
    y = PlainConv2D(width, 1, use_bias=False, name=f"{name}_conv1")(pre)
    y = bn_relu(y, name=f"{name}_bn2")
    y = Conv2D(width, 3, stride, padding=1, use_bias=False, name=f"{name}_conv2")(y)
    y = bn_relu(y, name=f"{name}_bn3")
    y = PlainConv2D(4 * width, 1, name=f"{name}_conv3")(y)
    return keras.layers.Add(name=f"{name}_add")([x, blocks.drop_path(y, rate, name=f"{name}_drop_path")])


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h/8, w/8, 256], [b, h/16, w/16, 512], [b, h/32, w/32, 1024], [b, h/32, w/32, 2048].

    They are sums without activation, but the last, which has passed the final BN and ReLU.
    """
    x = Conv2D(64, 7, 2, padding=3, name="stem_conv")(x)
    x = blocks.max_pool(x, name="stem_pool")  # with zeros around values of both signs, as in Keras
    rates = blocks.linear_rates(drop_path_rate, spec.depths)
    stages = []
    for s, (depth, width, stride) in enumerate(zip(spec.depths, spec.widths, spec.strides, strict=True)):
        for b in range(depth):
            step = stride if b == depth - 1 else 1
            x = unit(x, width, step, rates[s][b], project=b == 0, name=f"stage{s + 1}_block{b + 1}")
        stages.append(x)
    return [*stages[:-1], bn_relu(x, name="final_bn")]


_keras = (  # counts stages from 2, and batch norms from the one before the first convolution
    (r"conv1_conv", "stem_conv"),
    (r"conv(\d)_block(\d+)_preact_bn", "stage{1-1}_block{2}_bn1"),
    (r"conv(\d)_block(\d+)_0_conv", "stage{1-1}_block{2}_shortcut_conv"),
    (r"conv(\d)_block(\d+)_(\d)_conv", "stage{1-1}_block{2}_conv{3}"),
    (r"conv(\d)_block(\d+)_(\d)_bn", "stage{1-1}_block{2}_bn{3+1}"),
    (r"post_bn", "final_bn"),
    (r"predictions|probs", "head"),  # the files of 2019 have the latter,
)
_family = Family(
    __name__,
    features=features,
    variants=VARIANTS,
    paper="He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks, 2016, arXiv:1603.05027",
    preprocessing=INCEPTION,
    names={"keras": Ordered(_keras)},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ResNet50V2Keras = _family("ResNet50V2Keras", "resnetv2_50_keras")
ResNet101V2Keras = _family("ResNet101V2Keras", "resnetv2_101_keras")
ResNet152V2Keras = _family("ResNet152V2Keras", "resnetv2_152_keras")

"""Deformable ResNet: the 3x3 convolutions of the last stage learn where they look.

Jifeng Dai, Haozhi Qi, Yuwen Xiong, Yi Li, Guodong Zhang, Han Hu, Yichen Wei: Deformable Convolutional Networks, ICCV
2017, arXiv:1703.06211. With masks, in the last three stages: Xizhou Zhu, Han Hu, Stephen Lin, Jifeng Dai: Deformable
ConvNets v2: More Deformable, Better Results, CVPR 2019, arXiv:1811.11168 (`deformed=3, modulated=True` of the row).

As in the authors' code (msracver/Deformable-ConvNets), which has ResNet-101: bottlenecks stride in the first 1x1, the
offsets come from a 3x3 convolution with bias, zero at the start and never dilated, one group of offsets serves all
channels, and every block of a dilated stage has the stage's dilation. So each deformable convolution of 512 channels
has 82,962 weights more than a plain one, and before training the network is the plain one.

Departures: the authors attach segmentation and detection networks; the classifier here is ResNet's, and output stride
16, theirs, is an option. Offsets learn at a tenth of the rate, as in the paper of version 2 and with SGD alone.
Reconstructed: ResNet-50 is the same change to a network that was not released with it; in ResNet-18, which the paper
does not have, both 3x3 convolutions of each block are deformable, the first of which strides.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """One network."""

    depths: tuple[int, ...]  # blocks per stage
    bottleneck: bool = True  # 1x1, 3x3, 1x1 with four times the width out; False: 3x3, 3x3
    deformed: int = 1  # how many stages, from the last on, have deformable 3x3 convolutions
    modulated: bool = False  # with masks (version 2)
    offset_rate: float = 0.1  # factor on the learning rate of the offsets, with SGD
    width: float = 1.0  # factor on all widths, rounded to multiples of 8


VARIANTS = {
    "deformable_resnet18": Spec((2, 2, 2, 2), bottleneck=False),
    "deformable_resnet50": Spec((3, 4, 6, 3)),
    "deformable_resnet101": Spec((3, 4, 23, 3)),
}
_WIDTHS = (64, 128, 256, 512)


def conv3x3(x, width, stride, dilation, deformable, spec, *, name):
    """3x3/stride, BN; deformable, with offsets from a 3x3 that is not dilated, or plain."""
    if not deformable:
        return blocks.conv_bn(x, width, 3, stride, dilation=dilation, relu=False, name=name)
    kernel = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")
    options = {"dilation_rate": dilation, "offset_dilation_rate": 1, "modulated": spec.modulated, "use_bias": False}
    options["offset_learning_rate"] = spec.offset_rate
    x = layers.DeformableConv2D(width, 3, stride, dilation, kernel_initializer=kernel, name=name, **options)(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name.replace("conv", "bn"))(x)


def relu(x, *, name):
    """ReLU."""
    return keras.layers.Activation("relu", name=name)(x)


def basic(x, width, stride, dilation, deformable, spec, *, name):
    """3x3/stride, BN, ReLU, 3x3, BN."""
    x = conv3x3(x, width, stride, dilation, deformable, spec, name=f"{name}_conv1")
    return conv3x3(relu(x, name=f"{name}_relu1"), width, 1, dilation, deformable, spec, name=f"{name}_conv2")


def bottleneck(x, width, stride, dilation, deformable, spec, *, name):
    """1x1/stride, BN, ReLU, 3x3, BN, ReLU, 1x1 to 4 * width, BN."""
    x = blocks.conv_bn(x, width, 1, stride, name=f"{name}_conv1")
    x = conv3x3(x, width, 1, dilation, deformable, spec, name=f"{name}_conv2")
    return blocks.conv_bn(relu(x, name=f"{name}_relu2"), 4 * width, 1, relu=False, name=f"{name}_conv3")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, c], [b, h/8, w/8, 2c], [b, h/16, w/16, 4c], [b, h/32, w/32, 8c]; c = 64 or 256."""
    branch, expansion = (bottleneck, 4) if spec.bottleneck else (basic, 1)
    x = blocks.conv_bn(x, blocks.rounded(64 * spec.width), 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")
    stages, widths = [], [blocks.rounded(width * spec.width) for width in _WIDTHS]
    for at in blocks.places(spec.depths, output_stride=output_stride, drop_path_rate=drop_path_rate):
        width, deformable = widths[at.stage], at.stage >= len(widths) - spec.deformed
        y = branch(x, width, at.stride, at.dilations[1], deformable, spec, name=at.name)
        if at.stride > 1 or x.shape[-1] != expansion * width:
            x = blocks.conv_bn(x, expansion * width, 1, at.stride, relu=False, name=f"{at.name}_shortcut_conv")
        y = blocks.drop_path(y, at.rate, name=f"{at.name}_drop_path")
        x = relu(keras.layers.Add(name=f"{at.name}_add")([x, y]), name=f"{at.name}_relu")
        stages += [x] * at.last
    return stages


_family = Family(
    __name__,
    features=features,
    variants=VARIANTS,
    paper="Dai, Qi, Xiong, Li, Zhang, Hu, Wei: Deformable Convolutional Networks, 2017, arXiv:1703.06211",
    preprocessing=IMAGENET,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

DeformableResNet18 = _family("DeformableResNet18", "deformable_resnet18", reconstructed=True)
DeformableResNet50 = _family("DeformableResNet50", "deformable_resnet50", reconstructed=True)
DeformableResNet101 = _family("DeformableResNet101", "deformable_resnet101")

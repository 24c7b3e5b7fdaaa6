"""BiT, "Big Transfer": pre-activation ResNets with group norm and weight-standardized convolutions.

Alexander Kolesnikov, Lucas Beyer, Xiaohua Zhai, Joan Puigcerver, Jessica Yung, Sylvain Gelly, Neil Houlsby: Big
Transfer (BiT): General Visual Representation Learning, 2019, arXiv:1912.11370, as released
(google-research/big_transfer): no norm in the stem, whose pool pads by zeros; bottlenecks stride in the 3x3;
projections are standardized and have no norm; the head starts at zero.

Departures: none; to the variance of the filters the release adds 1e-10, timm 1e-8. The weights that the paper
fine-tunes from have a head of 21,843 classes: `classes=21843`.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family, Ranked
from kerascnn.applications._images import pixels_and_labels
from kerascnn.blocks.conv_bn import HE_FAN_OUT
from kerascnn.layers import WeightStandardizedConv2D


@dataclasses.dataclass(frozen=True)
class Spec:
    """Depth and width."""

    depths: tuple[int, ...]  # units per stage
    widen: int = 1  # factor on all widths
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of the 3x3 convolutions, before it; a stage puts out four times


VARIANTS = {  # section 3.2
    "resnetv2_50x1_bit": Spec((3, 4, 6, 3)),
    "resnetv2_101x1_bit": Spec((3, 4, 23, 3)),
    "resnetv2_152x2_bit": Spec((3, 8, 36, 3), widen=2),
    "resnetv2_152x4_bit": Spec((3, 8, 36, 3), widen=4),
}


def conv(x, filters, size, stride=1, dilation=1, *, name):
    """Weight-standardized convolution without bias, symmetrically padded."""
    padding = dilation * (size // 2)
    options = {"dilation_rate": dilation, "use_bias": False, "kernel_initializer": HE_FAN_OUT(), "name": name}
    return WeightStandardizedConv2D(filters, size, stride, padding, **options)(x)


def norm_relu(x, *, name):
    """Group norm over 32 groups, ReLU."""
    x = keras.layers.GroupNormalization(32, epsilon=1e-5, name=name)(x)
    return keras.layers.Activation("relu", name=name.replace("norm", "relu"))(x)


def unit(x, width, stride, dilations, rate, *, name):
    """GN, ReLU, 1x1, GN, ReLU, 3x3/stride, GN, ReLU, 1x1 to 4 * width; plus x.

    Where the shape changes, plus 1x1/stride of what the branch sees.
    """
    y = norm_relu(x, name=f"{name}_norm1")
    if stride != 1 or x.shape[-1] != 4 * width:
        x = conv(y, 4 * width, 1, stride, name=f"{name}_shortcut_conv")
    y = norm_relu(conv(y, width, 1, name=f"{name}_conv1"), name=f"{name}_norm2")
    y = norm_relu(conv(y, width, 3, stride, dilations[0], name=f"{name}_conv2"), name=f"{name}_norm3")
    y = blocks.drop_path(conv(y, 4 * width, 1, name=f"{name}_conv3"), rate, name=f"{name}_drop_path")
    return keras.layers.Add(name=f"{name}_add")([x, y])


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, 256k], [b, h/8, w/8, 512k], [b, h/16, w/16, 1024k], [b, h/32, w/32, 2048k].

    They are sums without activation, but the last, which has passed the final norm and ReLU.
    """
    x = conv(x, 64 * spec.widen, 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")  # with zeros around values of both signs, as released
    stages = []
    for at in blocks.places(spec.depths, output_stride=output_stride, drop_path_rate=drop_path_rate):
        x = unit(x, spec.widen * spec.widths[at.stage], at.stride, at.dilations, at.rate, name=at.name)
        stages += [x] * at.last
    return [*stages[:-1], norm_relu(x, name="final_norm")]


def head(x, classes, activation):
    """Global average pool, dense with weights and biases that start at zero; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    return keras.layers.Dense(classes, activation, kernel_initializer="zeros", dtype=dtype, name="head")(x)


_TIMM = (
    (r"stem\.conv", "stem_conv"),
    (r"stages\.(\d)\.blocks\.(\d+)\.(conv|norm)(\d)", "stage{1+1}_block{2+1}_{3}{4}"),
    (r"stages\.(\d)\.blocks\.(\d+)\.downsample\.conv", "stage{1+1}_block{2+1}_shortcut_conv"),
    (r"norm", "final_norm"),
    (r"head\.fc", "head"),
)
_AUTHORS = (  # scopes of the authors' `.npz` files
    (r"resnet/root_block/standardized_conv2d", "stem_conv"),
    *((rf"resnet/block(\d)/unit0?(\d+)/{letter}/standardized_conv2d", f"stage{{1}}_block{{2}}_conv{i}")
      for i, letter in enumerate("abc", 1)),
    *((rf"resnet/block(\d)/unit0?(\d+)/{letter}/group_norm", f"stage{{1}}_block{{2}}_norm{i}")
      for i, letter in enumerate("abc", 1)),
    (r"resnet/block(\d)/unit0?(\d+)/a/proj/standardized_conv2d", "stage{1}_block{2}_shortcut_conv"),
    (r"resnet/group_norm", "final_norm"),
    (r"resnet/head/conv2d", "head"),
)  # fmt: skip
_PREPROCESSING = dataclasses.replace(INCEPTION, crop_fraction=1.0)  # the whole image, as in the authors' evaluation
_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Kolesnikov, Beyer, Zhai, Puigcerver, Yung, Gelly, Houlsby: Big Transfer (BiT), 2019, arXiv:1912.11370",
    preprocessing=_PREPROCESSING,
    weight_decay=1e-4,
    names={"timm": Ranked(_TIMM), "tensorflow": _AUTHORS},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

BiTResNet50x1 = _family("BiTResNet50x1", "resnetv2_50x1_bit", reported="top-1 19.32 % (BiT-M, fine-tuned)")
BiTResNet101x1 = _family("BiTResNet101x1", "resnetv2_101x1_bit")
BiTResNet152x2 = _family("BiTResNet152x2", "resnetv2_152x2_bit", reported="top-1 14.85 % (BiT-M, fine-tuned)")
BiTResNet152x4 = _family(
    "BiTResNet152x4", "resnetv2_152x4_bit", reported="top-1 14.61 % (BiT-M), 12.46 % (BiT-L), both fine-tuned"
)

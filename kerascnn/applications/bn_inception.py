"""BN-Inception (Inception v2): GoogLeNet with batch norm and two 3x3 for each 5x5; also with SE and CBAM gates.

Sergey Ioffe, Christian Szegedy: Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift, 2015, arXiv:1502.03167. `se_bn_inception`: Jie Hu, Li Shen, Samuel Albanie, Gang Sun, Enhua Wu: Squeeze-and-
Excitation Networks, 2017, arXiv:1709.01507. `cbam_bn_inception`: gates of Sanghyun Woo, Jongchan Park, Joon-Young Lee,
In So Kweon: CBAM, 2018, arXiv:1807.06521.

Departures: convolutions have no bias, which batch norm would cancel; the networks converted from Caffe keep one, 10,016
parameters more. Where a map has an odd size, pools follow the convolutions beside them; Caffe's would not fit.
`inception_v2` is TF-slim's network in the form of its conversion to Caffe: a separable first convolution without batch
norm, 96 filters after two of the pools, sizes and means as in TensorFlow, and factors gamma, which TF-slim leaves out.
`cbam_bn_inception` is reconstructed: CBAM's gates in the places of the released SE-BN-Inception, after each module.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET, INCEPTION
from kerascnn.applications._build import Family, pooled_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """What differs between the forms."""

    slim: bool = False  # TF-slim's stem, padding and means
    gate: str = "none"  # after each module: none | se | cbam
    pooled: int = 128  # filters after the pools of 4c and 4d


VARIANTS = {
    "bn_inception": Spec(),
    "inception_v2": Spec(slim=True, pooled=96),
    "se_bn_inception": Spec(gate="se"),
    "cbam_bn_inception": Spec(gate="cbam"),
}
REDUCTION = 16  # channels / hidden units of a gate

# Figure 5 of the paper: filters of the 1x1 (0: none, and the module strides); of the 1x1 and 3x3; of the 1x1 and both
# 3x3; of the 1x1 after the pool (0: the pool alone).
MODULES = {
    "3a": (64, (64, 64), (64, 96), 32),
    "3b": (64, (64, 96), (64, 96), 64),
    "3c": (0, (128, 160), (64, 96), 0),
    "4a": (224, (64, 96), (96, 128), 128),
    "4b": (192, (96, 128), (96, 128), 128),
    "4c": (160, (128, 160), (128, 160), 128),
    "4d": (96, (128, 192), (160, 192), 128),
    "4e": (0, (128, 192), (192, 256), 0),
    "5a": (352, (192, 320), (160, 224), 128),
    "5b": (352, (192, 320), (192, 224), 128),
}


def conv(x, filters, size, spec, stride=1, *, name):
    """Convolution, BN, ReLU; a stride pads as Caffe does, or as TensorFlow."""
    if spec.slim:
        return blocks.conv_step(x, blocks.ConvStep(filters, size, stride), name=name)
    return blocks.conv_bn(x, filters, size, stride, name=name)


def max_pool(x, stride=2, *, name):
    """Maxima over 3x3; the size is divided by the stride and rounded up."""
    return keras.layers.MaxPooling2D(3, stride, "same", name=name)(x)


def gate(x, spec, *, name):
    """x weighed by channel, or by channel and pixel."""
    if spec.gate == "se":
        return blocks.squeeze_excite(x, REDUCTION, name=f"{name}_se")
    if spec.gate == "cbam":
        x = blocks.channel_gate(x, REDUCTION, name=f"{name}_channel")
        return blocks.spatial_gate(x, name=f"{name}_spatial")
    return x


def module(x, key, spec):
    """1x1, 1x1 and 3x3, 1x1 and two 3x3, pool and 1x1, side by side; or 3x3/2, two 3x3 with stride 2, pool; a gate."""
    f1, (r2, f2), (r3, f3), f4 = MODULES[key]
    f4 = spec.pooled if key in ("4c", "4d") else f4
    stride, name = 1 if f1 else 2, f"inception{key}"
    y2 = conv(x, r2, 1, spec, name=f"{name}_branch2_conv1")
    y2 = conv(y2, f2, 3, spec, stride, name=f"{name}_branch2_conv2")
    y3 = conv(x, r3, 1, spec, name=f"{name}_branch3_conv1")
    y3 = conv(y3, f3, 3, spec, name=f"{name}_branch3_conv2")
    y3 = conv(y3, f3, 3, spec, stride, name=f"{name}_branch3_conv3")
    if not f1:
        x = keras.layers.Concatenate(name=f"{name}_concat")([y2, y3, max_pool(x, name=f"{name}_pool")])
        return gate(x, spec, name=name)
    y1 = conv(x, f1, 1, spec, name=f"{name}_branch1_conv1")
    if key == "5b":  # the last pool alone takes maxima
        y4 = max_pool(x, 1, name=f"{name}_pool")
    else:
        y4 = blocks.average_pool(x, counted=not spec.slim, name=f"{name}_pool")
    y4 = conv(y4, f4, 1, spec, name=f"{name}_branch4_conv1")
    return gate(keras.layers.Concatenate(name=f"{name}_concat")([y1, y2, y3, y4]), spec, name=name)


def separable_stem(x):
    """7x7/2 on each channel to 8 channels, 1x1 to 64, ReLU; a bias and no batch norm (TF-slim)."""
    normal = keras.initializers.TruncatedNormal(stddev=1.0)
    options = {"depth_multiplier": 8, "use_bias": False, "depthwise_initializer": normal, "name": "stem_depthwise"}
    x = layers.DepthwiseConv2D(7, 2, "same", **options)(x)
    return layers.PlainConv2D(64, 1, activation="relu", kernel_initializer=normal.clone(), name="stem_conv1")(x)


def features(x, spec: Spec):
    """Stage outputs [b, h/4, w/4, 192], [b, h/8, w/8, 320], [b, h/16, w/16, 608 or 576], [b, h/32, w/32, 1024]."""
    x = separable_stem(x) if spec.slim else conv(x, 64, 7, spec, 2, name="stem_conv1")
    x = conv(max_pool(x, name="pool1"), 64, 1, spec, name="stem_conv2")
    stages = [conv(x, 192, 3, spec, name="stem_conv3")]
    x = max_pool(stages[0], name="pool2")
    for key in MODULES:
        if key in ("3c", "4e"):
            stages.append(x)
        x = module(x, key, spec)
    return [*stages, x]


_ioffe = "Ioffe, Szegedy: Batch Normalization, 2015, arXiv:1502.03167"
_shared = {
    "features": features,
    "head": pooled_head,
    "variants": VARIANTS,
    "min_size": 1,
    "preprocessing": lambda spec: INCEPTION if spec.slim else IMAGENET,
}
_family = Family(__name__, recipe="bn_inception", paper=_ioffe, **_shared)
_slim = Family(__name__, recipe="bn_inception", paper=_ioffe, weight_decay=4e-5, **_shared)
_se = Family(
    __name__,
    paper="Hu, Shen, Albanie, Sun, Wu: Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507",
    **_shared,
)
_cbam = Family(
    __name__,
    paper="Woo, Park, Lee, Kweon: CBAM: Convolutional Block Attention Module, 2018, arXiv:1807.06521",
    **_shared,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

BNInception = _family("BNInception", "bn_inception", reported="top-1 25.2, top-5 7.82 % (paper, 1 crop)")
InceptionV2 = _slim("InceptionV2", "inception_v2", dropout_rate=0.2, reported="top-1 26.1, top-5 8.2 % (TF-slim)")
SEBNInception = _se("SEBNInception", "se_bn_inception", reported="top-1 24.23, top-5 7.14 % (paper)")
CBAMBNInception = _cbam("CBAMBNInception", "cbam_bn_inception", reconstructed=True)

"""EfficientNet: inverted residuals with SE gates, searched at one size and scaled to seven more by one rule.

Mingxing Tan, Quoc V. Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019,
arXiv:1905.11946.

`tf_efficientnet_b*` are the authors' networks (tensorflow/tpu, models/official/efficientnet): TensorFlow's one-sided
padding and constants of batch norm. `efficientnet_b*` are timm's, with PyTorch's, and up to B4 torchvision's too;
`tv_efficientnet_b5` to `b7` are torchvision's, whose batch norm has TensorFlow's constants. B0 is the base; all others
are its row with other factors (`Spec.scaled`). The published factors are rounded, those of B5 to B7 by more than
rounding explains; see `kerascnn.applications.compound_scale` for the rule itself.

The networks of keras.applications normalize pixels themselves; these take what `preprocess_input` returns, so that
those layers' constants in a file are left out, with a log line.

Departures: none. The paper writes no initial weights; they are those of the authors' code.
"""

import dataclasses
import functools
from typing import NamedTuple

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications import _names as theirs
from kerascnn.applications._build import Family, Ordered
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec(blocks.Scalable):
    """What compound scaling multiplies, and the framework."""

    width: float = 1.0  # factor on all widths, rounded to multiples of 8
    depth: float = 1.0  # factor on the number of blocks of each row of table 1, rounded up
    resolution: int = 224  # default height and width of the input
    tensorflow: bool = True  # padding as TensorFlow; False: as PyTorch
    momentum: float = 0.99  # of batch norm
    epsilon: float = 1e-3  # of batch norm


FACTORS = (  # of B0 to B7: width, depth, resolution; efficientnet_builder.py
    *((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 300)),
    *((1.4, 1.8, 380), (1.6, 2.2, 456), (1.8, 2.6, 528), (2.0, 3.1, 600)),
)
# The shorter side after resizing in torchvision's evaluation, by resolution.
RESIZED = {224: 256, 240: 256, 260: 260, 300: 320, 380: 384, 456: 456, 528: 528, 600: 600}
DROPOUT = (0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5)
VARIANTS = {
    **{f"tf_efficientnet_b{i}": Spec(*row) for i, row in enumerate(FACTORS)},
    **{f"efficientnet_b{i}": Spec(*row, False, 0.9, 1e-5) for i, row in enumerate(FACTORS)},
    **{f"tv_efficientnet_b{i}": Spec(*FACTORS[i], False) for i in (5, 6, 7)},
}


class Row(NamedTuple):
    """A row of table 1."""

    kernel_size: int
    expansion: int
    width: int
    blocks: int


# Table 1, its rows gathered by the size of the map; and the stride of the first block.
STAGES = (
    ((Row(3, 1, 16, 1),), 1),
    ((Row(3, 6, 24, 2),), 2),
    ((Row(5, 6, 40, 2),), 2),
    ((Row(3, 6, 80, 3), Row(5, 6, 112, 3)), 2),
    ((Row(5, 6, 192, 4), Row(3, 6, 320, 1)), 2),
)

HE = functools.partial(keras.initializers.VarianceScaling, 2.0, mode="fan_out", distribution="untruncated_normal")
# U(±1/sqrt(classes))
UNIFORM = functools.partial(keras.initializers.VarianceScaling, 1 / 3, mode="fan_out", distribution="uniform")


def bn(x, spec, *, swish=True, name):
    """Batch norm, swish if `swish`."""
    x = layers.BatchNormalization(momentum=spec.momentum, epsilon=spec.epsilon, name=name)(x)
    return keras.layers.Activation("silu", name=name.replace("bn", "swish"))(x) if swish else x


def conv1x1(x, filters, *, name):
    """1x1 convolution without bias."""
    return layers.PlainConv2D(filters, 1, use_bias=False, kernel_initializer=HE(), name=name)(x)


def gate(x, hidden, *, name):
    """x times gate: global average, dense to `hidden`, swish, dense, sigmoid, with biases."""
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    for filters, activation, part in ((hidden, "silu", "reduce"), (x.shape[-1], "sigmoid", "expand")):
        options = {"activation": activation, "kernel_initializer": HE(), "name": f"{name}_{part}"}
        y = layers.PlainConv2D(filters, 1, **options)(y)
    return keras.layers.Multiply(name=f"{name}_scale")([x, y])


def inverted_residual(x, row, stride, dilation, rate, spec, *, name):
    """1x1 to expansion * width, BN, swish, depthwise/stride, BN, swish, gate, 1x1, BN; plus x where shapes agree."""
    filters, y = blocks.rounded(row.width * spec.width), x
    if row.expansion > 1:
        y = bn(conv1x1(y, row.expansion * x.shape[-1], name=f"{name}_conv1"), spec, name=f"{name}_bn1")
    padding = "same" if spec.tensorflow else dilation * (row.kernel_size // 2)
    options = {"dilation_rate": dilation, "use_bias": False, "depthwise_initializer": HE()}
    y = layers.DepthwiseConv2D(row.kernel_size, stride, padding, name=f"{name}_conv2", **options)(y)
    y = gate(bn(y, spec, name=f"{name}_bn2"), x.shape[-1] // 4, name=f"{name}_se")
    y = bn(conv1x1(y, filters, name=f"{name}_conv3"), spec, swish=False, name=f"{name}_bn3")
    if stride > 1 or x.shape[-1] != filters:
        return y
    return keras.layers.Add(name=f"{name}_add")([x, blocks.drop_path(y, rate, name=f"{name}_drop_path")])


def _counts(spec):
    """Blocks of each row of table 1, those of a stage together."""
    return [[blocks.repeated(row.blocks, spec.depth) for row in rows] for rows, _ in STAGES]


def features(x, spec: Spec, *, drop_path_rate: float = 0.2, output_stride: int = 32):
    """Stage outputs [b, h/2, w/2, c] to [b, h/32, w/32, c]; c = 16, 24, 40, 112, 1280 times the width."""
    padding = "same" if spec.tensorflow else 1
    stem = {"use_bias": False, "kernel_initializer": HE(), "name": "stem_conv"}
    x = bn(layers.Conv2D(blocks.rounded(32 * spec.width), 3, 2, padding, **stem)(x), spec, name="stem_bn")
    plan = [[row for row in rows for _ in range(blocks.repeated(row.blocks, spec.depth))] for rows, _ in STAGES]
    depths, strides, stages = [len(stage) for stage in plan], [stride for _, stride in STAGES], []
    for i, at in enumerate(blocks.places(depths, strides, stem_stride=2, output_stride=output_stride)):
        rate = drop_path_rate * i / sum(depths)  # as in the authors' code: the last block's is a little less
        row = plan[at.stage][at.block]
        x = inverted_residual(x, row, at.stride, at.dilations[0], rate, spec, name=at.name)
        stages += [x] * at.last
    x = conv1x1(x, blocks.rounded(1280 * spec.width), name="final_conv")
    return [*stages[:-1], bn(x, spec, name="final_bn")]


def head(x, classes, activation, *, dropout_rate: float = 0.2):
    """Global average pool, dropout, dense; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    x = keras.layers.Dropout(dropout_rate, dtype=dtype, name="head_dropout")(x)
    return keras.layers.Dense(classes, activation, kernel_initializer=UNIFORM(), dtype=dtype, name="head")(x)


def _names(ends, place, *parts):
    return lambda spec: (*ends, *theirs.rows_of_blocks(_counts(spec), place, *parts))


_TORCHVISION = (
    *((r"0\.0", "conv1"), (r"0\.1", "bn1"), (r"1\.0", "conv2"), (r"1\.1", "bn2"), (r"2\.fc1", "se_reduce")),
    *((r"2\.fc2", "se_expand"), (r"3\.0", "conv3"), (r"3\.1", "bn3")),
)
_TORCHVISION_FIRST = (
    *((r"0\.0", "conv2"), (r"0\.1", "bn2"), (r"1\.fc1", "se_reduce"), (r"1\.fc2", "se_expand"), (r"2\.0", "conv3")),
    (r"2\.1", "bn3"),
)
_TORCHVISION_ENDS = (
    *((r"features\.0\.0", "stem_conv"), (r"features\.0\.1", "stem_bn"), (r"classifier\.1", "head")),
    *((r"features\.8\.0", "final_conv"), (r"features\.8\.1", "final_bn")),
)
_KERAS = (
    *(("expand_conv", "conv1"), ("expand_bn", "bn1"), ("dwconv", "conv2"), ("bn", "bn2"), ("project_conv", "conv3")),
    *(("project_bn", "bn3"), ("se_(reduce|expand)", "se_{2}")),
)
_KERAS_ENDS = (
    *((r"stem_(conv|bn)", "stem_{1}"), (r"top_(conv|bn)", "final_{1}"), (r"predictions", "head")),
    (r"normalization(_\d+)?", ""),  # of pixels, which `preprocess_input` does here
)


def _pixels(spec):
    """The authors' evaluation cuts 16 pixels off each side of the resized image, torchvision's by no one rule."""
    resized = {} if spec.tensorflow else RESIZED
    crop = spec.resolution / resized.get(spec.resolution, spec.resolution + 32)
    return dataclasses.replace(IMAGENET, crop_fraction=crop, interpolation="bicubic")


_family = Family(
    __name__,
    recipe="efficientnet",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019, arXiv:1905.11946",
    preprocessing=_pixels,
    input_shape=lambda spec: (spec.resolution, spec.resolution, 3),
    weight_decay=1e-5,
    names={
        "torchvision": _names(_TORCHVISION_ENDS, r"features\.{next}\.(\d+)\.block\.", _TORCHVISION, _TORCHVISION_FIRST),
        "timm": _names(theirs.TIMM_ENDS, *theirs.TIMM_BLOCKS),
        "efficientnet_pytorch": _names(theirs.PYTORCH_ENDS, *theirs.PYTORCH_BLOCKS),
        "tensorflow": _names(theirs.TENSORFLOW_ENDS, *theirs.TENSORFLOW_BLOCKS),
        "keras": lambda spec: Ordered(_names(_KERAS_ENDS, "block{next}([a-z])_", _KERAS)(spec)),
    },
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)


def _network(name, builder, reported=""):
    return _family(builder, name, reported=reported, dropout_rate=DROPOUT[int(name[-1])])


EfficientNetB0 = _network("tf_efficientnet_b0", "EfficientNetB0", "top-1 22.9, top-5 6.7 % (paper)")
EfficientNetB1 = _network("tf_efficientnet_b1", "EfficientNetB1", "top-1 20.9, top-5 5.6 % (paper)")
EfficientNetB2 = _network("tf_efficientnet_b2", "EfficientNetB2", "top-1 19.9, top-5 5.1 % (paper)")
EfficientNetB3 = _network("tf_efficientnet_b3", "EfficientNetB3", "top-1 18.4, top-5 4.3 % (paper)")
EfficientNetB4 = _network("tf_efficientnet_b4", "EfficientNetB4", "top-1 17.1, top-5 3.6 % (paper)")
EfficientNetB5 = _network("tf_efficientnet_b5", "EfficientNetB5", "top-1 16.4, top-5 3.3 % (paper)")
EfficientNetB6 = _network("tf_efficientnet_b6", "EfficientNetB6", "top-1 16.0, top-5 3.2 % (paper)")
EfficientNetB7 = _network("tf_efficientnet_b7", "EfficientNetB7", "top-1 15.7, top-5 3.0 % (paper)")
TorchEfficientNetB0 = _network("efficientnet_b0", "TorchEfficientNetB0", "top-1 22.31, top-5 6.47 % (torchvision)")
TorchEfficientNetB1 = _network("efficientnet_b1", "TorchEfficientNetB1", "top-1 21.36, top-5 5.81 % (torchvision)")
TorchEfficientNetB2 = _network("efficientnet_b2", "TorchEfficientNetB2", "top-1 19.39, top-5 4.69 % (torchvision, 288)")
TorchEfficientNetB3 = _network("efficientnet_b3", "TorchEfficientNetB3", "top-1 17.99, top-5 3.95 % (torchvision)")
TorchEfficientNetB4 = _network("efficientnet_b4", "TorchEfficientNetB4", "top-1 16.62, top-5 3.41 % (torchvision)")
TorchEfficientNetB5 = _network("efficientnet_b5", "TorchEfficientNetB5")
TorchEfficientNetB6 = _network("efficientnet_b6", "TorchEfficientNetB6")
TorchEfficientNetB7 = _network("efficientnet_b7", "TorchEfficientNetB7")
TVEfficientNetB5 = _network("tv_efficientnet_b5", "TVEfficientNetB5", "top-1 16.56, top-5 3.37 % (torchvision)")
TVEfficientNetB6 = _network("tv_efficientnet_b6", "TVEfficientNetB6", "top-1 15.99, top-5 3.08 % (torchvision)")
TVEfficientNetB7 = _network("tv_efficientnet_b7", "TVEfficientNetB7", "top-1 15.88, top-5 3.09 % (torchvision)")

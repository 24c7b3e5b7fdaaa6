"""EfficientNet-Lite: EfficientNets for mobile accelerators, without gates, with ReLU6, and with a fixed stem and head.

Mingxing Tan, Quoc V. Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019,
arXiv:1905.11946; the Lite networks are the authors' release of 2020, which has no paper of its own (tensorflow/tpu,
models/official/efficientnet/lite).

`tf_efficientnet_lite*` are the authors' networks: TensorFlow's one-sided padding and constants of batch norm.
`efficientnet_lite*` are timm's, with PyTorch's. Factors are those of EfficientNet-B0 to B4, at smaller sizes; the stem,
the last convolution, and the number of blocks of the first and the last row of the table are not scaled.

Departures: none.
"""

import dataclasses
import functools
from typing import NamedTuple

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET, Preprocessing
from kerascnn.applications import _names as theirs
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec(blocks.Scalable):
    """What compound scaling multiplies, and the framework."""

    width: float = 1.0  # factor on the widths of all rows, rounded to multiples of 8
    depth: float = 1.0  # factor on the number of blocks of all rows but the first and the last, rounded up
    resolution: int = 224  # default height and width of the input
    tensorflow: bool = True  # padding and batch norm as TensorFlow; False: as PyTorch


FACTORS = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280), (1.4, 1.8, 300))
DROPOUT = (0.2, 0.2, 0.3, 0.3, 0.3)
VARIANTS = {  # efficientnet_lite_builder.py
    **{f"tf_efficientnet_lite{i}": Spec(*row) for i, row in enumerate(FACTORS)},
    **{f"efficientnet_lite{i}": Spec(*row, tensorflow=False) for i, row in enumerate(FACTORS)},
}


class Row(NamedTuple):
    """A row of the table of EfficientNet-B0."""

    kernel_size: int
    expansion: int
    width: int
    blocks: int
    deepens: bool = True  # its number of blocks is scaled


# The rows gathered by the size of the map; and the stride of the first block.
STAGES = (
    ((Row(3, 1, 16, 1, False),), 1),
    ((Row(3, 6, 24, 2),), 2),
    ((Row(5, 6, 40, 2),), 2),
    ((Row(3, 6, 80, 3), Row(5, 6, 112, 3)), 2),
    ((Row(5, 6, 192, 4), Row(3, 6, 320, 1, False)), 2),
)

HE = functools.partial(keras.initializers.VarianceScaling, 2.0, mode="fan_out", distribution="untruncated_normal")
# U(±1/sqrt(classes))
UNIFORM = functools.partial(keras.initializers.VarianceScaling, 1 / 3, mode="fan_out", distribution="uniform")


def bn(x, spec, *, relu=True, name):
    """Batch norm with the framework's constants, ReLU6 if `relu`."""
    momentum, epsilon = (0.99, 1e-3) if spec.tensorflow else (0.9, 1e-5)
    x = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)
    return keras.layers.ReLU(6.0, name=name.replace("bn", "relu"))(x) if relu else x


def conv1x1(x, filters, *, name):
    """1x1 convolution without bias."""
    return layers.PlainConv2D(filters, 1, use_bias=False, kernel_initializer=HE(), name=name)(x)


def inverted_residual(x, row, stride, dilation, rate, spec, *, name):
    """1x1 to expansion * width, BN, ReLU6, depthwise/stride, BN, ReLU6, 1x1, BN; plus x where the shapes agree."""
    filters, y = blocks.rounded(row.width * spec.width), x
    if row.expansion > 1:
        y = bn(conv1x1(y, row.expansion * x.shape[-1], name=f"{name}_conv1"), spec, name=f"{name}_bn1")
    padding = "same" if spec.tensorflow else dilation * (row.kernel_size // 2)
    options = {"dilation_rate": dilation, "use_bias": False, "depthwise_initializer": HE()}
    y = layers.DepthwiseConv2D(row.kernel_size, stride, padding, name=f"{name}_conv2", **options)(y)
    y = bn(y, spec, name=f"{name}_bn2")
    y = bn(conv1x1(y, filters, name=f"{name}_conv3"), spec, relu=False, name=f"{name}_bn3")
    if stride > 1 or x.shape[-1] != filters:
        return y
    return keras.layers.Add(name=f"{name}_add")([x, blocks.drop_path(y, rate, name=f"{name}_drop_path")])


def _counts(spec):
    """Blocks of each row of the table, those of a stage together."""
    return [[blocks.repeated(row.blocks, spec.depth if row.deepens else 1) for row in rows] for rows, _ in STAGES]


def features(x, spec: Spec, *, drop_path_rate: float = 0.2, output_stride: int = 32):
    """Stage outputs [b, h/2, w/2, c] to [b, h/32, w/32, 1280]; c = 16, 24, 40, 112 times the width."""
    padding = "same" if spec.tensorflow else 1
    stem = {"use_bias": False, "kernel_initializer": HE(), "name": "stem_conv"}
    x = bn(layers.Conv2D(32, 3, 2, padding, **stem)(x), spec, name="stem_bn")
    plan = [
        [row for row, count in zip(rows, counts, strict=True) for _ in range(count)]
        for (rows, _), counts in zip(STAGES, _counts(spec), strict=True)
    ]
    depths, strides, stages = [len(stage) for stage in plan], [stride for _, stride in STAGES], []
    for i, at in enumerate(blocks.places(depths, strides, stem_stride=2, output_stride=output_stride)):
        rate = drop_path_rate * i / sum(depths)  # as in the authors' code: the last block's is a little less
        row = plan[at.stage][at.block]
        x = inverted_residual(x, row, at.stride, at.dilations[0], rate, spec, name=at.name)
        stages += [x] * at.last
    return [*stages[:-1], bn(conv1x1(x, 1280, name="final_conv"), spec, name="final_bn")]


def head(x, classes, activation, *, dropout_rate: float = 0.2):
    """Global average pool, dropout, dense; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    x = keras.layers.Dropout(dropout_rate, dtype=dtype, name="head_dropout")(x)
    return keras.layers.Dense(classes, activation, kernel_initializer=UNIFORM(), dtype=dtype, name="head")(x)


def _names(ends, place, *parts):
    return lambda spec: (*ends, *theirs.rows_of_blocks(_counts(spec), place, *parts))


# Pixels less 127, over 128: after quantization these are whole numbers.
LITE = Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3, interpolation="bicubic")


def _pixels(spec):
    """The framework's constants; the authors' evaluation cuts 16 pixels off each side of the resized image."""
    crop = spec.resolution / (spec.resolution + 32)
    constants = LITE if spec.tensorflow else IMAGENET
    return dataclasses.replace(constants, crop_fraction=crop, interpolation="bicubic")


_shared = {
    "recipe": "efficientnet",
    "features": features,
    "head": head,
    "variants": VARIANTS,
    "paper": "Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019, "
    "arXiv:1905.11946; Lite: the authors' release, 2020",
    "weight_decay": 1e-5,
    "names": {
        "timm": _names(theirs.TIMM_ENDS, *theirs.TIMM_BLOCKS),
        "tensorflow": _names(theirs.TENSORFLOW_ENDS, *theirs.TENSORFLOW_BLOCKS),
        "efficientnet_lite_pytorch": _names(theirs.PYTORCH_ENDS, *theirs.PYTORCH_BLOCKS),
    },
}
_family = Family(
    __name__,
    preprocessing=_pixels,
    input_shape=lambda spec: (spec.resolution, spec.resolution, 3),
    **_shared,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)


def _network(name, builder, reported=""):
    return _family(builder, name, reported=reported, dropout_rate=DROPOUT[int(name[-1])])


EfficientNetLite0 = _network("tf_efficientnet_lite0", "EfficientNetLite0", "top-1 24.9 % (authors' release)")
EfficientNetLite1 = _network("tf_efficientnet_lite1", "EfficientNetLite1", "top-1 23.3 % (authors' release)")
EfficientNetLite2 = _network("tf_efficientnet_lite2", "EfficientNetLite2", "top-1 22.4 % (authors' release)")
EfficientNetLite3 = _network("tf_efficientnet_lite3", "EfficientNetLite3", "top-1 20.2 % (authors' release)")
EfficientNetLite4 = _network("tf_efficientnet_lite4", "EfficientNetLite4", "top-1 18.5 % (authors' release)")
TorchEfficientNetLite0 = _network("efficientnet_lite0", "TorchEfficientNetLite0")
TorchEfficientNetLite1 = _network("efficientnet_lite1", "TorchEfficientNetLite1")
TorchEfficientNetLite2 = _network("efficientnet_lite2", "TorchEfficientNetLite2")
TorchEfficientNetLite3 = _network("efficientnet_lite3", "TorchEfficientNetLite3")
TorchEfficientNetLite4 = _network("efficientnet_lite4", "TorchEfficientNetLite4")

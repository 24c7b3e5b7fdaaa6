"""MobileNet, version 2: inverted residuals with linear bottlenecks, at six widths and five resolutions.

Mark Sandler, Andrew Howard, Menglong Zhu, Andrey Zhmoginov, Liang-Chieh Chen: MobileNetV2: Inverted Residuals and
Linear Bottlenecks, 2018, arXiv:1801.04381.

`tf_mobilenetv2_*` are the authors' networks (tensorflow/models, slim/nets/mobilenet): TensorFlow's one-sided padding
and constants of batch norm. `mobilenetv2_*` are timm's and torchvision's (`mobilenet_v2`), with PyTorch's. Widths are
rounded to multiples of 8, at most 10 % down; the last convolution never has fewer than 1280 filters. `alpha` is that of
keras.applications.

Departures: the moving averages of batch norm have momentum 0.99 instead of 0.997 and more, which only long training
reaches. Widths 1.3 and 1.4 exist at 224 alone, as in the authors' release.
"""

import dataclasses
import functools

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET, INCEPTION
from kerascnn.applications._build import Family, Ordered, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._slim import MOBILENET_V2


@dataclasses.dataclass(frozen=True)
class Spec(blocks.Scalable):
    """The two multipliers of section 6.1, and that of compound scaling."""

    width: float  # factor on all widths
    resolution: int = 224  # default height and width of the input
    tensorflow: bool = True  # padding and batch norm as TensorFlow; False: as PyTorch
    depth: float = 1.0  # factor on the number of blocks of each row of table 2, rounded up


def _name(width):
    return f"{100 * width:03.0f}"


VARIANTS = {
    **{f"tf_mobilenetv2_{_name(w)}_224": Spec(w) for w in (1.4, 1.3)},
    **{
        f"tf_mobilenetv2_{_name(w)}_{resolution}": Spec(w, resolution)
        for w in (1.0, 0.75, 0.5, 0.35)
        for resolution in (224, 192, 160, 128, 96)
    },
    **{f"mobilenetv2_{_name(w)}": Spec(w, tensorflow=False) for w in (1.4, 1.0, 0.75, 0.5, 0.35)},
}

# Table 2, its rows gathered by the size of the map: ((expansion, width, blocks), ...), stride of the first block.
STAGES = (
    (((1, 16, 1),), 1),
    (((6, 24, 2),), 2),
    (((6, 32, 3),), 2),
    (((6, 64, 4), (6, 96, 3)), 2),
    (((6, 160, 3), (6, 320, 1)), 2),
)

NORMAL = functools.partial(keras.initializers.TruncatedNormal, stddev=0.09)  # of all convolutions in the authors' code


def bn(x, spec, *, relu=True, name):
    """Batch norm with the framework's constants, ReLU6 if `relu`."""
    momentum, epsilon = (0.99, 1e-3) if spec.tensorflow else (0.9, 1e-5)
    x = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)
    return keras.layers.ReLU(6.0, name=name.replace("bn", "relu"))(x) if relu else x


def conv1x1(x, filters, *, name):
    """1x1 convolution without bias."""
    return layers.PlainConv2D(filters, 1, use_bias=False, kernel_initializer=NORMAL(), name=name)(x)


def inverted_residual(x, expansion, filters, stride, dilation, rate, spec, *, name):
    """1x1 to expansion * width, BN, ReLU6, depthwise 3x3/stride, BN, ReLU6, 1x1, BN; plus x where the shapes agree."""
    y = x
    if expansion > 1:
        y = conv1x1(y, expansion * x.shape[-1], name=f"{name}_conv1")
        y = bn(y, spec, name=f"{name}_bn1")
    padding = "same" if spec.tensorflow else dilation
    options = {"dilation_rate": dilation, "use_bias": False, "depthwise_initializer": NORMAL()}
    y = layers.DepthwiseConv2D(3, stride, padding, name=f"{name}_conv2", **options)(y)
    y = bn(y, spec, name=f"{name}_bn2")
    y = bn(conv1x1(y, filters, name=f"{name}_conv3"), spec, relu=False, name=f"{name}_bn3")
    if stride > 1 or x.shape[-1] != filters:
        return y
    return keras.layers.Add(name=f"{name}_add")([x, blocks.drop_path(y, rate, name=f"{name}_drop_path")])


def _width(filters, spec, alpha):
    """Rounded as in the authors' code; times `alpha`, which keras.applications rounds down before."""
    return blocks.rounded(filters * spec.width if alpha == 1 else int(filters * spec.width * alpha))


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32, alpha: float = 1.0):
    """Stage outputs [b, h/2, w/2, c] to [b, h/32, w/32, c]; c = 16, 24, 32, 96, 1280 times the width."""
    padding = "same" if spec.tensorflow else 1
    stem = {"use_bias": False, "kernel_initializer": NORMAL(), "name": "stem_conv"}
    x = bn(layers.Conv2D(blocks.rounded(32 * spec.width * alpha), 3, 2, padding, **stem)(x), spec, name="stem_bn")
    plan = [[(t, _width(c, spec, alpha)) for t, c, n in rows for _ in range(blocks.repeated(n, spec.depth))]
            for rows, _ in STAGES]  # fmt: skip
    depths, strides, stages = [len(stage) for stage in plan], [stride for _, stride in STAGES], []
    rates = {"output_stride": output_stride, "drop_path_rate": drop_path_rate}
    for at in blocks.places(depths, strides, stem_stride=2, **rates):
        expansion, filters = plan[at.stage][at.block]
        x = inverted_residual(x, expansion, filters, at.stride, at.dilations[0], at.rate, spec, name=at.name)
        stages += [x] * at.last
    x = conv1x1(x, blocks.rounded(1280 * max(1.0, spec.width * alpha)), name="final_conv")
    return [*stages[:-1], bn(x, spec, name="final_bn")]


def head(x, classes, activation, *, dropout_rate: float = 0.2):
    """Global average pool, dropout, dense."""
    return pooled_head(x, classes, activation, dropout_rate=dropout_rate)


def _sequence(prefix, number, suffix):
    """Blocks of stages 2 to 5 that a library counts in one sequence, whose first has the given number."""
    for stage, count in ((2, 2), (3, 3), (4, 7), (5, 4)):
        numbers = "|".join(str(n) for n in range(number, number + count))
        yield f"{prefix}({numbers}){suffix}", f"stage{stage}_block{{1{1 - number:+d}}}"
        number += count


def _rules(places, parts):
    """Name rules for every layer (pattern, ours) of every block (pattern, ours)."""
    return tuple((place + part, f"{block}_{ours}") for place, block in places for part, ours in parts)


def _ends(*theirs):
    """Name rules for the layers before and after the blocks."""
    return tuple(zip(theirs, ("stem_conv", "stem_bn", "final_conv", "final_bn", "head"), strict=True))


_TORCHVISION = (
    *_ends(r"features\.0\.0", r"features\.0\.1", r"features\.18\.0", r"features\.18\.1", r"classifier\.1"),
    *_rules(
        [(r"features\.1\.conv\.", "stage1_block1")],
        [(r"0\.0", "conv2"), (r"0\.1", "bn2"), ("1", "conv3"), ("2", "bn3")],
    ),
    *_rules(
        _sequence(r"features\.", 2, r"\.conv\."),
        [(r"0\.0", "conv1"), (r"0\.1", "bn1"), (r"1\.0", "conv2"), (r"1\.1", "bn2"), ("2", "conv3"), ("3", "bn3")],
    ),
)
_TIMM = (
    *_ends("conv_stem", "bn1", "conv_head", "bn2", "classifier"),
    *_rules(
        [(r"blocks\.0\.0\.", "stage1_block1")],
        [("conv_dw", "conv2"), ("bn1", "bn2"), ("conv_pw", "conv3"), ("bn2", "bn3")],
    ),
    *_rules(
        [
            (r"blocks\.(6)\.(\d)\.", "stage5_block{2+4}"),
            (r"blocks\.(5)\.(\d)\.", "stage5_block{2+1}"),
            (r"blocks\.(4)\.(\d)\.", "stage4_block{2+5}"),
            (r"blocks\.([123])\.(\d)\.", "stage{1+1}_block{2+1}"),
        ],
        [("conv_pw", "conv1"), (r"bn(\d)", "bn{3}"), ("conv_dw", "conv2"), ("conv_pwl", "conv3")],
    ),
)
_KERAS = _ends("Conv1", "bn_Conv1", "Conv_1", "Conv_1_bn", "predictions|Logits") + _rules(
    [("expanded_conv_", "stage1_block1"), *_sequence("block_", 1, "_")],
    [
        *(("expand", "conv1"), ("depthwise", "conv2"), ("project", "conv3")),
        *(("expand_BN", "bn1"), ("depthwise_BN", "bn2"), ("project_BN", "bn3")),
    ],
)

_NAMES = {"torchvision": _TORCHVISION, "timm": _TIMM, "keras": Ordered(_KERAS)}
_TIMM_PIXELS = dataclasses.replace(IMAGENET, interpolation="bicubic")  # of its weights
_family = Family(
    __name__,
    recipe="mobilenet",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018, "
    "arXiv:1801.04381",
    weight_decay=4e-5,
    names={**_NAMES, "tensorflow": MOBILENET_V2},
    preprocessing=lambda spec: INCEPTION if spec.tensorflow else _TIMM_PIXELS,
    input_shape=lambda spec: (spec.resolution, spec.resolution, 3),
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)


def _network(builder, name, error):  # of the authors' release, one crop
    return _family(builder, name, reported=f"{error} % (authors' release)")


MobileNetV2 = _network("MobileNetV2", "tf_mobilenetv2_100_224", "top-1 28.2, top-5 9.0")
MobileNetV2_140_224 = _network("MobileNetV2_140_224", "tf_mobilenetv2_140_224", "top-1 25.0, top-5 7.5")
MobileNetV2_130_224 = _network("MobileNetV2_130_224", "tf_mobilenetv2_130_224", "top-1 25.6, top-5 7.9")
MobileNetV2_100_192 = _network("MobileNetV2_100_192", "tf_mobilenetv2_100_192", "top-1 29.3, top-5 9.9")
MobileNetV2_100_160 = _network("MobileNetV2_100_160", "tf_mobilenetv2_100_160", "top-1 31.2, top-5 11.0")
MobileNetV2_100_128 = _network("MobileNetV2_100_128", "tf_mobilenetv2_100_128", "top-1 34.7, top-5 13.1")
MobileNetV2_100_96 = _network("MobileNetV2_100_96", "tf_mobilenetv2_100_96", "top-1 39.7, top-5 16.8")
MobileNetV2_075_224 = _network("MobileNetV2_075_224", "tf_mobilenetv2_075_224", "top-1 30.2, top-5 10.4")
MobileNetV2_075_192 = _network("MobileNetV2_075_192", "tf_mobilenetv2_075_192", "top-1 31.3, top-5 11.1")
MobileNetV2_075_160 = _network("MobileNetV2_075_160", "tf_mobilenetv2_075_160", "top-1 33.6, top-5 12.7")
MobileNetV2_075_128 = _network("MobileNetV2_075_128", "tf_mobilenetv2_075_128", "top-1 36.8, top-5 14.7")
MobileNetV2_075_96 = _network("MobileNetV2_075_96", "tf_mobilenetv2_075_96", "top-1 41.2, top-5 18.4")
MobileNetV2_050_224 = _network("MobileNetV2_050_224", "tf_mobilenetv2_050_224", "top-1 34.6, top-5 13.6")
MobileNetV2_050_192 = _network("MobileNetV2_050_192", "tf_mobilenetv2_050_192", "top-1 36.1, top-5 14.6")
MobileNetV2_050_160 = _network("MobileNetV2_050_160", "tf_mobilenetv2_050_160", "top-1 39.0, top-5 16.8")
MobileNetV2_050_128 = _network("MobileNetV2_050_128", "tf_mobilenetv2_050_128", "top-1 42.3, top-5 19.2")
MobileNetV2_050_96 = _network("MobileNetV2_050_96", "tf_mobilenetv2_050_96", "top-1 48.8, top-5 24.2")
MobileNetV2_035_224 = _network("MobileNetV2_035_224", "tf_mobilenetv2_035_224", "top-1 39.7, top-5 17.1")
MobileNetV2_035_192 = _network("MobileNetV2_035_192", "tf_mobilenetv2_035_192", "top-1 41.8, top-5 18.8")
MobileNetV2_035_160 = _network("MobileNetV2_035_160", "tf_mobilenetv2_035_160", "top-1 44.3, top-5 20.9")
MobileNetV2_035_128 = _network("MobileNetV2_035_128", "tf_mobilenetv2_035_128", "top-1 49.2, top-5 25.0")
MobileNetV2_035_96 = _network("MobileNetV2_035_96", "tf_mobilenetv2_035_96", "top-1 54.5, top-5 29.6")
TorchMobileNetV2_140 = _family("TorchMobileNetV2_140", "mobilenetv2_140")
_TORCHVISION_ERROR = "top-1 28.1, top-5 9.7 % (torchvision)"
TorchMobileNetV2_100 = _family("TorchMobileNetV2_100", "mobilenetv2_100", reported=_TORCHVISION_ERROR)
TorchMobileNetV2_075 = _family("TorchMobileNetV2_075", "mobilenetv2_075")
TorchMobileNetV2_050 = _family("TorchMobileNetV2_050", "mobilenetv2_050")
TorchMobileNetV2_035 = _family("TorchMobileNetV2_035", "mobilenetv2_035")

"""MobileNet, version 1: a chain of depthwise separable convolutions, at four widths and four resolutions.

Andrew G. Howard, Menglong Zhu, Bo Chen, Dmitry Kalenichenko, Weijun Wang, Tobias Weyand, Marco Andreetto, Hartwig
Adam: MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, 2017, arXiv:1704.04861.

`tf_mobilenetv1_*` are the authors' networks (tensorflow/models, slim/nets/mobilenet_v1.py): TensorFlow's one-sided
padding and constants of batch norm. `mobilenetv1_100` is timm's form, with PyTorch's. Widths are
rounded to multiples of 8, which those of the paper are without it. The options `alpha` and `depth_multiplier` are those
of keras.applications.

Departures: activations are ReLU6 and dropout is 0.1 %, as in the authors' code; the paper writes ReLU. The moving
averages of batch norm have momentum 0.99 (Keras) instead of 0.9997, which only long training reaches. Weight decay does
not spare depthwise filters. Halving a map of odd size rounds up as in the authors' code, where keras.applications
rounds down.
"""

import dataclasses
import functools

import keras

from kerascnn import blocks, layers
from kerascnn._errors import InputError
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family, Ordered, Ranked
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._slim import MOBILENET_V1


@dataclasses.dataclass(frozen=True)
class Spec(blocks.Scalable):
    """The two multipliers of section 3, and that of compound scaling."""

    width: float  # factor on all widths, alpha
    resolution: int = 224  # default height and width of the input, 224 rho
    tensorflow: bool = True  # padding and batch norm as TensorFlow; False: as PyTorch
    depth: float = 1.0  # factor on the number of blocks of each stage, rounded up


VARIANTS = {
    f"tf_mobilenetv1_{100 * width:03.0f}_{resolution}": Spec(width, resolution)
    for width in (1.0, 0.75, 0.5, 0.25)  # tables 6 and 7
    for resolution in (224, 192, 160, 128)
}
VARIANTS["mobilenetv1_100"] = Spec(1.0, tensorflow=False)

STAGES = ((1, 64, 1), (2, 128, 2), (2, 256, 2), (6, 512, 2), (2, 1024, 2))  # table 1: blocks, width, first stride

NORMAL = functools.partial(keras.initializers.TruncatedNormal, stddev=0.09)  # of all convolutions in the authors' code


def bn_relu6(x, spec, *, name):
    """Batch norm with the framework's constants, ReLU6."""
    momentum, epsilon = (0.99, 1e-3) if spec.tensorflow else (0.9, 1e-5)
    x = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)
    return keras.layers.ReLU(6.0, name=name.replace("bn", "relu"))(x)


def _width(filters, spec, alpha):
    """Rounded as in the authors' code; times `alpha`, rounded down as in keras.applications."""
    if alpha == 1:
        return blocks.rounded(filters * spec.width)
    width = int(filters * spec.width * alpha)
    if width < 1:
        raise InputError(f"alpha must leave each convolution a filter. Received: alpha={alpha!r}")
    return width


def separable(x, filters, stride, dilation, multiplier, spec, *, name):
    """Depthwise 3x3/stride, BN, ReLU6, 1x1, BN, ReLU6."""
    padding = "same" if spec.tensorflow else dilation
    options = {"dilation_rate": dilation, "use_bias": False, "depthwise_initializer": NORMAL()}
    x = layers.DepthwiseConv2D(3, stride, padding, multiplier, name=f"{name}_conv1", **options)(x)
    x = bn_relu6(x, spec, name=f"{name}_bn1")
    x = layers.PlainConv2D(filters, 1, use_bias=False, kernel_initializer=NORMAL(), name=f"{name}_conv2")(x)
    return bn_relu6(x, spec, name=f"{name}_bn2")


def features(x, spec: Spec, *, output_stride: int = 32, alpha: float = 1.0, depth_multiplier: int = 1):
    """Stage outputs [b, h/2, w/2, 64], ..., [b, h/32, w/32, 1024]; each stage has twice the width of the one before."""
    padding = "same" if spec.tensorflow else 1
    stem = {"use_bias": False, "kernel_initializer": NORMAL(), "name": "stem_conv"}
    x = layers.Conv2D(_width(32, spec, alpha), 3, 2, padding, **stem)(x)
    x = bn_relu6(x, spec, name="stem_bn")
    depths = [blocks.repeated(depth, spec.depth) for depth, _, _ in STAGES]
    strides = [stride for _, _, stride in STAGES]
    stages = []
    for at in blocks.places(depths, strides, stem_stride=2, output_stride=output_stride):
        filters = _width(STAGES[at.stage][1], spec, alpha)
        x = separable(x, filters, at.stride, at.dilations[0], depth_multiplier, spec, name=at.name)
        stages += [x] * at.last
    return stages


def head(x, classes, activation, *, dropout_rate: float = 0.001):
    """Global average pool, dropout, 1x1 convolution, a dense layer in the form of the authors' code."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(keepdims=True, dtype=dtype, name="head_pool")(x)
    x = keras.layers.Dropout(dropout_rate, dtype=dtype, name="head_dropout")(x)
    x = layers.PlainConv2D(classes, 1, kernel_initializer=NORMAL(), dtype=dtype, name="head")(x)
    x = keras.layers.Flatten(dtype=dtype, name="logits")(x)
    return keras.layers.Activation(activation, dtype=dtype, name="predictions")(x) if activation else x


_TIMM = (
    (r"conv_stem", "stem_conv"),
    (r"bn1", "stem_bn"),
    (r"blocks\.(\d)\.(\d)\.conv_dw", "stage{1+1}_block{2+1}_conv1"),
    (r"blocks\.(\d)\.(\d)\.conv_pw", "stage{1+1}_block{2+1}_conv2"),
    (r"blocks\.(\d)\.(\d)\.bn(\d)", "stage{1+1}_block{2+1}_bn{3}"),
    (r"classifier", "head"),
)
_KERAS_BLOCKS = (  # their one sequence of 13 blocks
    (r"1", "stage1_block1"),
    (r"[23]", "stage2_block{1-1}"),
    (r"[45]", "stage3_block{1-3}"),
    (r"[6-9]|1[01]", "stage4_block{1-5}"),
    (r"1[23]", "stage5_block{1-11}"),
)
_KERAS_LAYERS = (
    (r"conv_dw_(%s)", "conv1"),
    (r"conv_dw_(%s)_bn", "bn1"),
    (r"conv_pw_(%s)", "conv2"),
    (r"conv_pw_(%s)_bn", "bn2"),
)
_KERAS = (
    (r"conv1", "stem_conv"),
    (r"conv1_bn", "stem_bn"),
    (r"conv_preds", "head"),
    *((theirs % number, f"{block}_{ours}") for theirs, ours in _KERAS_LAYERS for number, block in _KERAS_BLOCKS),
)

_TIMM_PIXELS = dataclasses.replace(INCEPTION, crop_fraction=0.95, interpolation="bicubic")  # of its weights
_family = Family(
    __name__,
    recipe="mobilenet",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam: MobileNets: Efficient Convolutional Neural "
    "Networks for Mobile Vision Applications, 2017, arXiv:1704.04861",
    preprocessing=lambda spec: INCEPTION if spec.tensorflow else _TIMM_PIXELS,
    input_shape=lambda spec: (spec.resolution, spec.resolution, 3),
    weight_decay=4e-5,
    names={"timm": Ranked(_TIMM), "keras": Ordered(_KERAS), "tensorflow": MOBILENET_V1},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)


def _network(builder, name, error):
    """Errors of the authors' release, one crop."""
    return _family(builder, name, reported=f"{error} % (authors' release)")


MobileNet = _network("MobileNet", "tf_mobilenetv1_100_224", "top-1 29.1, top-5 10.1")
MobileNet100_192 = _network("MobileNet100_192", "tf_mobilenetv1_100_192", "top-1 30.0, top-5 10.8")
MobileNet100_160 = _network("MobileNet100_160", "tf_mobilenetv1_100_160", "top-1 32.0, top-5 12.3")
MobileNet100_128 = _network("MobileNet100_128", "tf_mobilenetv1_100_128", "top-1 34.8, top-5 14.2")
MobileNet075_224 = _network("MobileNet075_224", "tf_mobilenetv1_075_224", "top-1 31.6, top-5 11.8")
MobileNet075_192 = _network("MobileNet075_192", "tf_mobilenetv1_075_192", "top-1 32.8, top-5 12.7")
MobileNet075_160 = _network("MobileNet075_160", "tf_mobilenetv1_075_160", "top-1 34.7, top-5 14.0")
MobileNet075_128 = _network("MobileNet075_128", "tf_mobilenetv1_075_128", "top-1 37.9, top-5 16.1")
MobileNet050_224 = _network("MobileNet050_224", "tf_mobilenetv1_050_224", "top-1 36.7, top-5 15.1")
MobileNet050_192 = _network("MobileNet050_192", "tf_mobilenetv1_050_192", "top-1 38.3, top-5 16.4")
MobileNet050_160 = _network("MobileNet050_160", "tf_mobilenetv1_050_160", "top-1 40.9, top-5 18.1")
MobileNet050_128 = _network("MobileNet050_128", "tf_mobilenetv1_050_128", "top-1 43.7, top-5 20.6")
MobileNet025_224 = _network("MobileNet025_224", "tf_mobilenetv1_025_224", "top-1 50.2, top-5 25.8")
MobileNet025_192 = _network("MobileNet025_192", "tf_mobilenetv1_025_192", "top-1 52.3, top-5 27.7")
MobileNet025_160 = _network("MobileNet025_160", "tf_mobilenetv1_025_160", "top-1 54.5, top-5 29.7")
MobileNet025_128 = _network("MobileNet025_128", "tf_mobilenetv1_025_128", "top-1 58.5, top-5 33.7")
TorchMobileNet = _family("TorchMobileNet", "mobilenetv1_100")

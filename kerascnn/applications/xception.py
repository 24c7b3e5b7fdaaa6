"""Xception: an Inception network whose modules are depthwise separable convolutions with shortcuts.

François Chollet: Xception: Deep Learning with Depthwise Separable Convolutions, 2016, arXiv:1610.02357.

`xception` is the author's network, that of keras.applications: TensorFlow's one-sided padding and constants of batch
norm. `legacy_xception` is timm's form, with PyTorch's. A separable convolution is a depthwise one and a 1x1, one batch
norm after both and nothing between.

Departures: none. The paper names no initial weights; they are Glorot's, Keras' default, with which the author's code
trained.
"""

import dataclasses

import keras

from kerascnn import layers
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family, Ordered, pooled_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Figure 5 of the paper, which has one column."""

    tensorflow: bool = True  # padding and batch norm as TensorFlow; False: as PyTorch
    middle: int = 8  # modules of the middle flow


VARIANTS = {"xception": Spec(), "legacy_xception": Spec(tensorflow=False)}


def bn(x, spec, *, name):
    """Batch norm with the framework's constants."""
    momentum, epsilon = (0.99, 1e-3) if spec.tensorflow else (0.9, 1e-5)
    return layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)


def relu(x, *, name):
    """ReLU."""
    return keras.layers.Activation("relu", name=name)(x)


def conv_bn(x, filters, size, stride, spec, *, name):
    """Convolution without padding or bias, BN; `name` contains "conv"."""
    x = layers.PlainConv2D(filters, size, stride, use_bias=False, name=name)(x)
    return bn(x, spec, name=name.replace("conv", "bn"))


def separable(x, filters, spec, i, *, name):
    """Depthwise 3x3, 1x1, BN; the layers are number i of the module."""
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise{i}")(x)
    x = layers.PlainConv2D(filters, 1, use_bias=False, name=f"{name}_conv{i}")(x)
    return bn(x, spec, name=f"{name}_bn{i}")


def module(x, widths, stride, spec, *, relu_first=True, name):
    """ReLU, separable convolution for each width; a striding one ends in a max pool 3x3/2, plus 1x1/2 of x, BN."""
    y = x
    for i, filters in enumerate(widths, 1):
        if i > 1 or relu_first:
            y = relu(y, name=f"{name}_relu{i}")
        y = separable(y, filters, spec, i, name=name)
    if stride > 1:
        padding = "same" if spec.tensorflow else 1
        y = layers.MaxPooling2D(3, stride, padding, name=f"{name}_pool")(y)
        x = conv_bn(x, widths[-1], 1, stride, spec, name=f"{name}_shortcut_conv")
    return keras.layers.Add(name=f"{name}_add")([x, y])


def features(x, spec: Spec):
    """Stage outputs [b, h/4, w/4, 128], [b, h/8, w/8, 256], [b, h/16, w/16, 728], [b, h/32, w/32, 2048]."""
    x = relu(conv_bn(x, 32, 3, 2, spec, name="stem_conv1"), name="stem_relu1")
    x = relu(conv_bn(x, 64, 3, 1, spec, name="stem_conv2"), name="stem_relu2")
    s1 = module(x, (128, 128), 2, spec, relu_first=False, name="stage1_block1")
    s2 = module(s1, (256, 256), 2, spec, name="stage2_block1")
    x = module(s2, (728, 728), 2, spec, name="stage3_block1")
    for b in range(spec.middle):
        x = module(x, (728, 728, 728), 1, spec, name=f"stage3_block{b + 2}")
    s3, x = x, module(x, (728, 1024), 2, spec, name="stage4_block1")
    for i, filters in enumerate((1536, 2048), 1):
        x = relu(separable(x, filters, spec, i, name="exit"), name=f"exit_relu{i}")
    return [s1, s2, s3, x]


def head(x, classes, activation, *, dropout_rate: float = 0.5):
    """Global average pool, dropout, dense."""
    return pooled_head(x, classes, activation, dropout_rate=dropout_rate)


_MODULES = (  # number in timm, name here, place of the first separable convolution: ReLUs count, one lacks its first
    ("(1)", "stage1_block1", 0),
    ("(2)", "stage2_block1", 1),
    ("([3-9]|1[01])", "stage3_block{1-2}", 1),
    ("(12)", "stage4_block1", 1),
)


def _timm_names():
    """timm counts the layers of a module."""
    rules = [(r"(conv|bn)([12])", "stem_{1}{2}"), ("fc", "head"), (r"bn([34])", "exit_bn{1-2}")]
    rules += [(r"conv([34])\.conv1", "exit_depthwise{1-2}"), (r"conv([34])\.pointwise", "exit_conv{1-2}")]
    for number, name, first in _MODULES:
        prefix = rf"block{number}\."
        rules += [(rf"{prefix}skip", f"{name}_shortcut_conv"), (rf"{prefix}skipbn", f"{name}_shortcut_bn")]
        for i in (1, 2, 3):
            place = first + 3 * (i - 1)
            rules.append((rf"{prefix}rep\.{place}\.conv1", f"{name}_depthwise{i}"))
            rules.append((rf"{prefix}rep\.{place}\.pointwise", f"{name}_conv{i}"))
            rules.append((rf"{prefix}rep\.{place + 1}", f"{name}_bn{i}"))
    return tuple(rules)


def _keras_names():
    """One layer of Keras, a separable convolution, is two here."""
    rules = [(r"block1_conv(\d)", "stem_conv{1}"), (r"block1_conv(\d)_bn", "stem_bn{1}"), ("predictions", "head")]
    for number, name in (
        *(("2", "stage1_block1"), ("3", "stage2_block1"), ("[4-9]|1[0-2]", "stage3_block{1-3}")),
        *(("13", "stage4_block1"), ("14", "exit")),
    ):
        rules.append((rf"block({number})_sepconv(\d)", f"{name}_depthwise{{2}}+{name}_conv{{2}}"))
        rules.append((rf"block({number})_sepconv(\d)_bn", f"{name}_bn{{2}}"))
    for stage, suffix in enumerate(("", "_1", "_2", "_3"), 1):  # the shortcuts have no names of their own
        rules.append((f"conv2d{suffix}", f"stage{stage}_block1_shortcut_conv"))
        rules.append((f"batch_normalization{suffix}", f"stage{stage}_block1_shortcut_bn"))
    return Ordered(rules, _keras_order)


def _keras_order(names):
    """There a shortcut's convolution comes after the second batch norm of its block, here before it."""
    names = list(names)
    for i in [i for i, name in enumerate(names) if name.endswith("_shortcut_conv")]:
        names[i : i + 2] = names[i + 1], names[i]
    return names


_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Chollet: Xception: Deep Learning with Depthwise Separable Convolutions, 2016, arXiv:1610.02357",
    preprocessing=INCEPTION,
    input_shape=(299, 299, 3),
    weight_decay=1e-5,
    names={"timm": _timm_names(), "keras": _keras_names()},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

Xception = _family("Xception", "xception", reported="top-1 21.0, top-5 5.5 % (paper)")
_TIMM_PIXELS = dataclasses.replace(INCEPTION, crop_fraction=0.8975, interpolation="bicubic")  # of its weights
LegacyXception = _family("LegacyXception", "legacy_xception", preprocessing=_TIMM_PIXELS)

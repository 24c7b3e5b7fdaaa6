"""GoogLeNet: as published in 2014, with batch norm as in torchvision, and for CIFAR-10.

Christian Szegedy, Wei Liu, Yangqing Jia, Pierre Sermanet, Scott Reed, Dragomir Anguelov, Dumitru Erhan, Vincent
Vanhoucke, Andrew Rabinovich: Going Deeper with Convolutions, 2014, arXiv:1409.4842.

Departures: where the paper is silent (initial values, local response normalization, rounding of pooled sizes up,
padding of the first convolution), `googlenet_2014` follows BVLC/caffe's bvlc_googlenet; at another input than 224x224
its auxiliary heads average over 4x4 regions, which the paper's 5x5/3 windows give at 224. `googlenet` is torchvision's
network, not the paper's: batch norm instead of biases and local response normalization, a 3x3 convolution in place of
each 5x5, a 2x2 window in the last pool, less dropout. `googlenet_cifar10` is reconstructed: the course figure that it
comes from is lost; it is the paper's modules behind one 3x3 convolution, with padded pools.
"""

import dataclasses
import functools

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import CIFARFamily, Family, pooled_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """What differs between the forms."""

    batch_norm: bool = False  # after each convolution, which then has no bias
    large_kernel: int = 5  # of the third branch
    last_pool: int = 3  # window of the pool before module 5a


VARIANTS = {
    "googlenet_2014": Spec(),
    "googlenet": Spec(batch_norm=True, large_kernel=3, last_pool=2),
    "googlenet_cifar10": Spec(),
}

MODULES = {  # table 1: filters of the 1x1; of the 3x3 and of the 5x5, each after its 1x1; of the 1x1 after the pool
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
# U(±sqrt(3 / fan-in)), Caffe's "xavier".
XAVIER = functools.partial(keras.initializers.VarianceScaling, 1.0, mode="fan_in", distribution="uniform")


def conv(x, filters, size, spec, stride=1, *, name):
    """Convolution, ReLU, biases starting as 0.2; or convolution, BN, ReLU, weights N(0, 0.01) (torchvision)."""
    if not spec.batch_norm:
        start = {"kernel_initializer": XAVIER(), "bias_initializer": keras.initializers.Constant(0.2)}
        return layers.Conv2D(filters, size, stride, size // 2, activation="relu", name=name, **start)(x)
    start = keras.initializers.RandomNormal(stddev=0.01)
    x = layers.Conv2D(filters, size, stride, size // 2, use_bias=False, kernel_initializer=start, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=name.replace("conv", "bn"))(x)
    return keras.layers.Activation("relu", name=name.replace("conv", "relu"))(x)


def pool(x, size=3, *, name):
    """Max pool with stride 2, whose last window may begin inside the image and end one beyond: sizes are rounded up."""
    return blocks.max_pool(x, size, padding=((0, 1), (0, 1)), name=name)


def norm(x, *, name):
    """Local response normalization over 5 channels with Caffe's constants, alpha divided by the 5."""
    options = {"depth_radius": 2, "bias": 1.0, "alpha": 1e-4, "beta": 0.75, "alpha_convention": "mean"}
    return layers.LocalResponseNormalization(name=name, **options)(x)


def module(x, key, spec):
    """1x1, 1x1 and 3x3, 1x1 and 5x5, 3x3 max pool and 1x1, side by side (figure 2b)."""
    f1, (r2, f2), (r3, f3), f4 = MODULES[key]
    name = f"inception{key}"
    y1 = conv(x, f1, 1, spec, name=f"{name}_branch1_conv1")
    y2 = conv(x, r2, 1, spec, name=f"{name}_branch2_conv1")
    y2 = conv(y2, f2, 3, spec, name=f"{name}_branch2_conv2")
    y3 = conv(x, r3, 1, spec, name=f"{name}_branch3_conv1")
    y3 = conv(y3, f3, spec.large_kernel, spec, name=f"{name}_branch3_conv2")
    y4 = keras.layers.MaxPooling2D(3, 1, "same", name=f"{name}_branch4_pool")(x)
    y4 = conv(y4, f4, 1, spec, name=f"{name}_branch4_conv1")
    return keras.layers.Concatenate(name=f"{name}_concat")([y1, y2, y3, y4])


def modules(x, keys, spec):
    """One module after the other."""
    for key in keys:
        x = module(x, key, spec)
    return x


def features(x, spec: Spec):
    """Stage outputs [b, h/4, w/4, 192], [b, h/8, w/8, 480], [b, h/16, w/16, 832], [b, h/32, w/32, 1024] (table 1)."""
    x = pool(conv(x, 64, 7, spec, 2, name="stem_conv1"), name="pool1")
    x = x if spec.batch_norm else norm(x, name="norm1")
    x = conv(conv(x, 64, 1, spec, name="stem_conv2"), 192, 3, spec, name="stem_conv3")
    stem = x if spec.batch_norm else norm(x, name="norm2")
    y3 = modules(pool(stem, name="pool2"), ("3a", "3b"), spec)
    y4 = modules(pool(y3, name="pool3"), ("4a", "4b", "4c", "4d", "4e"), spec)
    return [stem, y3, y4, modules(pool(y4, spec.last_pool, name="pool4"), ("5a", "5b"), spec)]


def features_cifar10(x, spec: Spec):
    """Stage outputs [b, h, w, 480], [b, h/2, w/2, 832], [b, h/4, w/4, 1024]."""
    y3 = modules(conv(x, 192, 3, spec, name="stem_conv1"), ("3a", "3b"), spec)
    y4 = modules(blocks.max_pool(y3, name="pool3"), ("4a", "4b", "4c", "4d", "4e"), spec)
    return [y3, y4, modules(blocks.max_pool(y4, name="pool4"), ("5a", "5b"), spec)]


def dense(x, units, activation, *, name):
    """Dense layer with Caffe's initial values, in float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    bias = keras.initializers.Constant(0.2 if activation == "relu" else 0.0)
    options = {"kernel_initializer": XAVIER(), "bias_initializer": bias, "dtype": dtype}
    return keras.layers.Dense(units, activation, name=name, **options)(x)


def head(x, classes, activation, *, dropout_rate: float = 0.4):
    """Global average pool, dropout, dense (table 1)."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    x = keras.layers.Dropout(dropout_rate, name="head_dropout")(x)
    return dense(x, classes, activation, name="head")


def auxiliary_head(x, classes, activation, spec, *, name):
    """Average over 4x4 regions, 1x1 to 128, dense 1024, ReLU, dropout 0.7, dense (section 5)."""
    if not spec.batch_norm and x.shape[1:3] == (14, 14):
        x = keras.layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    else:
        x = keras.layers.AdaptiveAveragePooling2D((4, 4), name=f"{name}_pool")(x)
    x = conv(x, 128, 1, spec, name=f"{name}_conv")
    x = dense(keras.layers.Flatten(name=f"{name}_flatten")(x), 1024, "relu", name=f"{name}_fc")
    x = keras.layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return dense(x, classes, activation, name=f"{name}_head")


def auxiliary_heads(output_of, classes, activation, spec):
    """Both auxiliary heads, on the outputs of 4a and 4d."""
    places = (("aux1", "inception4a_concat"), ("aux2", "inception4d_concat"))
    return [auxiliary_head(output_of(layer), classes, activation, spec, name=name) for name, layer in places]


_torchvision = (
    (r"conv(\d)\.(conv|bn)", "stem_{2}{1}"),
    (r"inception(\w+)\.branch(1)\.(conv|bn)", "inception{1}_branch{2}_{3}1"),
    (r"inception(\w+)\.branch([23])\.(\d)\.(conv|bn)", "inception{1}_branch{2}_{4}{3+1}"),
    (r"inception(\w+)\.branch(4)\.1\.(conv|bn)", "inception{1}_branch{2}_{3}1"),
    (r"aux(\d)\.conv\.(conv|bn)", "aux{1}_{2}"),
    (r"aux(\d)\.fc1", "aux{1}_fc"),
    (r"aux(\d)\.fc2", "aux{1}_head"),
    (r"fc", "head"),
)


def _min_size(spec):
    """The map before the last pool must be as large as its window, less the pixel that the window may lack."""
    return 16 * (spec.last_pool - 1) - 1


_shared = {
    "variants": VARIANTS,
    "paper": "Szegedy et al.: Going Deeper with Convolutions, 2014, arXiv:1409.4842",
    "auxiliary": auxiliary_heads,
    "auxiliary_weights": (0.3, 0.3),
}
_family_2014 = Family(
    __name__,
    recipe="googlenet",
    features=features,
    head=head,
    preprocessing=IMAGENET,
    weight_decay=2e-4,
    min_size=_min_size,
    **_shared,
)
_family = Family(
    __name__,
    recipe="googlenet",
    features=features,
    head=pooled_head,
    preprocessing=IMAGENET,
    min_size=_min_size,
    names={"torchvision": _torchvision},
    **_shared,
)
_family_cifar10 = CIFARFamily(
    __name__,
    recipe="cifar_plain",
    features=features_cifar10,
    head=head,
    min_size=1,
    **_shared,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

GoogLeNet2014 = _family_2014(
    "GoogLeNet2014", "googlenet_2014", reported="top-5 10.07 % (paper, 1 net, 1 crop); top-1 31.3, top-5 11.1 % (BVLC)"
)
GoogLeNet = _family("GoogLeNet", "googlenet", dropout_rate=0.2, reported="top-1 30.22, top-5 10.47 % (torchvision)")
GoogLeNetCIFAR10 = _family_cifar10("GoogLeNetCIFAR10", "googlenet_cifar10", reconstructed=True)

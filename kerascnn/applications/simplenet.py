"""SimpleNet: thirteen convolutions with max pools between them, for CIFAR and, in strided forms, for ImageNet.

Seyyed Hossein Hasanpour, Mohammad Rouhani, Mohsen Fayyaz, Mohammad Sabokrou: Lets keep it simple, Using simple
architectures to outperform deeper and more complex architectures, 2016, arXiv:1608.06037. `simplenet_5m`,
`simplenet_310k` and `simplenet_460k` are the authors' Caffe files (github.com/Coderx7/SimpleNet), all others their
PyTorch code (github.com/Coderx7/SimpleNet_Pytorch).

Departures: the last pool is over the whole map, which for 32x32 images is the Caffe files' 2x2. The two sources differ:
the PyTorch forms normalize all convolutions where the Caffe files leave the last three plain, drop whole channels where
those drop single values, and in `simplenet_cifar_460k` give the last three convolutions other sizes. So the parameters
differ: 5,498,378 and 5,493,258 for the largest, 385,790 and 455,862 for the last. `dropout_rate` of the
PyTorch forms is one rate for all pools and for convolutions that no pool follows, 0 as in their code; their training
scripts give each place its own.
`simplenet_cifar_5m_extra_pool` has a pool by mistake and is kept as there.
"""

import dataclasses
import math

import keras

from kerascnn import layers
from kerascnn._preprocessing import CIFAR, IMAGENET
from kerascnn.applications._build import Family, dense_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Convolutions between pools. A width below 0 is a 1x1 convolution of that many filters, else it is 3x3."""

    widths: tuple[tuple[int, ...], ...]  # filters of the convolutions, a pool after each part
    strides: tuple[int, ...] = ()  # of the first convolutions; 1 beyond
    scale: float = 1.0  # factor on the widths
    dropout: float = 0.0  # Caffe: rate after convolutions and pools
    saf_mode: str = "element"  # element | channel: what dropout and the pools drop


def _imagenet(widths, mode, scale=1.0):
    """The authors' stride modes: three of the first convolutions halve the image, the sooner the faster."""
    return Spec(widths, {1: (2, 2, 2), 2: (2, 2, 1, 2)}[mode], scale, saf_mode="channel")


_5M = ((64, 128, 128, 128), (128, 128, 256), (256, 256), (512, -2048, -256), (256,))
_310K = ((64, 32, 32, 32), (32, 32, 64), (64, 64), (128, -256, -64), (64,))
_460K = ((32, 32, 32, 64), (64, 64, 64), (64, 64), (96, 96, 96), (-100,))
_460K_TORCH = (*_460K[:3], (96, -96, -96), (100,))
_EXTRA_POOL = (*_5M[:3], (512,), (-2048, -256), (256,))
_LARGE = ((64, 128, 128, 128, 128, 128), (256, 256, 256, 512), (-2048, -256, 256))
_LARGEST = ((128, 192, 192, 192, 192, 192), (320, 320, 320, 640), (-2560, -320, 320))

VARIANTS = {
    "simplenet_5m": Spec(_5M, dropout=0.2),
    "simplenet_310k": Spec(_310K),
    "simplenet_460k": Spec(_460K),
    "simplenet_cifar_5m": Spec(_5M, saf_mode="channel"),
    "simplenet_cifar_5m_extra_pool": Spec(_EXTRA_POOL, saf_mode="channel"),
    "simplenet_cifar_310k": Spec(_310K, saf_mode="channel"),
    "simplenet_cifar_460k": Spec(_460K_TORCH, saf_mode="channel"),
    "simplenetv1_small_m1_05": _imagenet(_LARGE, 1, 0.5),
    "simplenetv1_small_m2_05": _imagenet(_LARGE, 2, 0.5),
    "simplenetv1_small_m1_075": _imagenet(_LARGE, 1, 0.75),
    "simplenetv1_small_m2_075": _imagenet(_LARGE, 2, 0.75),
    "simplenetv1_5m_m1": _imagenet(_LARGE, 1),
    "simplenetv1_5m_m2": _imagenet(_LARGE, 2),
    "simplenetv1_9m_m1": _imagenet(_LARGEST, 1),
    "simplenetv1_9m_m2": _imagenet(_LARGEST, 2),
}


def conv(x, width, gaussian, *, name):
    """Caffe's convolution with bias; weights start as N(0, 0.01) or as its "xavier", U(±sqrt(3 / fan-in))."""
    normal = keras.initializers.RandomNormal(stddev=0.01)
    xavier = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform")
    options = {"padding": "same", "kernel_initializer": normal if gaussian else xavier}
    return layers.PlainConv2D(abs(width), 1 if width < 0 else 3, **options, name=f"{name}_conv")(x)


def bn_relu(x, *, name):
    """Batch norm with the Caffe files' constants, ReLU."""
    x = layers.BatchNormalization(momentum=0.95, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def saf_pool(x, rate, mode, *, name):
    """2x2 max pool that drops at `rate`."""
    return layers.SAFPooling2D(2, rate=rate, mode=mode, name=name)(x)


def features_caffe(x, spec: Spec):
    """The last map of each size, [b, h, w, c] to [b, h/16, w/16, c], the last one before the last pool.

    Three things are irregular: the second pool stands before its batch norm, the third has dropout before it instead of
    after it, and the last three convolutions have no batch norm.
    """
    stages, count, rate = [], 0, spec.dropout
    for p, widths in enumerate(spec.widths, 1):
        for c, width in enumerate(widths, 1):
            name, last, count = f"part{p}_{c}", c == len(widths), count + 1
            if p == 2 and last:
                stages.append(x)
            x = conv(x, width, 3 <= count <= 5, name=name)
            if p == 2 and last:
                x = keras.layers.MaxPooling2D(2, name="pool2")(x)
            plain = count > 10
            x = keras.layers.Activation("relu", name=f"{name}_relu")(x) if plain else bn_relu(x, name=name)
            if rate and (not last or p in (2, 3)):
                x = keras.layers.Dropout(rate, name=f"{name}_dropout")(x)
        if p != 2:
            stages.append(x)
        if p == 3:
            x = keras.layers.MaxPooling2D(2, name="pool3")(x)
        elif p in (1, 4):
            x = saf_pool(x, rate, spec.saf_mode, name=f"pool{p}")
    return stages


def features(x, spec: Spec, *, dropout_rate: float = 0.0):
    """The map before each pool, [b, h, w, c], [b, h/2, w/2, c], ... for CIFAR, [b, h/8, w/8, c], ... for ImageNet."""
    he = keras.initializers.VarianceScaling(2.0, mode="fan_avg", distribution="uniform")
    stages, strides = [], list(spec.strides)
    for p, widths in enumerate(spec.widths, 1):
        for c, width in enumerate(widths, 1):
            name = f"part{p}_{c}"
            size, stride = 1 if width < 0 else 3, strides.pop(0) if strides else 1
            options = {"kernel_initializer": he.clone(), "name": f"{name}_conv"}
            x = layers.Conv2D(round(abs(width) * spec.scale), size, stride, size // 2, **options)(x)
            x = layers.BatchNormalization(momentum=0.95, epsilon=1e-5, name=f"{name}_bn")(x)
            x = keras.layers.Activation("relu", name=f"{name}_relu")(x)
            if dropout_rate and c < len(widths):
                x = keras.layers.SpatialDropout2D(dropout_rate, name=f"{name}_dropout")(x)
        stages.append(x)
        if p < len(spec.widths):
            x = saf_pool(x, dropout_rate, spec.saf_mode, name=f"pool{p}")
    return stages


def head_caffe(x, classes, activation):
    """Global max pool, dense; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalMaxPooling2D(dtype=dtype, name="head_pool")(x)
    return dense_head(x, classes, activation)


def head(x, classes, activation, *, dropout_rate: float = 0.0):
    """SAF-pooling of the whole map, dense; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = layers.SAFPooling2D(None, rate=dropout_rate, dtype=dtype, name="head_pool")(x)
    return dense_head(keras.layers.Flatten(name="flatten")(x), classes, activation)


_shared = {
    "min_size": lambda spec: 2 ** (len(spec.widths) - 1) * math.prod(spec.strides),
    "variants": VARIANTS,
    "paper": "Hasanpour, Rouhani, Fayyaz, Sabokrou: Lets keep it simple, Using simple architectures to outperform "
    "deeper and more complex architectures, 2016, arXiv:1608.06037",
}
_small = {**_shared, "preprocessing": CIFAR, "recipe": "simplenet", "input_shape": (32, 32, 3), "classes": 10}
_caffe = Family(__name__, features=features_caffe, head=head_caffe, **_small)
_cifar = Family(__name__, features=features, head=head, **_small)
_family = Family(__name__, features=features, head=head, preprocessing=IMAGENET, **_shared)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

SimpleNet5M = _caffe("SimpleNet5M", "simplenet_5m", reported="CIFAR-10 4.68, without augmentation 5.25 % (paper)")
SimpleNet310K = _caffe("SimpleNet310K", "simplenet_310k", reported="CIFAR-10 8.02, CIFAR-100 35.32 % (authors)")
SimpleNet460K = _caffe("SimpleNet460K", "simplenet_460k", reported="CIFAR-10 7.67, CIFAR-100 33.18 % (authors)")
SimpleNetCifar5M = _cifar(
    "SimpleNetCifar5M", "simplenet_cifar_5m", reported="CIFAR-10 4.49, CIFAR-100 21.63 % (authors)"
)
SimpleNetCifar5MExtraPool = _cifar("SimpleNetCifar5MExtraPool", "simplenet_cifar_5m_extra_pool")
SimpleNetCifar310K = _cifar("SimpleNetCifar310K", "simplenet_cifar_310k")
SimpleNetCifar460K = _cifar("SimpleNetCifar460K", "simplenet_cifar_460k")
SimpleNetV1SmallM1_05 = _family("SimpleNetV1SmallM1_05", "simplenetv1_small_m1_05", reported="top-1 38.88 % (authors)")
SimpleNetV1SmallM2_05 = _family("SimpleNetV1SmallM2_05", "simplenetv1_small_m2_05", reported="top-1 38.33 % (authors)")
SimpleNetV1SmallM1_075 = _family(
    "SimpleNetV1SmallM1_075", "simplenetv1_small_m1_075", reported="top-1 32.22 % (authors)"
)
SimpleNetV1SmallM2_075 = _family(
    "SimpleNetV1SmallM2_075", "simplenetv1_small_m2_075", reported="top-1 31.49 % (authors)"
)
SimpleNetV1_5M_M1 = _family("SimpleNetV1_5M_M1", "simplenetv1_5m_m1", reported="top-1 28.45 % (authors)")
SimpleNetV1_5M_M2 = _family("SimpleNetV1_5M_M2", "simplenetv1_5m_m2", reported="top-1 27.97 % (authors)")
SimpleNetV1_9M_M1 = _family("SimpleNetV1_9M_M1", "simplenetv1_9m_m1", reported="top-1 26.21 % (authors)")
SimpleNetV1_9M_M2 = _family("SimpleNetV1_9M_M2", "simplenetv1_9m_m2", reported="top-1 25.77 % (authors)")

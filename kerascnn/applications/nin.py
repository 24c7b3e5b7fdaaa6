"""Network in network: each convolution is followed by two 1x1 convolutions; one map a class, averaged.

Min Lin, Qiang Chen, Shuicheng Yan: Network In Network, 2013, arXiv:1312.4400.

Departures: initial weights are He's, and the head's biases start at 1. Those of the authors' releases, N(0, 0.05) and
N(0, 0.01), are for whitened images and for pixels of 0 to 255 less their mean: with normalized images answers differ by
2e-3 and 2e-4, and the ReLU of the last 1x1 convolution, because of which outputs are never negative, closes before
anything is learned. Else none from the releases, mavenlin/cuda-convnet (CIFAR-10; both its pools take maxima, where
other files average in the second) and the Caffe file of the ImageNet network.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import CIFARFamily, Family
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """The stages, separated by max pools; the last 1x1 convolution is the head."""

    widths: tuple[tuple[int, ...], ...]  # per stage: of the convolution and of the 1x1 convolutions after it
    sizes: tuple[int, ...]  # of the convolutions
    stem: tuple[int, int]  # stride and padding of the first; the others have stride 1 and keep the size
    dropped: tuple[bool, ...]  # dropout after the pool between stages


VARIANTS = {
    "nin_cifar10": Spec(((192, 160, 96), (192, 192, 192), (192, 192)), (5, 5, 3), (1, 2), (True, True)),
    "nin_imagenet": Spec(
        ((96, 96, 96), (256, 256, 256), (384, 384, 384), (1024, 1024)),
        (11, 5, 3, 3),
        (4, 0),
        (False, False, True),
    ),
}


def conv(x, filters, size, stride, padding, *, name):
    """Convolution, ReLU; He's initial weights."""
    layer = layers.Conv2D(
        filters, size, stride, padding, activation="relu", kernel_initializer=keras.initializers.HeNormal(), name=name
    )  # fmt: skip
    return layer(x)


def features(x, spec: Spec, *, dropout_rate: float = 0.5):
    """The last map before each pool and before the head: [b, h, w, 96], [b, h/2, w/2, 192], [b, h/4, w/4, 192].

    For ImageNet [b, h/4, w/4, 96], [b, h/8, w/8, 256], [b, h/16, w/16, 384], [b, h/32, w/32, 1024].
    """
    stages = []
    for s, (filters, *pointwise) in enumerate(spec.widths):
        if s > 0:
            x = blocks.max_pool(x, padding=((0, 1), (0, 1)), name=f"stage{s}_pool")  # rounds the size up
            if spec.dropped[s - 1]:
                x = keras.layers.Dropout(dropout_rate, name=f"stage{s}_dropout")(x)
        stride, padding = (1, spec.sizes[s] // 2) if s > 0 else spec.stem
        x = conv(x, filters, spec.sizes[s], stride, padding, name=f"stage{s + 1}_conv")
        for i, width in enumerate(pointwise, 1):
            x = conv(x, width, 1, 1, 0, name=f"stage{s + 1}_cccp{i}")
        stages.append(x)
    return stages


def head(x, classes, activation):
    """1x1 convolution, ReLU, global average; initial weights as in the authors' Caffe file."""
    return blocks.conv_head(x, classes, activation, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01))


def _min_size(spec):
    """Each of the pools between stages halves the map, rounded down; one pixel must remain."""
    stride, padding = spec.stem
    return (2 ** (len(spec.widths) - 1) - 1) * stride + spec.sizes[0] - 2 * padding


_shared = {
    "min_size": _min_size,
    "features": features,
    "head": head,
    "variants": VARIANTS,
    "paper": "Lin, Chen, Yan: Network In Network, 2013, arXiv:1312.4400",
    "weight_decay": 1e-4,
}
_cifar = CIFARFamily(
    __name__,
    recipe="cifar_plain",
    **_shared,
)
_imagenet = Family(__name__, preprocessing=IMAGENET, recipe="imagenet_plain", **_shared)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

NiNCIFAR10 = _cifar("NiNCIFAR10", "nin_cifar10", reported="CIFAR-10 8.81, without augmentation 10.41 % (paper)")
NiNImageNet = _imagenet("NiNImageNet", "nin_imagenet", reported="top-1 40.64 % (authors' Caffe file)")

"""VGG: networks of 3x3 convolutions, as published, with batch norm, for CIFAR-10, and with SE or CBAM gates.

Karen Simonyan, Andrew Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014,
arXiv:1409.1556. Batch norm as in torchvision. Gates: Jie Hu, Li Shen, Samuel Albanie, Gang Sun, Enhua Wu:
Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507; Sanghyun Woo, Jongchan Park, Joon-Young Lee, In So Kweon:
CBAM, 2018, arXiv:1807.06521.

Departures: images of another size than 224 are averaged over 7x7 regions before the dense layers, as in torchvision;
the paper turns the dense layers into convolutions and keras.applications changes their size. Weights start as He's, of
convolutions in the fan-out form as in torchvision, of the head as N(0, 0.01): the paper's N(0, 0.01) for A is for
pixels of 0 to 255 less their mean, and with normalized images answers would differ by 3e-6; with Glorot's, which
section 3.1 names as sufficient for deeper ones, by 2e-4. They may also start from A's by `weights.shallow_layers`. The
batch-norm forms keep the convolutions' biases, as in torchvision. Reconstructed: `vgg13_cifar10`, whose course figure
is lost, is B with a pool after each stage; `vgg13_cifar10_2233` is the other reading, D without its last stage. The SE
paper puts its gate after the ReLU of each convolution of a VGG with batch norm, but released no network: here with the
biases of torchvision's and 16 channels a hidden unit. `cbam_vgg16` has CBAM's two gates in the same places.
"""

import dataclasses
import functools

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import CIFAR, IMAGENET
from kerascnn.applications._build import Family, Ordered, Ranked
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """One column of the paper's table 1."""

    depths: tuple[int, ...]  # convolutions per stage; each stage ends in a pool
    pointwise: bool = False  # the third convolution of a stage is 1x1
    lrn: bool = False  # local response normalization after the first convolution
    batch_norm: bool = False  # after each convolution
    se: int = 0  # channels / hidden units of an SE gate after each ReLU; 0: none
    cbam: int = 0  # likewise for CBAM's two gates


VARIANTS = {
    "vgg11": Spec((1, 1, 2, 2, 2)),  # table 1, A
    "vgg11_lrn": Spec((1, 1, 2, 2, 2), lrn=True),  # A-LRN
    "vgg13": Spec((2, 2, 2, 2, 2)),  # B
    "vgg16_c": Spec((2, 2, 3, 3, 3), pointwise=True),  # C
    "vgg16": Spec((2, 2, 3, 3, 3)),  # D
    "vgg19": Spec((2, 2, 4, 4, 4)),  # E
    "vgg11_bn": Spec((1, 1, 2, 2, 2), batch_norm=True),
    "vgg13_bn": Spec((2, 2, 2, 2, 2), batch_norm=True),
    "vgg16_bn": Spec((2, 2, 3, 3, 3), batch_norm=True),
    "vgg19_bn": Spec((2, 2, 4, 4, 4), batch_norm=True),
    "se_vgg16": Spec((2, 2, 3, 3, 3), batch_norm=True, se=16),  # the SE paper, table 2
    "cbam_vgg16": Spec((2, 2, 3, 3, 3), batch_norm=True, cbam=16),
    "vgg13_cifar10": Spec((2, 2, 2, 2, 2)),
    "vgg13_cifar10_2233": Spec((2, 2, 3, 3)),
}
WIDTHS = (64, 128, 256, 512, 512)


HE = functools.partial(keras.initializers.VarianceScaling, 2.0, mode="fan_out", distribution="untruncated_normal")


def unit(x, filters, size, spec, *, name):
    """Convolution with bias, batch norm if any, ReLU, then the gates; `name` contains "conv"."""
    x = layers.PlainConv2D(filters, size, padding="same", kernel_initializer=HE(), name=name)(x)
    if spec.batch_norm:
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name.replace("conv", "bn"))(x)
    x = keras.layers.Activation("relu", name=name.replace("conv", "relu"))(x)
    if spec.se:
        x = blocks.squeeze_excite(x, spec.se, name=name.replace("conv", "se"))
    if spec.cbam:
        x = blocks.channel_gate(x, spec.cbam, name=name.replace("conv", "channel"))
        x = blocks.spatial_gate(x, name=name.replace("conv", "spatial"))
    return x


def features(x, spec: Spec):
    """Before each pool [b, h, w, 64], [b, h/2, w/2, 128], ..., then the last pool [b, h/32, w/32, 512]."""
    stages = []
    for s, depth in enumerate(spec.depths):
        for i in range(depth):
            size = 1 if spec.pointwise and i == 2 else 3
            x = unit(x, WIDTHS[s], size, spec, name=f"stage{s + 1}_conv{i + 1}")
            if spec.lrn and s == 0:
                x = layers.LocalResponseNormalization(depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75, name="norm1")(x)
        stages.append(x)
        x = keras.layers.MaxPooling2D(2, name=f"stage{s + 1}_pool")(x)
    return [*stages, x]


def _head(side):
    """The head over side x side regions; hidden weights start as He's, the last as N(0, 0.01)."""

    def head(x, classes, activation, *, dropout_rate: float = 0.5):
        """Average over the regions, dense 4096, ReLU, dropout twice, dense; float32 under mixed precision."""
        if x.shape[1:3] != (side, side):
            x = keras.layers.AdaptiveAveragePooling2D((side, side), name="head_pool")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        for i in (6, 7):
            options = {"kernel_initializer": keras.initializers.HeNormal(), "name": f"fc{i}"}
            x = keras.layers.Dense(4096, activation="relu", **options)(x)
            x = keras.layers.Dropout(dropout_rate, name=f"dropout{i}")(x)
        options = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01), "name": "head"}
        return keras.layers.Dense(classes, activation, dtype=keras.config.dtype_policy().variable_dtype, **options)(x)

    return head


def _torch_names(spec, *, dense, convolutions=()):
    """torchvision and timm number the layers of the features alike; `dense` are the last three."""
    rules, index = [], 0
    for s, depth in enumerate(spec.depths, 1):
        for i in range(1, depth + 1):
            rules.append((rf"features\.{index}", f"stage{s}_conv{i}"))
            if spec.batch_norm:
                rules.append((rf"features\.{index + 1}", f"stage{s}_bn{i}"))
            index += 3 if spec.batch_norm else 2
        index += 1
    return Ranked((*rules, *zip(dense, ("fc6", "fc7", "head"), strict=True)), convolutions)


_torchvision = functools.partial(_torch_names, dense=(r"classifier\.0", r"classifier\.3", r"classifier\.6"))
_timm = functools.partial(  # whose files may also have torchvision's names, which timm renames
    _torch_names,
    dense=(r"pre_logits\.fc1|classifier\.0", r"pre_logits\.fc2|classifier\.3", r"head\.fc|classifier\.6"),
    convolutions=("fc6", "fc7"),
)


_keras_names = (
    (r"block(\d)_conv(\d)", "stage{1}_conv{2}"),
    (r"fc([12])", "fc{1+5}"),
    (r"predictions", "head"),
)
_keras = Ordered(_keras_names, head=("fc6", "fc7", "head"))
_paper = (
    "Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014, arXiv:1409.1556"
)
_shared = {
    "features": features,
    "variants": VARIANTS,
    "fixed_size": True,
    "weight_decay": 5e-4,
    "min_size": lambda spec: 2 ** len(spec.depths),
}
_imagenet = {
    **_shared,
    "recipe": "vgg",
    "preprocessing": IMAGENET,
    "names": {
        "torchvision": _torchvision,
        "timm": _timm,
        "keras": Ordered(_keras_names, head=("fc6", "fc7", "head")),
    },
}
_cifar = {**_shared, "preprocessing": CIFAR, "recipe": "cifar_plain", "input_shape": (32, 32, 3), "classes": 10}
_family = Family(__name__, head=_head(7), paper=_paper, **_imagenet)
_se = Family(
    __name__,
    head=_head(7),
    paper="Hu, Shen, Albanie, Sun, Wu: Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507",
    **_imagenet,
)
_cbam = Family(
    __name__,
    head=_head(7),
    paper="Woo, Park, Lee, Kweon: CBAM: Convolutional Block Attention Module, 2018, arXiv:1807.06521",
    **_imagenet,
)
_cifar_1x1 = Family(__name__, head=_head(1), paper=_paper, **_cifar)
_cifar_2x2 = Family(__name__, head=_head(2), paper=_paper, **_cifar)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

VGG11 = _family("VGG11", "vgg11", reported="top-1 29.6, top-5 10.4 % (paper, 1 scale)")
VGG11_LRN = _family("VGG11_LRN", "vgg11_lrn", reported="top-1 29.7, top-5 10.5 % (paper, 1 scale)")
VGG13 = _family("VGG13", "vgg13", reported="top-1 28.7, top-5 9.9 % (paper, 1 scale)")
VGG16C = _family("VGG16C", "vgg16_c", reported="top-1 28.1, top-5 9.4 % (paper, 1 scale)")
VGG16 = _family("VGG16", "vgg16", reported="top-1 27.0, top-5 8.8 % (paper, 1 scale)")
VGG19 = _family("VGG19", "vgg19", reported="top-1 27.3, top-5 9.0 % (paper, 1 scale)")
VGG11_BN = _family("VGG11_BN", "vgg11_bn", reported="top-1 29.63, top-5 10.19 % (torchvision)")
VGG13_BN = _family("VGG13_BN", "vgg13_bn", reported="top-1 28.41, top-5 9.63 % (torchvision)")
VGG16_BN = _family("VGG16_BN", "vgg16_bn", reported="top-1 26.64, top-5 8.48 % (torchvision)")
VGG19_BN = _family("VGG19_BN", "vgg19_bn", reported="top-1 25.78, top-5 8.16 % (torchvision)")
SEVGG16 = _se("SEVGG16", "se_vgg16", reported="top-1 25.22, top-5 7.70 % (SE paper)", reconstructed=True)
CBAMVGG16 = _cbam("CBAMVGG16", "cbam_vgg16", reconstructed=True)
VGG13CIFAR10 = _cifar_1x1("VGG13CIFAR10", "vgg13_cifar10", reconstructed=True)
VGG13CIFAR10_2233 = _cifar_2x2("VGG13CIFAR10_2233", "vgg13_cifar10_2233", reconstructed=True)

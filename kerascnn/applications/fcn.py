"""FCN: fully convolutional networks on VGG, whose scores are enlarged 32-, 16- or 8-fold to the size of the image.

Jonathan Long, Evan Shelhamer, Trevor Darrell: Fully Convolutional Networks for Semantic Segmentation, CVPR 2015,
arXiv:1411.4038; the same with more experiments: arXiv:1605.06211.

`fcn*_vgg16` are the authors' networks as released for Caffe (shelhamer/fcn.berkeleyvision.org, voc-fcn*): the first
convolution pads by 100 so that an image of any size suffices for the 7x7 window of `fc6`, pools round sizes up, the
score layers start at zero, and what they give is enlarged by fixed bilinear kernels, dense over the classes, and cut to
size. Layers have the names of our VGG networks, so that `kerascnn.weights.copy_weights` moves an ImageNet network or
the next coarser FCN into them, which is how the authors train.

Departures: the paper learns the kernels of the inner enlargements, the released networks and these do not. Convolutions
start from He's initial values where no trained network is copied. Pixels are scaled by mean and deviation, not in
Caffe's way. The `*_small` networks are ours, not the authors', for small images and training from scratch: VGG-11 of
half the width with batch norm, zero padding of one everywhere, and 256 channels behind 3x3 and 1x1 convolutions in
place of the two layers of 4,096; they are marked as reconstructed.
"""

import dataclasses

import keras

from kerascnn import layers
from kerascnn._preprocessing import SEGMENTATION
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_areas


@dataclasses.dataclass(frozen=True)
class Spec:
    """One network."""

    stride: int  # pixels between the finest scores: 32, 16 (with those of the fourth pool) or 8 (and of the third)
    depths: tuple[int, ...] = (2, 2, 3, 3, 3)  # convolutions per stage; each stage ends in a pool
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: int = 4096  # channels of fc6 and fc7
    window: int = 7  # taps of fc6
    border: int = 100  # padding of the first convolution, and none in fc6; 0: every convolution keeps the size
    batch_norm: bool = False  # after each convolution but the scores
    pool_scales: tuple[float, float] = (1.0, 1.0)  # of the fourth and third pool before they are scored


VGG11 = {"depths": (1, 1, 2, 2, 2), "widths": (32, 64, 128, 256, 256)}
SMALL = {**VGG11, "hidden": 256, "window": 3, "border": 0, "batch_norm": True}

VARIANTS = {
    "fcn32s_vgg16": Spec(32),
    "fcn16s_vgg16": Spec(16),
    "fcn8s_vgg16": Spec(8),
    "fcn32s_vgg11_bn_small": Spec(32, **SMALL),
    "fcn16s_vgg11_bn_small": Spec(16, **SMALL),
    "fcn8s_vgg11_bn_small": Spec(8, **SMALL),
}

# Where the windows of CropLike begin with a border of 100, from net.py of each released network.
POOL4_CROP, POOL3_CROP = 5, 9
IMAGE_CROP = {32: 19, 16: 27, 8: 31}


def unit(x, filters, size, spec, *, padding="same", name):
    """Convolution with bias called `name`, batch norm if any, ReLU."""
    options = {"kernel_initializer": keras.initializers.HeNormal(), "name": name}
    x = layers.Conv2D(filters, size, padding=padding, **options)(x)
    if spec.batch_norm:
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def features(x, spec: Spec):
    """After each pool [b, h/2, w/2, c] to [b, h/32, w/32, c], rounded up, of an image with its border."""
    image, pools = x, []
    for s, (depth, width) in enumerate(zip(spec.depths, spec.widths, strict=True), 1):
        for i in range(1, depth + 1):
            padding = spec.border if spec.border and s == i == 1 else "same"
            x = unit(x, width, 3, spec, padding=padding, name=f"stage{s}_conv{i}")
        x = keras.layers.MaxPooling2D(2, padding="same", name=f"stage{s}_pool")(x)
        pools.append(x)
    return pools, (image, pools, spec)


def score(x, classes, *, name):
    """1x1 convolution to one map a class, zero at the start, in float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    return layers.PlainConv2D(classes, 1, kernel_initializer="zeros", dtype=dtype, name=name)(x)


def enlarged(x, factor, spec, *, name):
    """`factor` times the size, and `factor` pixels more where the image has a border."""
    options = {"padding": "valid" if spec.border else "same", "dtype": x.dtype, "name": name}
    return layers.BilinearUpsampling2D(x.shape[-1], factor, **options)(x)


def fused(x, pool, scale, crop, spec, *, name):
    """Scores x, twice the size, plus the scores of a pool; the larger of the two is cut to the other's size."""
    x = enlarged(x, 2, spec, name=f"head_{name}_upscore")
    if scale != 1:
        pool = keras.layers.Rescaling(scale, name=f"head_{name}_scale")(pool)
    skip = score(pool, x.shape[-1], name=f"head_{name}_score")
    if spec.border:
        skip = layers.CropLike(crop, dtype=x.dtype, name=f"head_{name}_crop")([skip, x])
    else:  # an odd size was rounded up by the pool
        x = layers.CropLike(dtype=x.dtype, name=f"head_{name}_crop")([x, skip])
    return keras.layers.Add(dtype=x.dtype, name=f"head_{name}_add")([x, skip])


def head(seen, classes, activation, *, dropout_rate: float = 0.5):
    """fc6, fc7 with dropout, scores, those of the finer pools, enlarged to the image: [b, h, w, classes]."""
    image, (*_, pool3, pool4, x), spec = seen
    for i, size, padding in ((6, spec.window, "valid" if spec.border else "same"), (7, 1, "same")):
        x = unit(x, spec.hidden, size, spec, padding=padding, name=f"fc{i}")
        x = keras.layers.Dropout(dropout_rate, name=f"dropout{i}")(x)
    x = score(x, classes, name="head")
    if spec.stride <= 16:
        x = fused(x, pool4, spec.pool_scales[0], POOL4_CROP, spec, name="pool4")
    if spec.stride <= 8:
        x = fused(x, pool3, spec.pool_scales[1], POOL3_CROP, spec, name="pool3")
    x = enlarged(x, spec.stride, spec, name="head_upscore")
    crop = IMAGE_CROP[spec.stride] if spec.border else 0
    x = layers.CropLike(crop, dtype=x.dtype, name="head_crop")([x, image])
    return keras.layers.Activation(activation, dtype=x.dtype, name="predictions")(x) if activation else x


_shared = {
    "features": features,
    "head": head,
    "variants": VARIANTS,
    "paper": "Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, 2014, arXiv:1411.4038",
    "preprocessing": SEGMENTATION,
    "min_size": lambda spec: 1 if spec.border else 16,
    "classes": 21,
    "task": "segmentation",
    "weight_decay": 5e-4,
}
_family = Family(__name__, input_shape=(500, 500, 3), **_shared)
_small = Family(__name__, input_shape=(64, 64, 3), **_shared)
preprocess_input, decode_predictions = pixels_and_areas(__name__)


def _network(builder, name, error):
    return _family(builder, name, reported=f"mean IU {error} % (PASCAL VOC 2011 val, authors' release)")


FCN32sVGG16 = _network("FCN32sVGG16", "fcn32s_vgg16", 63.6)
FCN16sVGG16 = _network("FCN16sVGG16", "fcn16s_vgg16", 65.0)
FCN8sVGG16 = _network("FCN8sVGG16", "fcn8s_vgg16", 65.5)
FCN32sVGG11BNSmall = _small("FCN32sVGG11BNSmall", "fcn32s_vgg11_bn_small", reconstructed=True, dropout_rate=0.1)
FCN16sVGG11BNSmall = _small("FCN16sVGG11BNSmall", "fcn16s_vgg11_bn_small", reconstructed=True, dropout_rate=0.1)
FCN8sVGG11BNSmall = _small("FCN8sVGG11BNSmall", "fcn8s_vgg11_bn_small", reconstructed=True, dropout_rate=0.1)

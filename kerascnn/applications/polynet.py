"""PolyNet: Inception residual units F composed to polynomials, such as 1 + F + F² + F³ and 1 + F + G.

Xingcheng Zhang, Zhizhong Li, Chen Change Loy, Dahua Lin: PolyNet: A Pursuit of Structural Diversity in Very Deep
Networks, 2016, arXiv:1611.05725.

Reconstructed from the authors' release (CUHK-MMLAB/polynet): the paper gives neither the widths of the units, nor which
parts of them the powers of F share.

Departures: the powers of F share all convolutions but the last, and each has batch norms and a last 1x1 of its own, as
in the release; the paper shares all. The tables' 92 million parameters are not reached, 95.4 is what the release has.
Units are scaled by 1 to 0.7, falling linearly from module to module. The paper names no initial weights; they are He's.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family, pooled_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """What follows each other in the three stages: "2-way" is 1 + F + G, "poly-3" is 1 + F + F² + F³."""

    stage_a: tuple[str, ...]
    stage_b: tuple[str, ...]
    stage_c: tuple[str, ...]
    last_scale: float = 0.7  # of the units in the last module; 1 in the first


VARIANTS = {"polynet": Spec(("2-way",) * 10, ("poly-3", "2-way") * 10, ("poly-3", "2-way") * 5)}

# Paths of the units, each a chain of (filters, kernel); a 1x1 to the width of the stage follows their concatenation.
UNITS = {
    384: (((32, 1), (48, 3), (64, 3)), ((32, 1), (32, 3)), ((32, 1),)),
    1152: (((128, 1), (160, (1, 7)), (192, (7, 1))), ((192, 1),)),
    2048: (((192, 1), (224, (1, 3)), (256, (3, 1))), ((192, 1),)),
}

# Paths of the reductions beside a max pool; the last convolution of each strides.
REDUCTIONS = {
    1152: (((256, 1), (256, 3), (384, 3)), ((384, 3),)),
    2048: (((256, 1), (256, 3), (256, 3)), ((256, 1), (256, 3)), ((256, 1), (384, 3))),
}


def convolution(filters, size, stride=1, padding="same", *, name):
    """A convolution without bias, to be called."""
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": name}
    return layers.PlainConv2D(filters, size, stride, padding, **options)


def bn(x, *, name):
    """Batch norm with Torch's and Caffe's epsilon."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def relu(x, *, name):
    """ReLU."""
    return keras.layers.Activation("relu", name=name)(x)


def conv_bn(x, filters, size, stride=1, padding="same", *, name):
    """Convolution, BN, ReLU; `name` contains "conv"."""
    x = convolution(filters, size, stride, padding, name=name)(x)
    return relu(bn(x, name=name.replace("conv", "bn")), name=name.replace("conv", "relu"))


def paths(width, *, name):
    """The convolutions of a unit, path by path."""
    return [
        [convolution(filters, size, name=f"{name}_path{p}_conv{i}") for i, (filters, size) in enumerate(path, 1)]
        for p, path in enumerate(UNITS[width], 1)
    ]


def unit(x, convolutions, *, name):
    """Paths of convolution, BN, ReLU, concatenated; 1x1 to the width of x, BN. The convolutions may be shared."""
    width, ends = x.shape[-1], []
    for p, path in enumerate(convolutions, 1):
        y = x
        for i, layer in enumerate(path, 1):
            y = bn(layer(y), name=f"{name}_path{p}_bn{i}")
            y = relu(y, name=f"{name}_path{p}_relu{i}")
        ends.append(y)
    y = keras.layers.Concatenate(name=f"{name}_concat")(ends)
    return bn(convolution(width, 1, name=f"{name}_conv")(y), name=f"{name}_bn")


def two_way(x, *, name):
    """F(x) and G(x)."""
    return [unit(x, paths(x.shape[-1], name=f"{name}_{f}"), name=f"{name}_{f}") for f in "fg"]


def poly_3(x, *, name):
    """F(x), F(ReLU(F(x))) and F(ReLU(F(ReLU(F(x)))))."""
    shared, powers = paths(x.shape[-1], name=f"{name}_f"), []
    for n in (1, 2, 3):
        powers.append(unit(x, shared, name=f"{name}_f{n}"))
        x = relu(powers[-1], name=f"{name}_f{n}_relu")
    return powers


TERMS = {"2-way": two_way, "poly-3": poly_3}


def module(x, kind, scale, rate, *, name):
    """ReLU(x + scale * the sum of the terms)."""
    terms = TERMS[kind](x, name=name)
    terms = [keras.layers.Rescaling(scale, name=f"{name}_scale{i}")(term) for i, term in enumerate(terms, 1)]
    terms = [blocks.drop_path(term, rate, name=f"{name}_drop_path{i}") for i, term in enumerate(terms, 1)]
    return relu(keras.layers.Add(name=f"{name}_add")([x, *terms]), name=f"{name}_relu")


def halved(x, width, *, name):
    """Chains of convolutions whose last one strides, beside a 3x3/2 max pool; no padding in these."""
    ends = []
    for p, path in enumerate(REDUCTIONS[width], 1):
        y = x
        for i, (filters, size) in enumerate(path, 1):
            last = (2, "valid") if i == len(path) else (1, "same")
            y = conv_bn(y, filters, size, *last, name=f"{name}_path{p}_conv{i}")
        ends.append(y)
    return keras.layers.Concatenate(name=f"{name}_concat")([*ends, pool(x, name=f"{name}_pool")])


def pool(x, *, name):
    """3x3/2 max pool without padding."""
    return keras.layers.MaxPooling2D(3, 2, name=name)(x)


def stem(x):
    """That of Inception v4: [b, h, w, 3] -> [b, h/8 - 2, w/8 - 2, 384]."""
    x = conv_bn(x, 32, 3, 2, "valid", name="stem_conv1")
    x = conv_bn(x, 32, 3, 1, "valid", name="stem_conv2")
    x = conv_bn(x, 64, 3, name="stem_conv3")
    x = [pool(x, name="stem_pool1"), conv_bn(x, 96, 3, 2, "valid", name="stem_conv4")]
    x = keras.layers.Concatenate(name="stem_concat1")(x)
    short = conv_bn(conv_bn(x, 64, 1, name="stem_short_conv1"), 96, 3, 1, "valid", name="stem_short_conv2")
    long = conv_bn(x, 64, 1, name="stem_long_conv1")
    long = conv_bn(long, 64, (7, 1), name="stem_long_conv2")
    long = conv_bn(long, 64, (1, 7), name="stem_long_conv3")
    long = conv_bn(long, 96, 3, 1, "valid", name="stem_long_conv4")
    x = keras.layers.Concatenate(name="stem_concat2")([short, long])
    x = [pool(x, name="stem_pool2"), conv_bn(x, 192, 3, 2, "valid", name="stem_conv5")]
    return keras.layers.Concatenate(name="stem_concat3")(x)


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, 39, 39, 384], [b, 19, 19, 1152] and [b, 9, 9, 2048] for 331x331."""
    kinds = (spec.stage_a, spec.stage_b, spec.stage_c)
    depths = [len(stage) for stage in kinds]
    fall = blocks.linear_rates(1 - spec.last_scale, depths)
    rates = blocks.linear_rates(drop_path_rate, depths)
    x, stages = stem(x), []
    for s, stage in enumerate(kinds):
        if s:
            x = halved(x, (1152, 2048)[s - 1], name=f"stage{s + 1}_reduction")
        for b, kind in enumerate(stage):
            x = module(x, kind, 1 - fall[s][b], rates[s][b], name=f"stage{s + 1}_block{b + 1}")
        stages.append(x)
    return stages


def head(x, classes, activation, *, dropout_rate: float = 0.2):
    """Global average pool, dropout, dense."""
    return pooled_head(x, classes, activation, dropout_rate=dropout_rate)


_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Zhang, Li, Loy, Lin: PolyNet: A Pursuit of Structural Diversity in Very Deep Networks, 2016, "
    "arXiv:1611.05725",
    preprocessing=IMAGENET,
    input_shape=(331, 331, 3),
    min_size=75,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

PolyNet = _family("PolyNet", "polynet", reported="top-1 18.71, top-5 4.25 % (authors' release)", reconstructed=True)

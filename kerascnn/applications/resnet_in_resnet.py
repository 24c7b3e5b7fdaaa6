"""ResNet in ResNet (RiR): a residual and a transient stream, each convolved into both.

Sasha Targ, Diogo Almeida, Kevin Lyman: Resnet in Resnet: Generalizing Residual Architectures, 2016, arXiv:1603.08029,
the network of 18 layers with wide streams for CIFAR.

Departures: reconstructed, since the authors released no code and their 10.3M parameters are not reproduced by what the
paper says. `rir` is the common form (osmr/pytorchcv, 9,492,980 parameters): each layer of the residual stream has one
shortcut, a 1x1 convolution without batch norm where the shape changes. `rir_nested` reads the text to the letter, as
nutszebra/resnet_in_resnet does: these layers replace the convolutions of a ResNet's blocks, so that a second shortcut
leads around every two of them; both are parameter-free (9,469,940). Its convolutions have no biases here.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Layers and widths."""

    depths: tuple[int, ...] = (4, 6, 6)  # layers per stage
    widths: tuple[int, ...] = (48, 96, 192)  # of each of the two streams
    nested: bool = False  # parameter-free shortcuts, also around every two layers; False: 1x1 where the shape changes


VARIANTS = {"rir": Spec(), "rir_nested": Spec(nested=True)}  # table 2, "18-layer + wide RiR"


def shortcut(x, filters, stride, *, projection, name):
    """x; where the shape changes 1x1/stride of it, or every stride-th pixel with zero channels."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    if projection:
        return blocks.conv(x, filters, 1, stride, name=f"{name}_conv")
    return layers.ZeroPadShortcut(filters, stride, name=name)(x)


def layer(residual, transient, filters, stride, *, projection, name):
    """Both streams from both, each by a 3x3/stride, BN, ReLU; the residual one also from its shortcut (figure 1b)."""
    streams = {"residual": residual, "transient": transient}
    parts = {
        (a, b): blocks.conv(x, filters, 3, stride, name=f"{name}_{a}_to_{b}_conv")
        for a, x in streams.items()
        for b in streams
    }
    around = shortcut(residual, filters, stride, projection=projection, name=f"{name}_shortcut")
    sums = {b: [parts[a, b] for a in streams] for b in streams}
    sums["residual"].append(around)
    return [blocks.bn_relu(keras.layers.Add(name=f"{name}_{b}_add")(sums[b]), name=f"{name}_{b}_bn") for b in streams]


def features(x, spec: Spec):
    """Stage outputs [b, h, w, 96], [b, h/2, w/2, 192], [b, h/4, w/4, 384]: both streams, the residual one first."""
    r, t = (blocks.conv_bn(x, spec.widths[0], 3, name=f"stem_{stream}_conv") for stream in ("residual", "transient"))
    stages = []
    for s, (depth, filters) in enumerate(zip(spec.depths, spec.widths, strict=True), 1):
        for b in range(1, depth + 1):
            name, stride = f"stage{s}_layer{b}", 2 if s > 1 and b == 1 else 1
            if b % 2:
                before, step = r, stride
            r, t = layer(r, t, filters, stride, projection=not spec.nested, name=name)
            if spec.nested and b % 2 == 0:
                around = shortcut(before, filters, step, projection=False, name=f"{name}_outer_shortcut")
                r = keras.layers.Add(name=f"{name}_outer_add")([r, around])
        stages.append(keras.layers.Concatenate(name=f"stage{s}_streams")([r, t]))
    return stages


def head(x, classes, activation):
    """1x1 convolution to the classes, BN, global average pool; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = layers.PlainConv2D(classes, 1, use_bias=False, kernel_initializer="he_normal", dtype=dtype, name="head")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype, name="head_bn")(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    return keras.layers.Activation(activation, dtype=dtype, name="head_activation")(x)


_family = CIFARFamily(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Targ, Almeida, Lyman: Resnet in Resnet: Generalizing Residual Architectures, 2016, arXiv:1603.08029",
    min_size=8,
    weight_decay=1e-4,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

RiR = _family("RiR", "rir", reported="CIFAR-10 5.01, CIFAR-100 22.90 % (paper)", reconstructed=True)
RiRNested = _family("RiRNested", "rir_nested", reported="CIFAR-10 5.01, CIFAR-100 22.90 % (paper)", reconstructed=True)

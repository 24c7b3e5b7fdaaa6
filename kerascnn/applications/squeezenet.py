"""SqueezeNet: fire modules, 1x1 convolutions that squeeze before 1x1 and 3x3 ones that expand.

Forrest N. Iandola, Song Han, Matthew W. Moskewicz, Khalid Ashraf, William J. Dally, Kurt Keutzer: SqueezeNet:
AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size, 2016, arXiv:1602.07360. Version 1.1: the
authors' release (forresti/SqueezeNet).

Departures: 224x224 images and no padding before the last 1x1 convolution, as in torchvision; the authors' file of
version 1.0 takes 227x227 and pads there, which averages a border of ReLU(bias) in. Initial weights are He's, as in
torchvision: the authors take Glorot's for pixels of 0 to 255 less their mean, and with normalized images these fade to
logits of 1e-5, from which nothing is learned; the head's biases start at 1; with the complex bypass, whose sums grow,
they are Glorot's. `squeezenet1_0_complex_bypass` is reconstructed from section 6, which was not released: 1x1
convolutions with bias, without ReLU, around the fire modules 2, 4, 6, 8, whose widths change, nothing around the others
but the sum. It has 1,589,672 parameters, 6.1 MiB of float32, where the paper's table 3 prints 7.7 MB; how it counts is
not known.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Table 1 of the paper."""

    stem: tuple[int, int]  # filters and size of the first convolution, which has stride 2
    pooled: tuple[int, ...]  # fire modules that a max pool follows; they are numbered from 2 to 9
    simple_bypass: bool = False  # the sum around fire modules that keep the width
    complex_bypass: bool = False  # a 1x1 convolution and the sum around the others


VARIANTS = {
    "squeezenet1_0": Spec((96, 7), (4, 8)),
    "squeezenet1_1": Spec((64, 3), (3, 5)),
    "squeezenet1_0_simple_bypass": Spec((96, 7), (4, 8), simple_bypass=True),  # section 6, figure 2
    "squeezenet1_0_complex_bypass": Spec((96, 7), (4, 8), simple_bypass=True, complex_bypass=True),
}
SQUEEZE = (16, 16, 32, 32, 48, 48, 64, 64)  # filters of the squeezing convolutions; each expanding one has 4 times more


def conv(x, filters, size, spec, stride=1, padding=0, activation="relu", *, name):
    """Convolution, ReLU; He's initial weights, or Glorot's where each module adds as much as it is given."""
    initial = keras.initializers.GlorotUniform() if spec.complex_bypass else keras.initializers.HeUniform()
    layer = layers.Conv2D(
        filters, size, stride, padding, activation=activation, kernel_initializer=initial, name=name
    )  # fmt: skip
    return layer(x)


def fire(x, squeeze, spec, *, name):
    """1x1, ReLU; then 1x1, ReLU beside 3x3, ReLU, concatenated."""
    x = conv(x, squeeze, 1, spec, name=f"{name}_squeeze")
    small = conv(x, 4 * squeeze, 1, spec, name=f"{name}_expand1x1")
    large = conv(x, 4 * squeeze, 3, spec, 1, 1, name=f"{name}_expand3x3")
    return keras.layers.Concatenate(name=f"{name}_concat")([small, large])


def pool(x, *, name):
    """Max pool 3x3/2 that rounds the size up."""
    return layers.MaxPooling2D(3, 2, ((0, 1), (0, 1)), name=name)(x)


def features(x, spec: Spec):
    """Before each pool and the head: [b, h/2, w/2, c], [b, h/4, w/4, 2f], [b, h/8, w/8, 4f], [b, h/16, w/16, 512].

    c and f are 96 and 128, in version 1.1 64 and 64.
    """
    filters, size = spec.stem
    x = conv(x, filters, size, spec, 2, name="conv1")
    stages = [x]
    x = pool(x, name="pool1")
    for i, squeeze in enumerate(SQUEEZE, 2):
        y = fire(x, squeeze, spec, name=f"fire{i}")
        keeps = x.shape[-1] == y.shape[-1]
        if spec.complex_bypass and not keeps:
            x = conv(x, y.shape[-1], 1, spec, activation=None, name=f"fire{i}_bypass")
        if spec.complex_bypass or (spec.simple_bypass and keeps):
            y = keras.layers.Add(name=f"fire{i}_add")([x, y])
        x = y
        if i in spec.pooled:
            stages.append(x)
            x = pool(x, name=f"pool{i}")
    return [*stages, x]


def head(x, classes, activation, *, dropout_rate: float = 0.5):
    """Dropout, 1x1 convolution from N(0, 0.01), ReLU, global average."""
    normal = keras.initializers.RandomNormal(stddev=0.01)
    return blocks.conv_head(x, classes, activation, kernel_initializer=normal, dropout_rate=dropout_rate)


def _torchvision(spec):
    """Modules of `features` are numbered with the ReLU after the first convolution and the pools."""
    rules, index = [(r"features\.0", "conv1"), (r"classifier\.1", "head")], 3
    for i in range(2, 10):
        rules.append((rf"features\.{index}\.(.+)", f"fire{i}_{{1}}"))
        index += 2 if i in spec.pooled else 1
    return tuple(rules)


_family = Family(
    __name__,
    recipe="imagenet_plain",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer: SqueezeNet, 2016, arXiv:1602.07360",
    preprocessing=IMAGENET,
    min_size=lambda spec: spec.stem[1] + 2 * (2 ** (1 + len(spec.pooled)) - 1),  # no pool of an empty map
    weight_decay=2e-4,
    names={"torchvision": _torchvision},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

SqueezeNet1_0 = _family("SqueezeNet1_0", "squeezenet1_0", reported="top-1 42.5, top-5 19.7 % (paper)")
SqueezeNet1_1 = _family("SqueezeNet1_1", "squeezenet1_1", reported="top-1 41.8, top-5 19.4 % (torchvision)")
SqueezeNet1_0SimpleBypass = _family(
    "SqueezeNet1_0SimpleBypass", "squeezenet1_0_simple_bypass", reported="top-1 39.6, top-5 17.5 % (paper)"
)
SqueezeNet1_0ComplexBypass = _family(
    "SqueezeNet1_0ComplexBypass",
    "squeezenet1_0_complex_bypass",
    reported="top-1 41.2, top-5 18.0 % (paper)",
    reconstructed=True,
)

"""ResNet for CIFAR-10, version 2: batch norm and ReLU before each convolution, nothing after the addition.

Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: Identity Mappings in Deep Residual Networks, 2016, arXiv:1603.05027,
as released for Torch (KaimingHe/resnet-1k-layers): no BN in the stem, stride in the first 1x1 of a bottleneck, and a
projection of the pre-activated input where the shape changes.

Departures: the authors did not release the 110-layer network of basic units; it follows the same rules here.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network of 9 * units + 2 layers, of 6 * units + 2 with basic units."""

    units: int  # per stage
    bottleneck: bool = True  # 1x1, 3x3, 1x1 with four times the width out; False: 3x3, 3x3
    widths: tuple[int, ...] = (16, 32, 64)  # of the stages, before the factor of four


VARIANTS = {  # tables 3 and 4
    "preresnet110": Spec(18, bottleneck=False),
    "preresnet164": Spec(18),
    "preresnet1001": Spec(111),
}


def basic(x, width, stride, *, name):
    """3x3/stride, BN, ReLU, 3x3; the BN and ReLU before it are the unit's."""
    x = blocks.conv(x, width, 3, stride, name=f"{name}_conv1")
    x = blocks.bn_relu(x, name=f"{name}_bn2")
    return blocks.conv(x, width, 3, name=f"{name}_conv2")


def bottleneck(x, width, stride, *, name):
    """1x1/stride, BN, ReLU, 3x3, BN, ReLU, 1x1 to 4 * width; the BN and ReLU before it are the unit's."""
    x = blocks.conv(x, width, 1, stride, name=f"{name}_conv1")
    x = blocks.bn_relu(x, name=f"{name}_bn2")
    x = blocks.conv(x, width, 3, name=f"{name}_conv2")
    x = blocks.bn_relu(x, name=f"{name}_bn3")
    return blocks.conv(x, 4 * width, 1, name=f"{name}_conv3")


def unit(x, spec, width, stride, rate, *, name):
    """BN, ReLU, branch, plus x or, where the shape changes, 1x1/stride of what the branch sees."""
    filters = 4 * width if spec.bottleneck else width
    pre = blocks.bn_relu(x, name=f"{name}_bn1")
    if stride != 1 or x.shape[-1] != filters:
        x = blocks.conv(pre, filters, 1, stride, name=f"{name}_shortcut_conv")
    y = (bottleneck if spec.bottleneck else basic)(pre, width, stride, name=name)
    return keras.layers.Add(name=f"{name}_add")([x, blocks.drop_path(y, rate, name=f"{name}_drop_path")])


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, c], [b, h/2, w/2, 2c], [b, h/4, w/4, 4c]; c = 16 or 64; BN and ReLU after the last."""
    x = blocks.conv(x, spec.widths[0], 3, name="stem_conv")
    rates = blocks.linear_rates(drop_path_rate, (spec.units,) * len(spec.widths))
    stages = []
    for s, width in enumerate(spec.widths):
        for b in range(spec.units):
            stride = 2 if s > 0 and b == 0 else 1
            x = unit(x, spec, width, stride, rates[s][b], name=f"stage{s + 1}_block{b + 1}")
        stages.append(x)
    return [*stages[:-1], blocks.bn_relu(x, name="final_bn")]


_family = CIFARFamily(
    __name__,
    recipe="resnet_cifar",
    features=features,
    variants=VARIANTS,
    paper="He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks, 2016, arXiv:1603.05027",
    weight_decay=1e-4,
    min_size=8,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

PreResNet110 = _family("PreResNet110", "preresnet110", reported="6.37 % (CIFAR-10)", reconstructed=True)
PreResNet164 = _family("PreResNet164", "preresnet164", reported="5.46 % (CIFAR-10), 24.33 % (CIFAR-100)")
PreResNet1001 = _family("PreResNet1001", "preresnet1001", reported="4.92 % (CIFAR-10, batch 128; 4.62 % batch 64)")

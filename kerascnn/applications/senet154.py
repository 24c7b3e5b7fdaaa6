"""SENet-154: a ResNeXt-152 (64x4d) with changes, whose residual branches weigh their channels.

Jie Hu, Li Shen, Samuel Albanie, Gang Sun, Enhua Wu: Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507, whose
appendix describes it: three 3x3 instead of the first 7x7, half the width in the first 1x1 of a block, 3x3 instead of
1x1 where shortcuts stride, dropout.

`legacy_senet154` is the authors' release (hujie-frank/SENet), whose first pool rounds sizes up without padding;
`senet154` is timm's, whose pool pads by one.

Departures: none. NASNet's tables list an earlier network under the name SENet, with 145.8 million parameters.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import TORCH_RESNET


@dataclasses.dataclass(frozen=True)
class Spec:
    """What the appendix lists."""

    depths: tuple[int, ...] = (3, 8, 36, 3)  # blocks per stage
    groups: int = 64  # of the 3x3
    reduction: int = 16  # channels / hidden units of the gate
    pool_padding: int | tuple = 1  # of the first pool


VARIANTS = {
    "senet154": Spec(),
    "legacy_senet154": Spec(pool_padding=((0, 1), (0, 1))),  # one row and column more: sizes are rounded up
}


def block(x, width, stride, rate, spec, *, name):
    """1x1 to 2 * width, grouped 3x3/stride to 4 * width, 1x1, each with BN and all but the last ReLU; gate; plus x.

    The shortcut is convolved where shapes change: by 1x1 in the first stage, 3x3/2 in the others.
    """
    y = blocks.conv_bn(x, 2 * width, 1, name=f"{name}_conv1")
    y = blocks.conv_bn(y, 4 * width, 3, stride, groups=spec.groups, name=f"{name}_conv2")
    y = blocks.conv_bn(y, 4 * width, 1, relu=False, name=f"{name}_conv3")
    y = blocks.squeeze_excite(y, spec.reduction, name=f"{name}_se")
    y = blocks.drop_path(y, rate, name=f"{name}_drop_path")
    if x.shape[-1] != 4 * width:
        x = blocks.conv_bn(x, 4 * width, 3 if stride > 1 else 1, stride, relu=False, name=f"{name}_shortcut_conv")
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h/4, w/4, 256], [b, h/8, w/8, 512], [b, h/16, w/16, 1024], [b, h/32, w/32, 2048]."""
    for i, (filters, stride) in enumerate([(64, 2), (64, 1), (128, 1)], 1):
        x = blocks.conv_bn(x, filters, 3, stride, name=f"stem_conv{i}")
    x = blocks.max_pool(x, padding=spec.pool_padding, name="stem_pool")
    stages = []
    for s, rates in enumerate(blocks.linear_rates(drop_path_rate, spec.depths)):
        for b, rate in enumerate(rates):
            stride = 2 if s > 0 and b == 0 else 1
            x = block(x, 64 * 2**s, stride, rate, spec, name=f"stage{s + 1}_block{b + 1}")
        stages.append(x)
    return stages


def head(x, classes, activation, *, dropout_rate: float = 0.2):
    """Global average pool, dropout, dense."""
    return pooled_head(x, classes, activation, dropout_rate=dropout_rate)


_RELEASE = (
    (r"layer0\.(conv|bn)(\d)", "stem_{1}{2}"),
    (r"layer(\d)\.(\d+)\.se_module\.fc1", "stage{1}_block{2+1}_se_reduce"),
    (r"layer(\d)\.(\d+)\.se_module\.fc2", "stage{1}_block{2+1}_se_expand"),
    (r"last_linear", "head"),
)
_TIMM = (
    (r"conv1\.0", "stem_conv1"),
    (r"conv1\.1", "stem_bn1"),
    (r"conv1\.3", "stem_conv2"),
    (r"conv1\.4", "stem_bn2"),
    (r"conv1\.6", "stem_conv3"),
    (r"bn1", "stem_bn3"),
    (r"layer(\d)\.(\d+)\.se\.fc1", "stage{1}_block{2+1}_se_reduce"),
    (r"layer(\d)\.(\d+)\.se\.fc2", "stage{1}_block{2+1}_se_expand"),
    *TORCH_RESNET[1:],
)


def _timm_names(spec):
    """A file of either network fits the other; the first names are the network's own."""
    own, other = (_TIMM, _RELEASE) if spec.pool_padding == 1 else (_RELEASE, _TIMM)
    return own + other


_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Hu, Shen, Albanie, Sun, Wu: Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507",
    preprocessing=IMAGENET,
    weight_decay=1e-4,
    names={"timm": _timm_names},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

# As its weights in timm.
SENet154 = _family("SENet154", "senet154", preprocessing=dataclasses.replace(IMAGENET, interpolation="bicubic"))
LegacySENet154 = _family(
    "LegacySENet154", "legacy_senet154", reported="top-1 18.68, top-5 4.47 % (release), 17.28, 3.79 at 320 (paper)"
)

"""Inception-ResNet v1 and v2: Inception modules as residual branches, scaled down before the addition.

Christian Szegedy, Sergey Ioffe, Vincent Vanhoucke, Alex Alemi: Inception-v4, Inception-ResNet and the Impact of
Residual Connections on Learning, 2016, arXiv:1602.07261. `se_inception_resnet_v2`: Jie Hu, Li Shen, Samuel Albanie,
Gang Sun, Enhua Wu: Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507.

`inception_resnet_v2` is timm's network, with factors gamma in batch norm, `inception_resnet_v2_keras` that of the
authors' release (TF-slim) and of `keras.applications`, without. `inception_resnet_v1` has the paper's 5, 10 and 5
modules; `inception_resnet_v1_facenet` a sixth C module and a head with 512 units, from David Sandberg's facenet.

Departures: version 2 begins as Inception v3 and with one module without residual connection, as all released code, so
that its maps have 320, 1088 and 2080 channels; figures 15 to 19 of the paper have the stem of Inception v4, and 384,
1154 and 2048. The last C module of version 2 and of facenet's form is neither scaled nor followed by a ReLU, as in the
releases. `se_inception_resnet_v2` is reconstructed: nobody released it; its gates (reduction 16) stand on each residual
branch before the scaling.
"""

import dataclasses
import functools

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family, Ordered, dense_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import numbered
from kerascnn.applications._slim import INCEPTION_RESNET_V2
from kerascnn.blocks import ConvStep as Conv


@dataclasses.dataclass(frozen=True)
class Spec:
    """Figures 10 to 19."""

    version: int  # 1 | 2
    depths: tuple[int, ...]  # modules A, B and C
    plain_last: bool  # the last C module has scale 1 and no ReLU
    factors: bool = True  # batch norm has gamma
    gate: bool = False  # squeeze and excitation on each residual branch


VARIANTS = {
    "inception_resnet_v1": Spec(1, (5, 10, 5), plain_last=False),
    "inception_resnet_v1_facenet": Spec(1, (5, 10, 6), plain_last=True),
    "inception_resnet_v2": Spec(2, (10, 20, 10), plain_last=True),
    "inception_resnet_v2_keras": Spec(2, (10, 20, 10), plain_last=True, factors=False),
    "se_inception_resnet_v2": Spec(2, (10, 20, 10), plain_last=True, gate=True),
}
max_pool = functools.partial(blocks.max_pool, padding=0)
average_pool = functools.partial(blocks.average_pool, counted=False)  # means over the pixels inside
SCALES = {"block35": 0.17, "block17": 0.10, "block8": 0.20}  # of the residual branches, TF-slim; the paper: 0.1 to 0.3

STEM = (Conv(32, 3, 2, "valid"), Conv(32, 3, 1, "valid"), Conv(64, 3)), (Conv(80, 1), Conv(192, 3, 1, "valid"))
MIXED5B = {
    "branch0": (Conv(96, 1),),
    "branch1": (Conv(48, 1), Conv(64, 5)),
    "branch2": (Conv(64, 1), Conv(96, 3), Conv(96, 3)),
    "pool": (Conv(64, 1),),
}


def _module(*chains, reduce=False):
    """branch0, ...: chains of (filters, kernel size); `reduce`: each ends in a stride, and a pool is added."""
    chains = [[Conv(*step) for step in chain] for chain in chains]
    if not reduce:
        return {f"branch{i}": tuple(chain) for i, chain in enumerate(chains)}
    ends = [chain[-1]._replace(strides=2, padding="valid") for chain in chains]
    return {**{f"branch{i}": (*chains[i][:-1], end) for i, end in enumerate(ends)}, "pool": ()}


MODULES = {  # version -> name -> branches
    1: {  # figures 10 to 13, table 1
        "block35": _module(((32, 1),), ((32, 1), (32, 3)), ((32, 1), (32, 3), (32, 3))),
        "mixed6a": _module(((384, 3),), ((192, 1), (192, 3), (256, 3)), reduce=True),
        "block17": _module(((128, 1),), ((128, 1), (128, (1, 7)), (128, (7, 1)))),
        "mixed7a": _module(((256, 1), (384, 3)), ((256, 1), (256, 3)), ((256, 1), (256, 3), (256, 3)), reduce=True),
        "block8": _module(((192, 1),), ((192, 1), (192, (1, 3)), (192, (3, 1)))),
    },
    2: {  # figures 16 to 19, table 1
        "block35": _module(((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
        "mixed6a": _module(((384, 3),), ((256, 1), (256, 3), (384, 3)), reduce=True),
        "block17": _module(((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))),
        "mixed7a": _module(((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3)), reduce=True),
        "block8": _module(((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))),
    },
}


def residual(x, kind, spec, plain, *, name):
    """Branches, 1x1 with a bias to the width of x, gate, scale; plus x, ReLU; `plain`: without scale and ReLU."""
    branches = MODULES[spec.version][kind]
    y = blocks.inception_module(x, branches, pool=max_pool, scale=spec.factors, name=name)
    y = blocks.conv(y, x.shape[-1], 1, use_bias=True, name=f"{name}_up")
    if spec.gate:
        y = blocks.squeeze_excite(y, 16, name=f"{name}_se")
    if plain:
        return keras.layers.Add(name=f"{name}_add")([x, y])
    y = keras.layers.Rescaling(SCALES[kind], name=f"{name}_scale")(y)
    return keras.layers.Activation("relu", name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([x, y]))


def features(x, spec: Spec):
    """Stage outputs [b, 71, 71, 192], [b, 35, 35, 256 or 320], [b, 17, 17, 896 or 1088], [b, 8, 8, 1792 or 1536]."""
    bn = {"scale": spec.factors}
    x = max_pool(blocks.conv_steps(x, STEM[0], name="stem", **bn), name="stem_pool1")
    stages = [blocks.conv_steps(x, STEM[1], name="stem2", **bn)]
    if spec.version == 1:
        x = blocks.conv_step(stages[0], Conv(256, 3, 2, "valid"), name="stem2_conv3", **bn)
    else:
        x = max_pool(stages[0], name="stem_pool2")
        x = blocks.inception_module(x, MIXED5B, pool=average_pool, name="mixed5b", **bn)
    for kind, depth, reduction in zip(SCALES, spec.depths, ("", "mixed6a", "mixed7a"), strict=True):
        if reduction:
            x = blocks.inception_module(x, MODULES[spec.version][reduction], pool=max_pool, name=reduction, **bn)
        for i in range(1, depth + 1):
            plain = spec.plain_last and kind == "block8" and i == depth
            x = residual(x, kind, spec, plain, name=f"{kind}_{i}")
        stages.append(x)
    if spec.version == 2:
        stages[-1] = blocks.conv_step(x, Conv(1536, 1), name="final_conv", **bn)
    return stages


def facenet_head(x, classes, activation, *, dropout_rate: float = 0.6):
    """Global average pool, dropout, dense 512 without bias, BN, dense; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    x = keras.layers.Dropout(dropout_rate, dtype=dtype, name="head_dropout")(x)
    x = keras.layers.Dense(512, use_bias=False, dtype=dtype, name="embedding")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, dtype=dtype, name="embedding_bn")(x)
    return dense_head(x, classes, activation)


def _keras_names(spec):
    """`keras.applications` numbers most layers in the order in which it makes them: branch by branch as above."""
    convs = blocks.step_names(STEM[0], name="stem") + blocks.step_names(STEM[1], name="stem2")
    modules = [("mixed5b", MIXED5B)]
    for kind, depth, reduction in zip(SCALES, spec.depths, ("mixed6a", "mixed7a", None), strict=True):
        modules += [(f"{kind}_{i}", MODULES[2][kind]) for i in range(1, depth + 1)]
        modules += [(reduction, MODULES[2][reduction])] if reduction else []
    for name, branches in modules:
        for key, steps in branches.items():
            convs += blocks.step_names(steps, name=f"{name}_{key}")
    rules = [("predictions", "head"), ("conv_7b", "final_conv"), ("conv_7b_bn", "final_bn")]
    rules.append((r"(block\d+_\d+)_conv", "{1}_up"))
    return Ordered((*rules, *numbered(convs)))


_timm = (
    (r"conv2d_1a\.(conv|bn)", "stem_{1}1"),
    (r"conv2d_2a\.(conv|bn)", "stem_{1}2"),
    (r"conv2d_2b\.(conv|bn)", "stem_{1}3"),
    (r"conv2d_3b\.(conv|bn)", "stem2_{1}1"),
    (r"conv2d_4a\.(conv|bn)", "stem2_{1}2"),
    (r"conv2d_7b\.(conv|bn)", "final_{1}"),
    (r"mixed_5b\.branch3\.1\.(conv|bn)", "mixed5b_pool_{1}1"),
    (r"mixed_(5b|6a)\.branch(0)\.(conv|bn)", "mixed{1}_branch{2}_{3}1"),
    (r"mixed_(\w\w)\.branch(\d)\.(\d)\.(conv|bn)", "mixed{1}_branch{2}_{4}{3+1}"),
    *(
        rule
        for module, name in (
            (r"(block8)", "{1}_10"),
            (r"repeat\.(\d+)", "block35_{1+1}"),
            (r"repeat_1\.(\d+)", "block17_{1+1}"),
            (r"repeat_2\.(\d+)", "block8_{1+1}"),
        )
        for rule in (
            (rf"{module}\.conv2d", f"{name}_up"),
            (rf"{module}\.branch(0)\.(conv|bn)", f"{name}_branch{{2}}_{{3}}1"),
            (rf"{module}\.branch(\d)\.(\d)\.(conv|bn)", f"{name}_branch{{2}}_{{4}}{{3+1}}"),
        )
    ),
    (r"classif", "head"),
)
_shared = {
    "features": features,
    "variants": VARIANTS,
    "preprocessing": INCEPTION,
    "input_shape": (299, 299, 3),
    "min_size": 75,
    "weight_decay": 4e-5,
}
_paper = (
    "Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the Impact of Residual Connections on "
    "Learning, 2016, arXiv:1602.07261"
)
_family = Family(__name__, recipe="inception_v3", paper=_paper, **_shared)
_facenet = Family(__name__, head=facenet_head, paper=_paper, **_shared)
_TIMM_PIXELS = dataclasses.replace(INCEPTION, crop_fraction=0.8975, interpolation="bicubic")  # of its weights
_names = {"timm": _timm, "keras": _keras_names, "tensorflow": INCEPTION_RESNET_V2}
_v2 = Family(__name__, recipe="inception_v3", paper=_paper, names=_names, **_shared)
_se = Family(
    __name__, paper="Hu, Shen, Albanie, Sun, Wu: Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507", **_shared
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

InceptionResNetV1 = _family(
    "InceptionResNetV1", "inception_resnet_v1", dropout_rate=0.2, reported="top-1 21.3, top-5 5.5 % (paper, 1 crop)"
)
InceptionResNetV1Facenet = _facenet(
    "InceptionResNetV1Facenet", "inception_resnet_v1_facenet", reported="top-1 19.63, top-5 4.80 % (pytorchcv)"
)
InceptionResNetV2 = _v2(
    "InceptionResNetV2",
    "inception_resnet_v2",
    preprocessing=_TIMM_PIXELS,
    dropout_rate=0.2,
    reported="top-1 19.9, top-5 4.9 % (paper, 1 crop)",
)
InceptionResNetV2Keras = _v2(
    "InceptionResNetV2Keras", "inception_resnet_v2_keras", dropout_rate=0.2, reported="top-1 19.9, top-5 4.9 % (paper)"
)
SEInceptionResNetV2 = _se(
    "SEInceptionResNetV2",
    "se_inception_resnet_v2",
    dropout_rate=0.2,
    reconstructed=True,
    reported="top-1 19.80, top-5 4.79 % (paper)",
)

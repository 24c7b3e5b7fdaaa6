"""Inception v3, as released for Torch, with factors in batch norm, and as released for TensorFlow, without.

Christian Szegedy, Vincent Vanhoucke, Sergey Ioffe, Jonathon Shlens, Zbigniew Wojna: Rethinking the Inception
Architecture for Computer Vision, 2015, arXiv:1512.00567.

`inception_v3` is the network of torchvision and timm: batch norm has factors, average pools count the zeros around the
map, dropout 0.5. `inception_v3_keras` is that of the authors' release (TF-slim) and of `keras.applications`: no
factors, means over the pixels inside, dropout 0.2.

Departures: after the first pool the paper's table 1 has three 3x3 convolutions, the second with stride 2, where both
releases have a 1x1, a 3x3 and a pool. The filters inside the modules, which the paper leaves open, are the releases'.
Initial values are TF-slim's in both forms, and so is the weight of the auxiliary head's loss, 0.4; that head has batch
norm, as in the paper's best network.
"""

import dataclasses
import functools

import keras

from kerascnn import blocks
from kerascnn._errors import InputError
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family, Ordered, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import numbered
from kerascnn.blocks import ConvStep as Conv


@dataclasses.dataclass(frozen=True)
class Spec:
    """What differs between the releases."""

    factors: bool  # batch norm has gamma
    counted: bool  # average pools count the zeros around the map


VARIANTS = {
    "inception_v3": Spec(factors=True, counted=True),
    "inception_v3_keras": Spec(factors=False, counted=False),
}

max_pool = functools.partial(blocks.max_pool, padding=0)

STEM = (Conv(32, 3, 2, "valid"), Conv(32, 3, 1, "valid"), Conv(64, 3)), (Conv(80, 1), Conv(192, 3, 1, "valid"))


def _a(pooled):
    """Figure 5, with one 5x5 left."""
    return {
        "branch1x1": (Conv(64, 1),),
        "branch5x5": (Conv(48, 1), Conv(64, 5)),
        "branch3x3dbl": (Conv(64, 1), Conv(96, 3), Conv(96, 3)),
        "pool": (Conv(pooled, 1),),
    }


def _b(width):
    """Figure 6 with n = 7."""
    high, wide = (7, 1), (1, 7)
    double = (Conv(width, high), Conv(width, wide), Conv(width, high), Conv(192, wide))
    return {
        "branch1x1": (Conv(192, 1),),
        "branch7x7": (Conv(width, 1), Conv(width, wide), Conv(192, high)),
        "branch7x7dbl": (Conv(width, 1), *double),
        "pool": (Conv(192, 1),),
    }


def _c():
    """Figure 7: two branches end in a fork."""
    fork = (Conv(384, (1, 3)), Conv(384, (3, 1)))
    return {
        "branch1x1": (Conv(320, 1),),
        "branch3x3": (Conv(384, 1), fork),
        "branch3x3dbl": (Conv(448, 1), Conv(384, 3), fork),
        "pool": (Conv(192, 1),),
    }


# Figure 10: maps shrink in convolutions and a pool side by side.
_REDUCE_A = {
    "branch3x3": (Conv(384, 3, 2, "valid"),),
    "branch3x3dbl": (Conv(64, 1), Conv(96, 3), Conv(96, 3, 2, "valid")),
    "pool": (),
}
_REDUCE_B = {
    "branch3x3": (Conv(192, 1), Conv(320, 3, 2, "valid")),
    "branch7x7x3": (Conv(192, 1), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2, "valid")),
    "pool": (),
}
STAGES = (  # table 1, with the names of TF-slim
    {"mixed5b": _a(32), "mixed5c": _a(64), "mixed5d": _a(64)},
    {"mixed6a": _REDUCE_A, "mixed6b": _b(128), "mixed6c": _b(160), "mixed6d": _b(160), "mixed6e": _b(192)},
    {"mixed7a": _REDUCE_B, "mixed7b": _c(), "mixed7c": _c()},
)


def features(x, spec: Spec):
    """Stage outputs [b, 71, 71, 192], [b, 35, 35, 288], [b, 17, 17, 768], [b, 8, 8, 2048] for 299x299."""
    average_pool = functools.partial(blocks.average_pool, counted=spec.counted)
    x = blocks.conv_steps(x, STEM[0], scale=spec.factors, name="stem")
    x = max_pool(x, name="stem_pool1")
    stages = [blocks.conv_steps(x, STEM[1], scale=spec.factors, name="stem2")]
    x = max_pool(stages[0], name="stem_pool2")
    for modules in STAGES:
        for name, branches in modules.items():
            pool = average_pool if branches["pool"] else max_pool
            x = blocks.inception_module(x, branches, pool=pool, scale=spec.factors, name=name)
        stages.append(x)
    return stages


def auxiliary_heads(output_of, classes, activation, spec):
    """The head on the last 17x17 map: mean over 5x5/3, 1x1 to 128, 5x5 to 768, global mean, dense (figure 8)."""
    x = output_of("mixed6e_concat")
    if any(size is not None and size < 17 for size in x.shape[1:3]):
        raise InputError(f"auxiliary_heads needs an input of at least 299 by 299. Received: a last map of {x.shape}")
    x = keras.layers.AveragePooling2D(5, 3, name="aux_pool")(x)
    x = blocks.conv_step(x, Conv(128, 1), scale=spec.factors, name="aux_conv1")
    x = blocks.conv_step(x, Conv(768, 5, 1, "valid"), scale=spec.factors, name="aux_conv2")
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="aux_global_pool")(x)
    normal = keras.initializers.TruncatedNormal(stddev=0.001)
    return [keras.layers.Dense(classes, activation, kernel_initializer=normal, dtype=dtype, name="aux_head")(x)]


def _keras_names(spec):
    """`keras.applications` numbers its layers in the order in which it makes them: branch by branch as above."""
    convs = blocks.step_names(STEM[0], name="stem") + blocks.step_names(STEM[1], name="stem2")
    for modules in STAGES:
        for name, branches in modules.items():
            for key, steps in branches.items():
                convs += blocks.step_names(steps, name=f"{name}_{key}")
    return Ordered((("predictions", "head"), *numbered(convs)))


_SLIM = {  # scopes of the authors' release, branch by branch as above
    "5": ("0a_1x1", "0a_1x1 0b_5x5", "0a_1x1 0b_3x3 0c_3x3", "0b_1x1"),
    "6a": ("1a_1x1", "0a_1x1 0b_3x3 1a_1x1"),
    "6": ("0a_1x1", "0a_1x1 0b_1x7 0c_7x1", "0a_1x1 0b_7x1 0c_1x7 0d_7x1 0e_1x7", "0b_1x1"),
    "7a": ("0a_1x1 1a_3x3", "0a_1x1 0b_1x7 0c_7x1 1a_3x3"),
    "7b": ("0a_1x1", "0a_1x1 0b_1x3 0b_3x1", "0a_1x1 0b_3x3 0c_1x3 0d_3x1", "0b_1x1"),
    "7c": ("0a_1x1", "0a_1x1 0b_1x3 0c_3x1", "0a_1x1 0b_3x3 0c_1x3 0d_3x1", "0b_1x1"),
}


def _slim_names(spec):
    """Rules for scopes such as InceptionV3/Mixed_5b/Branch_1/Conv2d_0b_5x5; two of Mixed_5c are called otherwise."""
    scopes = {"stem": ("1a_3x3", "2a_3x3", "2b_3x3"), "stem2": ("3b_1x1", "4a_3x3")}
    pairs = [
        (f"Conv2d_{scope}", conv)
        for steps, (name, parts) in zip(STEM, scopes.items(), strict=True)
        for scope, conv in zip(parts, blocks.step_names(steps, name=name), strict=True)
    ]
    for modules in STAGES:
        for name, branches in modules.items():
            parts, number = _SLIM.get(name[5:], _SLIM.get(name[5])), 0
            for key, steps in branches.items():
                for scope, conv in zip(
                    parts[number].split() if steps else (), blocks.step_names(steps, name=f"{name}_{key}"), strict=True
                ):
                    pairs.append((f"Mixed_{name[5:]}/Branch_{number}/Conv2d_{scope}", conv))
                number += 1
    pairs += [
        ("Mixed_5c/Branch_1/Conv2d_0b_1x1", "mixed5c_branch5x5_conv1"),
        ("Mixed_5c/Branch_1/Conv_1_0c_5x5", "mixed5c_branch5x5_conv2"),
        *(("AuxLogits/Conv2d_1b_1x1", "aux_conv1"), ("AuxLogits/Conv2d_2a_5x5", "aux_conv2")),
    ]
    rules = [("InceptionV3/Logits/Conv2d_1c_1x1", "head"), ("InceptionV3/AuxLogits/Conv2d_2b_1x1", "aux_head")]
    for scope, conv in pairs:
        rules += [(f"InceptionV3/{scope}", conv), (f"InceptionV3/{scope}/BatchNorm", conv.replace("conv", "bn"))]
    return tuple(rules)


_torch = (
    (r"Conv2d_1a_3x3\.(conv|bn)", "stem_{1}1"),
    (r"Conv2d_2a_3x3\.(conv|bn)", "stem_{1}2"),
    (r"Conv2d_2b_3x3\.(conv|bn)", "stem_{1}3"),
    (r"Conv2d_3b_1x1\.(conv|bn)", "stem2_{1}1"),
    (r"Conv2d_4a_3x3\.(conv|bn)", "stem2_{1}2"),
    (r"Mixed_(\w+)\.branch_(pool)\.(conv|bn)", "mixed{1}_{2}_{3}1"),
    (r"Mixed_(\w+)\.(branch1x1)\.(conv|bn)", "mixed{1}_{2}_{3}1"),
    (r"Mixed_(6a)\.(branch3x3)\.(conv|bn)", "mixed{1}_{2}_{3}1"),
    (r"Mixed_(\w+)\.(branch\w+?)_(\d[ab]?)\.(conv|bn)", "mixed{1}_{2}_{4}{3}"),
    (r"AuxLogits\.conv(\d)\.(conv|bn)", "aux_{2}{1+1}"),
    (r"AuxLogits\.fc", "aux_head"),
    (r"fc", "head"),
)
_shared = {
    "recipe": "inception_v3",
    "features": features,
    "head": pooled_head,
    "variants": VARIANTS,
    "paper": "Szegedy et al.: Rethinking the Inception Architecture for Computer Vision, 2015, arXiv:1512.00567",
    "preprocessing": INCEPTION,
    "input_shape": (299, 299, 3),
    "min_size": 75,
    "weight_decay": 4e-5,
    "auxiliary_weights": (0.4,),
}
_family = Family(
    __name__,
    auxiliary=auxiliary_heads,
    names={"torchvision": _torch, "timm": _torch},
    **_shared,
)
_family_keras = Family(
    __name__, auxiliary=auxiliary_heads, names={"keras": _keras_names, "tensorflow": _slim_names}, **_shared
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

InceptionV3 = _family(
    "InceptionV3", "inception_v3", dropout_rate=0.5, reported="top-1 22.71, top-5 6.55 % (torchvision, 1 crop)"
)
InceptionV3Keras = _family_keras(
    "InceptionV3Keras", "inception_v3_keras", dropout_rate=0.2, reported="top-1 21.2, top-5 5.6 % (paper, 1 crop)"
)

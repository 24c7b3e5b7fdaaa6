"""Inception v4: one kind of module for each size of map, behind a stem of modules.

Christian Szegedy, Sergey Ioffe, Vincent Vanhoucke, Alex Alemi: Inception-v4, Inception-ResNet and the Impact of
Residual Connections on Learning, 2016, arXiv:1602.07261.

Departures: where a branch has 1x7 and 7x1, or 1x3 and 3x1 convolutions in a row, their order is that of the authors'
release (TF-slim); figures 5 and 6 of the paper begin the longer branch with the other one. Batch norm has factors
gamma, as in timm; TF-slim leaves them out, which makes 31,584 parameters less. Means are over the pixels inside the
map, as in TensorFlow.
"""

import dataclasses
import functools

from kerascnn import blocks
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels
from kerascnn.blocks import ConvStep as Conv


@dataclasses.dataclass(frozen=True)
class Spec:
    """Figure 9."""

    depths: tuple[int, ...]  # modules A, B and C


VARIANTS = {"inception_v4": Spec((4, 7, 3))}

_HIGH, _WIDE = (7, 1), (1, 7)
STEM = (Conv(32, 3, 2, "valid"), Conv(32, 3, 1, "valid"), Conv(64, 3))
MIXED3A = {"pool": (), "branch0": (Conv(96, 3, 2, "valid"),)}  # figure 3
MIXED4A = {
    "branch0": (Conv(64, 1), Conv(96, 3, 1, "valid")),
    "branch1": (Conv(64, 1), Conv(64, _WIDE), Conv(64, _HIGH), Conv(96, 3, 1, "valid")),
}

max_pool = functools.partial(blocks.max_pool, padding=0)
average_pool = functools.partial(blocks.average_pool, counted=False)  # means over the pixels inside
MIXED5A = {"branch0": (Conv(192, 3, 2, "valid"),), "pool": ()}
A = {  # figure 4
    "branch0": (Conv(96, 1),),
    "branch1": (Conv(64, 1), Conv(96, 3)),
    "branch2": (Conv(64, 1), Conv(96, 3), Conv(96, 3)),
    "pool": (Conv(96, 1),),
}
REDUCE_A = {  # figure 7 with table 1's k, l, m, n
    "branch0": (Conv(384, 3, 2, "valid"),),
    "branch1": (Conv(192, 1), Conv(224, 3), Conv(256, 3, 2, "valid")),
    "pool": (),
}
B = {  # figure 5
    "branch0": (Conv(384, 1),),
    "branch1": (Conv(192, 1), Conv(224, _WIDE), Conv(256, _HIGH)),
    "branch2": (Conv(192, 1), Conv(192, _HIGH), Conv(224, _WIDE), Conv(224, _HIGH), Conv(256, _WIDE)),
    "pool": (Conv(128, 1),),
}
REDUCE_B = {  # figure 8
    "branch0": (Conv(192, 1), Conv(192, 3, 2, "valid")),
    "branch1": (Conv(256, 1), Conv(256, _WIDE), Conv(320, _HIGH), Conv(320, 3, 2, "valid")),
    "pool": (),
}
C = {  # figure 6
    "branch0": (Conv(256, 1),),
    "branch1": (Conv(384, 1), (Conv(256, (1, 3)), Conv(256, (3, 1)))),
    "branch2": (Conv(384, 1), Conv(448, (3, 1)), Conv(512, (1, 3)), (Conv(256, (1, 3)), Conv(256, (3, 1)))),
    "pool": (Conv(256, 1),),
}


def names(depth, stage):
    """Modules of a stage, with the names of the release: mixed5a, mixed5b, ...; the first one halves the map."""
    return [f"mixed{5 + stage}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"[: depth + 1]]


def features(x, spec: Spec):
    """Stage outputs [b, 71, 71, 192], [b, 35, 35, 384], [b, 17, 17, 1024], [b, 8, 8, 1536] for 299x299."""
    x = blocks.conv_steps(x, STEM, name="stem")
    x = blocks.inception_module(x, MIXED3A, pool=max_pool, name="mixed3a")
    stages = [blocks.inception_module(x, MIXED4A, pool=max_pool, name="mixed4a")]
    for i, (reduce, repeat, depth) in enumerate(
        zip((MIXED5A, REDUCE_A, REDUCE_B), (A, B, C), spec.depths, strict=True)
    ):
        first, *others = names(depth, i)
        x = blocks.inception_module(stages[-1], reduce, pool=max_pool, name=first)
        for name in others:
            x = blocks.inception_module(x, repeat, pool=average_pool, name=name)
        stages.append(x)
    return stages


def _timm_names(spec):
    """timm numbers stem, reductions and modules in one row."""
    modules = [("mixed3a", MIXED3A), ("mixed4a", MIXED4A)]
    for stage, (reduce, repeat) in enumerate(((MIXED5A, A), (REDUCE_A, B), (REDUCE_B, C))):
        first, *others = names(spec.depths[stage], stage)
        modules += [(first, reduce), *((name, repeat) for name in others)]
    rules = [("last_linear", "head")]
    rules += [(rf"features\.{i}\.(conv|bn)", f"stem_{{1}}{i + 1}") for i in range(3)]
    for i, (name, branches) in enumerate(modules, 3):
        module = rf"features\.{i}"
        if len(branches["branch0"]) == 1:
            lone = "branch0" if "branch1" in branches else "conv"
            rules.append((rf"{module}\.{lone}\.(conv|bn)", f"{name}_branch0_{{1}}1"))
        between = "_" if branches is C else r"\."
        rules += [
            (rf"{module}\.branch3\.1\.(conv|bn)", f"{name}_pool_{{1}}1"),
            (rf"{module}\.branch(\d){between}(\d)\.(conv|bn)", f"{name}_branch{{1}}_{{3}}{{2+1}}"),
            (rf"{module}\.branch(\d)_(\d)([ab])\.(conv|bn)", f"{name}_branch{{1}}_{{4}}{{2+1}}{{3}}"),
        ]
    return tuple(rules)


_family = Family(
    __name__,
    recipe="inception_v3",
    features=features,
    variants=VARIANTS,
    paper="Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the Impact of Residual Connections on "
    "Learning, 2016, arXiv:1602.07261",
    preprocessing=dataclasses.replace(INCEPTION, interpolation="bicubic"),  # of timm's weights
    input_shape=(299, 299, 3),
    min_size=75,
    weight_decay=4e-5,
    names={"timm": _timm_names},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

InceptionV4 = _family(
    "InceptionV4", "inception_v4", dropout_rate=0.2, reported="top-1 20.0, top-5 5.0 % (paper, 1 crop)"
)

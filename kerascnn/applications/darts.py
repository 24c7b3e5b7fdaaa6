"""DARTS: networks of cells that were found by gradients with respect to the choice between operations.

Hanxiao Liu, Karen Simonyan, Yiming Yang: DARTS: Differentiable Architecture Search, 2018, arXiv:1806.09055.

V1 is the cell of the first-order approximation, V2 of the second, both as released (quark0/darts, genotypes.py and
model.py), with PyTorch's padding and constants. Their training on CIFAR: drop-path 0.2, the same in all cells and
growing over the epochs; it is off unless `drop_path_rate` says otherwise.

Departures: none from the release. Its auxiliary head for ImageNet lacks the second batch norm, as in the paper's
experiments. `darts_v2_thin` is ours, V2's cells in a network of 8 cells that begins with 8 filters, for first tries on
a CPU. The paper prints other numbers than the release gives: 2.9M, later 3.3M parameters for V1, which has 3.17M,
and 574M multiply-adds on ImageNet, where convolutions and the head have 530M. See docs/searched_networks.md.
"""

import dataclasses
import functools

from kerascnn import cells
from kerascnn._errors import InputError
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import CIFARFamily, Family
from kerascnn.applications._images import pixels_and_labels
from kerascnn.cells import operations
from kerascnn.cells.operations import Value

V1 = cells.Genotype(
    "DARTS V1",
    normal=cells.Cell(
        [
            "sep_3x3(c1) + sep_3x3(c2)",
            "identity(c2) + sep_3x3(c1)",
            "identity(c2) + sep_3x3(c1)",
            "sep_3x3(c2) + identity(n1)",
        ],
        concat="n1 n2 n3 n4",
    ),
    reduce=cells.Cell(
        [
            "max_3x3(c2) + max_3x3(c1)",
            "identity(n1) + max_3x3(c2)",
            "max_3x3(c2) + identity(n1)",
            "identity(n1) + avg_3x3(c2)",
        ],
        concat="n1 n2 n3 n4",
    ),
)
V2 = cells.Genotype(
    "DARTS V2",
    normal=cells.Cell(
        [
            "sep_3x3(c2) + sep_3x3(c1)",
            "sep_3x3(c2) + sep_3x3(c1)",
            "sep_3x3(c1) + identity(c2)",
            "identity(c2) + dil_sep_3x3(n1)",
        ],
        concat="n1 n2 n3 n4",
    ),
    reduce=cells.Cell(
        [
            "max_3x3(c2) + max_3x3(c1)",
            "identity(n1) + max_3x3(c1)",
            "max_3x3(c2) + identity(n1)",
            "identity(n1) + max_3x3(c1)",
        ],
        concat="n1 n2 n3 n4",
    ),
)


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network of cells; the cells number depth/3 and 2 depth/3, rounded down and counted from 0, are reductions."""

    genotype: cells.Genotype
    filters: int  # C: channels of a node in the first stage
    depth: int  # number of cells

    def __post_init__(self):
        if self.depth < 3:
            raise InputError(f"A network of three stages must have at least 3 cells. Received: depth={self.depth}")


VARIANTS = {
    "darts_v1": Spec(V1, 36, 20),
    "darts_v2": Spec(V2, 36, 20),
    "darts_v2_imagenet": Spec(V2, 48, 14),
    "darts_v2_thin": Spec(V2, 8, 8),  # ours
}


def stages(spec):
    """Number of cells of each stage."""
    first, second = spec.depth // 3, 2 * spec.depth // 3
    return first, second - first, spec.depth - second


def features_cifar(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, 4C], [b, h/2, w/2, 8C], [b, h/4, w/4, 16C]."""
    return cells.small_features(
        x, spec.genotype, cells.DARTS, stages(spec), spec.filters, stem_filters=3 * spec.filters,
        drop_path_rate=drop_path_rate, relu=False,
    )  # fmt: skip


def conv_bn(x, filters, *, name):
    """3x3/2, BN."""
    x = operations.convolution(x, filters, (3, 3), (2, 2), cells.DARTS, name=f"{name}_conv")
    return operations.batch_norm(x, cells.DARTS, name=f"{name}_bn")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h/4, w/4, C], the stem's, [b, h/8, w/8, 4C], [b, h/16, w/16, 8C], [b, h/32, w/32, 16C]."""
    stack = cells.Stack(x, spec.genotype, cells.DARTS, spec.depth, drop_path_rate)
    x = operations.relu(conv_bn(x, spec.filters // 2, name="stem1"), name="stem1_relu")
    before = Value(conv_bn(x, spec.filters, name="stem2"), 2, "stem2")
    last = Value(conv_bn(before.relu, spec.filters, name="stem3"), 3, "stem3")
    stack.start(last, before)
    stack.stages.insert(0, before)
    for stage, count in enumerate(stages(spec)):
        for i in range(count):
            add = stack.reduce if stage and i == 0 else stack.normal
            add(spec.filters * 2**stage)
    return stack.outputs(relu=False)


def auxiliary_cifar(output_of, classes, activation, spec):
    """The classifier on the second reduction cell."""
    return [cells.auxiliary_head(output_of("stage3_cell1_out"), classes, activation, cells.DARTS)]


def auxiliary(output_of, classes, activation, spec):
    """The classifier on the second reduction cell."""
    x = output_of("stage4_cell1_out")
    return [cells.auxiliary_head(x, classes, activation, cells.DARTS, stride=2, last_norm=False)]


_STEMS = (  # of the release, both networks
    (r"stem\.0", "stem_conv"),
    (r"stem\.1", "stem_bn"),
    (r"stem0\.0", "stem1_conv"),
    (r"stem0\.1", "stem1_bn"),
    (r"stem0\.3", "stem2_conv"),
    (r"stem0\.4", "stem2_bn"),
    (r"stem1\.1", "stem3_conv"),
    (r"stem1\.2", "stem3_bn"),
    (r"auxiliary_head\.features\.2", "aux1_conv"),
    (r"auxiliary_head\.features\.3", "aux1_bn"),
    (r"auxiliary_head\.features\.5", "aux2_conv"),
    (r"auxiliary_head\.features\.6", "aux2_bn"),
    (r"auxiliary_head\.classifier", "aux_head"),
    (r"classifier", "head"),
)
_PYTORCHCV_STEMS = (
    (r"features\.stem1_unit\.conv([12])\.(conv|bn)", "stem{1}_{2}"),
    (r"features\.stem2_unit\.(conv|bn)", "stem3_{1}"),
    (r"output", "head"),
)
_SEPARABLE = ("depthwise1", "conv1", "bn1", None, "depthwise2", "conv2", "bn2")  # of the release, numbered from 1


def _release_names(spec, *, first_stage):
    """The release numbers all cells, the operations in a cell and the layers of an operation."""
    rules, first = list(_STEMS), 0
    for stage, count in enumerate(stages(spec), first_stage):
        numbers = "|".join(str(first + i) for i in range(count))
        cell, ours = rf"cells\.({numbers})\.", f"stage{stage}_cell{{1{1 - first:+d}}}"
        rules += [(rf"{cell}preprocess{i}\.op\.1", f"{ours}_c{2 - i}_conv") for i in (0, 1)]
        rules += [(rf"{cell}preprocess{i}\.(?:op\.2|bn)", f"{ours}_c{2 - i}_bn") for i in (0, 1)]
        rules.append((rf"{cell}preprocess0\.conv_([12])", f"{ours}_c2_conv{{2}}"))
        for i in range(8):
            term = f"{ours}_n{i // 2 + 1}{'ab'[i % 2]}"
            rules += [(rf"{cell}_ops\.{i}\.op\.{k}", f"{term}_{name}") for k, name in enumerate(_SEPARABLE, 1) if name]
        first += count
    return tuple(rules)


def _pytorchcv_names():
    """pytorchcv numbers cells within stages."""
    cell, ours = r"features\.stage(\d)\.unit(\d+)\.", "stage{1+1}_cell{2}"
    rules = [*_PYTORCHCV_STEMS, (rf"{cell}preprocess_prev\.(conv\d?|bn)", f"{ours}_c2_{{3}}")]
    rules.append((rf"{cell}preprocess\.(conv|bn)", f"{ours}_c1_{{3}}"))
    for i in range(8):
        operation, term = rf"{cell}body\.ops\.{i}\.", f"{ours}_n{i // 2 + 1}{'ab'[i % 2]}"
        for number, layer in (("1", ""), ("{3}", r"conv([12])\.")):  # a dilated one, and one of two
            rules.append((rf"{operation}{layer}conv\.dw_conv", f"{term}_depthwise{number}"))
            rules.append((rf"{operation}{layer}conv\.pw_conv", f"{term}_conv{number}"))
            rules.append((rf"{operation}{layer}bn", f"{term}_bn{number}"))
    return tuple(rules)


_shared = {
    "variants": VARIANTS,
    "paper": "Liu, Simonyan, Yang: DARTS: Differentiable Architecture Search, 2018, arXiv:1806.09055",
    "auxiliary_weights": (0.4,),
}
_cifar = CIFARFamily(
    __name__,
    recipe="darts",
    features=features_cifar,
    auxiliary=auxiliary_cifar,
    min_size=8,
    weight_decay=3e-4,
    names={"darts": functools.partial(_release_names, first_stage=1)},
    **_shared,
)
_imagenet = Family(
    __name__,
    features=features,
    auxiliary=auxiliary,
    preprocessing=IMAGENET,
    weight_decay=3e-5,
    names={"darts": functools.partial(_release_names, first_stage=2), "pytorchcv": _pytorchcv_names()},
    **_shared,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

DARTSV1 = _cifar("DARTSV1", "darts_v1", reported="CIFAR-10 with cutout 3.00 % (paper, 3.3M)", reconstructed=True)
DARTSV2 = _cifar("DARTSV2", "darts_v2", reported="CIFAR-10 with cutout 2.76 % (paper); 2.63 % (release)")
DARTSV2Thin = _cifar("DARTSV2Thin", "darts_v2_thin")
DARTSV2ImageNet = _imagenet("DARTSV2ImageNet", "darts_v2_imagenet", reported="top-1 26.7, top-5 8.7 % (paper)")

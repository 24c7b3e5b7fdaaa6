"""PNASNet-5: one cell, found by growing cells node by node, which takes the place of reduction cells with stride 2.

Chenxi Liu, Barret Zoph, Maxim Neumann, Jonathon Shlens, Wei Hua, Li-Jia Li, Li Fei-Fei, Alan Yuille, Jonathan Huang,
Kevin Murphy: Progressive Neural Architecture Search, 2017, arXiv:1712.00559.

`pnasnet_5_large` and `pnasnet_5_mobile` are the networks of the authors' release (TF-slim), the former also timm's
`pnasnet5large`; `pnasnet_5_cifar` is that of the paper's table 2, "N = 3, F = 48". The first cells of the second and
third group of N cells have stride 2. `kerascnn info` draws the cell; see `kerascnn.cells`.

Departures: batch norm for ImageNet remembers 0.99 of its averages, as in Keras; the release's 0.9997 needs tens of
thousands of steps. The drop-path rate of the release, 0.4 (large), is an option, 0 by default. The stem and the
constants of batch norm for CIFAR-10, which the paper does not print, are those of NASNet-A; the parameters are the
paper's 3.2 million. Of F / 2 = 27 channels a factorized reduction of `pnasnet_5_mobile` makes 26; TF-slim's present
code makes all, `dataclasses.replace(spec, style=kerascnn.cells.NASNET)`, with 5,064,487 parameters; the paper prints
5.1 million.
"""

import dataclasses

from kerascnn import cells
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import CIFARFamily, Family, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import timm_cell
from kerascnn.cells import Cell, Genotype, Style

_CELL = Cell(
    [
        "sep_5x5(c2) + max_3x3(c2)",
        "sep_7x7(c1) + max_3x3(c1)",
        "sep_5x5(c1) + sep_3x3(c1)",
        "sep_3x3(n3) + max_3x3(c1)",
        "sep_3x3(c2) + identity(c1)",
    ],
    concat="n1 n2 n3 n4 n5",
)
PNASNET_5 = Genotype("PNASNet-5", normal=_CELL, reduce=_CELL)


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network "N, F"."""

    repeats: int  # N: cells of a group
    filters: int  # F: channels of a node in the first group
    stem_filters: int  # of the 3x3 convolution
    style: Style = cells.NASNET
    genotype: Genotype = PNASNET_5


VARIANTS = {  # tables 2, 4 and 5 of the paper
    "pnasnet_5_large": Spec(4, 216, 96),
    "pnasnet_5_mobile": Spec(3, 54, 32, style=dataclasses.replace(cells.NASNET, odd_halves=False)),
    "pnasnet_5_cifar": Spec(3, 48, 144, style=cells.NASNET_CIFAR),
}


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h/4, w/4, 5F/4], [b, h/8, w/8, 5F], [b, h/16, w/16, 10F], [b, h/32, w/32, 20F]."""
    return cells.large_features(
        x, spec.genotype, spec.style, (spec.repeats,) * 3, spec.filters, stem_filters=spec.stem_filters,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip


def small_features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, 5F], [b, h/2, w/2, 10F], [b, h/4, w/4, 20F]."""
    return cells.small_features(
        x, spec.genotype, spec.style, (spec.repeats,) * 3, spec.filters, stem_filters=spec.stem_filters,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip


def head(x, classes, activation, *, dropout_rate: float = 0.5):
    """Global average pool, dropout, dense."""
    return pooled_head(x, classes, activation, dropout_rate=dropout_rate)


def _timm_names(spec: Spec):
    """timm counts the cells after the stem; the second of the stem is the first of stage 2 here."""
    rules = [(r"conv_0\.(conv|bn)", "stem_{1}"), ("last_linear", "head")]
    paths = r"conv_prev_1x1\."
    rules += timm_cell("cell_stem_0", "stage1_cell1") + timm_cell("cell_stem_1", "stage2_cell1", paths)
    for number in range(3 * spec.repeats):
        group, cell = divmod(number, spec.repeats)
        halves = number == 0 or (group > 0 and cell == 1)  # the cell after one that strides
        name = f"stage{group + 2}_cell{cell + 1 + (group == 0)}"
        rules += timm_cell(f"cell_{number}", name, paths if halves else None)
    return rules


_shared = {
    "head": head,
    "variants": VARIANTS,
    "paper": "Liu, Zoph, Neumann, Shlens, Hua, Li, Fei-Fei, Yuille, Huang, Murphy: Progressive Neural Architecture "
    "Search, 2017, arXiv:1712.00559",
    "auxiliary_weights": (0.4,),
}
_family = Family(
    __name__,
    features=features,
    preprocessing=INCEPTION,
    weight_decay=4e-5,
    auxiliary=cells.auxiliary_on("stage3"),
    names={"timm": _timm_names},
    **_shared,
)
_cifar = CIFARFamily(
    __name__,
    features=small_features,
    min_size=8,
    weight_decay=5e-4,
    auxiliary=cells.auxiliary_on("stage2"),
    **_shared,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

PNASNet5Large = _family(
    "PNASNet5Large",
    "pnasnet_5_large",
    input_shape=(331, 331, 3),
    preprocessing=dataclasses.replace(INCEPTION, crop_fraction=0.911, interpolation="bicubic"),  # timm's
    reported="top-1 17.1, top-5 3.8 % (paper)",
)
PNASNet5Mobile = _family("PNASNet5Mobile", "pnasnet_5_mobile", reported="top-1 25.8, top-5 8.1 % (paper)")
PNASNet5CIFAR = _cifar("PNASNet5CIFAR", "pnasnet_5_cifar", dropout_rate=0.0, reported="CIFAR-10 3.41 % (paper)")

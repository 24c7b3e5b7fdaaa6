"""AmoebaNet: cells that evolution found on CIFAR-10 in the search space of NASNet.

Esteban Real, Alok Aggarwal, Yanping Huang, Quoc V. Le: Regularized Evolution for Image Classifier Architecture Search,
2018, arXiv:1802.01548.
Yanping Huang et al.: GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism, 2018,
arXiv:1811.06965.

"(N, F)" in the papers are N normal cells a stage, F channels of a node in the first one. The cells are those of the
authors' release for TPUs, with which the published parameters come out; other projects' AmoebaNet-A differs. There
3x3, 1x3-3x1 and 1x7-7x1 convolutions lie between two 1x1, the first to a quarter of the channels. GPipe's "(18, 512)"
counts the normal cells of all stages. `kerascnn info` draws the cells; see `kerascnn.cells`.

Departures: batch norm for ImageNet remembers 0.99 of its averages, as in Keras; the release's 0.9997 needs tens of
thousands of steps. The drop-path rate of the release, 0.3, is an option, 0 by default, and grows with the cell's depth,
as NASNet's. The stem and the constants of batch norm for CIFAR-10, which are not in the release, are those of NASNet-A.
A factorized reduction to an odd number of channels, which the release refuses, makes one less. `amoebanet_a_6_448`
takes the 104 billion multiply-adds of the paper's table with images of 299 pixels. `amoebanet_c_4_50` is reconstructed:
it has the paper's 6.4 million parameters, but takes 678 million multiply-adds, where the paper prints 570.
`amoebanet_d_6_256` is the default of the release, without a published error.
"""

import dataclasses

from kerascnn import cells
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import CIFARFamily, Family, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.cells import Cell, Genotype, Style

_PAPER = (
    "Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture Search, 2018, arXiv:1802.01548"
)

# fmt: off
AMOEBANET_A = Genotype(
    "AmoebaNet-A",
    normal=Cell(
        ["avg_3x3(c1) + max_3x3(c1)", "sep_3x3(c2) + identity(c2)", "identity(c1) + avg_3x3(c2)",
         "sep_3x3(c1) + sep_5x5(n1)", "avg_3x3(n4) + sep_3x3(c1)"], concat="c2 n2 n3 n5",
    ),
    reduce=Cell(
        ["sep_3x3(c2) + avg_3x3(c1)", "max_3x3(c1) + sep_7x7(n1)", "max_3x3(c2) + max_3x3(c1)",
         "sep_3x3(n3) + conv_1x7_7x1(c1)", "avg_3x3(c2) + sep_7x7(c1)"], concat="n1 n2 n3 n4 n5",
    ),
)
AMOEBANET_B = Genotype(
    "AmoebaNet-B",
    normal=Cell(
        ["conv_1x1(c2) + max_3x3(c2)", "identity(c2) + sep_3x3(c1)", "conv_1x1(c2) + sep_3x3(c1)",
         "conv_1x1(n1) + identity(n1)", "avg_3x3(c2) + conv_1x1(n4)"], concat="c1 n2 n3 n5",
    ),
    reduce=Cell(
        ["max_2x2(c1) + max_3x3(c1)", "identity(n1) + conv_3x3(c2)", "dil_sep_5x5(n1) + max_3x3(n1)",
         "identity(n2) + sep_3x3(c2)", "avg_3x3(n3) + conv_1x1(n2)"], concat="n4 n5",
    ),
)
AMOEBANET_C = Genotype(
    "AmoebaNet-C",
    normal=Cell(
        ["avg_3x3(c1) + sep_3x3(c1)", "identity(c1) + sep_3x3(c1)", "avg_3x3(n1) + sep_3x3(c2)",
         "identity(c1) + sep_3x3(c2)", "avg_3x3(n2) + sep_3x3(c1)"], concat="c2 n1 n3 n4 n5",
    ),
    reduce=Cell(
        ["max_3x3(c1) + max_3x3(c1)", "sep_7x7(n1) + sep_3x3(c1)", "sep_7x7(c1) + max_3x3(c2)",
         "sep_5x5(n3) + sep_5x5(n3)", "max_3x3(c2) + sep_3x3(c2)"], concat="c1 n1 n2 n3 n4 n5",
    ),
)
AMOEBANET_D = Genotype(
    "AmoebaNet-D",
    normal=Cell(
        ["conv_1x1(c2) + max_3x3(c2)", "identity(c2) + conv_1x7_7x1(c1)", "conv_1x1(c1) + conv_1x7_7x1(c1)",
         "max_3x3(n1) + identity(n1)", "avg_3x3(c2) + conv_1x1(n4)"], concat="c1 n2 n3 n5",
    ),
    reduce=Cell(
        ["max_2x2(c1) + max_3x3(c1)", "identity(n1) + conv_3x3(c2)", "conv_1x7_7x1(n1) + max_3x3(n1)",
         "identity(n2) + max_2x2(c2)", "avg_3x3(n1) + conv_1x1(n2)"], concat="n3 n4 n5",
    ),
)
# fmt: on


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network "(N, F)"."""

    genotype: Genotype
    repeats: int  # N: normal cells of a stage
    filters: int  # F: channels of a node in the first stage
    stem_filters: int = 32  # of the 3x3 convolution
    style: Style = cells.AMOEBANET


def _small(genotype, repeats, filters):
    return Spec(genotype, repeats, filters, 3 * filters, cells.AMOEBANET_CIFAR)


VARIANTS = {
    "amoebanet_a_6_36": _small(AMOEBANET_A, 6, 36),
    "amoebanet_b_6_36": _small(AMOEBANET_B, 6, 36),
    "amoebanet_b_6_80": _small(AMOEBANET_B, 6, 80),
    "amoebanet_b_6_128": _small(AMOEBANET_B, 6, 128),
    "amoebanet_a_4_50": Spec(AMOEBANET_A, 4, 50),
    "amoebanet_b_3_62": Spec(AMOEBANET_B, 3, 62),
    "amoebanet_c_4_50": Spec(AMOEBANET_C, 4, 50),
    "amoebanet_a_6_190": Spec(AMOEBANET_A, 6, 190),
    "amoebanet_a_6_448": Spec(AMOEBANET_A, 6, 448),
    "amoebanet_c_6_228": Spec(AMOEBANET_C, 6, 228),
    "amoebanet_d_6_256": Spec(AMOEBANET_D, 6, 256),
    "amoebanet_b_18_512": Spec(AMOEBANET_B, 6, 512),
}


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h/4, w/4, ...], [b, h/8, w/8, ...], [b, h/16, w/16, ...], [b, h/32, w/32, ...]."""
    n = spec.repeats
    return cells.large_features(
        x, spec.genotype, spec.style, (n, n + 1, n + 1), spec.filters, stem_filters=spec.stem_filters,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip


def small_features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, ...], [b, h/2, w/2, ...], [b, h/4, w/4, ...]."""
    n = spec.repeats
    return cells.small_features(
        x, spec.genotype, spec.style, (n, n + 1, n + 1), spec.filters, stem_filters=spec.stem_filters,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip


def head(x, classes, activation, *, dropout_rate: float = 0.5):
    """Global average pool, dropout, dense."""
    return pooled_head(x, classes, activation, dropout_rate=dropout_rate)


_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper=_PAPER,
    preprocessing=INCEPTION,
    input_shape=(331, 331, 3),
    weight_decay=4e-5,
    auxiliary=cells.auxiliary_on("stage3"),
    auxiliary_weights=(0.4,),
)
_cifar = CIFARFamily(
    __name__,
    features=small_features,
    head=head,
    variants=VARIANTS,
    paper=_PAPER,
    min_size=8,
    weight_decay=5e-4,
    auxiliary=cells.auxiliary_on("stage2"),
    auxiliary_weights=(0.5,),
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)
_SMALL, _GPIPE = {"input_shape": (224, 224, 3)}, {"input_shape": (480, 480, 3)}

AmoebaNetA_6_36 = _cifar("AmoebaNetA_6_36", "amoebanet_a_6_36", dropout_rate=0.0, reported="CIFAR-10 3.34 % (paper)")
AmoebaNetB_6_36 = _cifar("AmoebaNetB_6_36", "amoebanet_b_6_36", dropout_rate=0.0, reported="CIFAR-10 3.37 % (paper)")
AmoebaNetB_6_80 = _cifar("AmoebaNetB_6_80", "amoebanet_b_6_80", dropout_rate=0.0, reported="CIFAR-10 3.04 % (paper)")
AmoebaNetB_6_128 = _cifar(
    "AmoebaNetB_6_128", "amoebanet_b_6_128", dropout_rate=0.0, reported="CIFAR-10 2.98 %, with cutout 2.13 % (paper)"
)
AmoebaNetA_4_50 = _family("AmoebaNetA_4_50", "amoebanet_a_4_50", reported="top-1 25.5, top-5 8.0 % (paper)", **_SMALL)
AmoebaNetB_3_62 = _family("AmoebaNetB_3_62", "amoebanet_b_3_62", reported="top-1 26.0, top-5 8.5 % (paper)", **_SMALL)
AmoebaNetC_4_50 = _family(
    "AmoebaNetC_4_50", "amoebanet_c_4_50", reported="top-1 24.3, top-5 7.6 % (paper)", reconstructed=True, **_SMALL
)
AmoebaNetA_6_190 = _family("AmoebaNetA_6_190", "amoebanet_a_6_190", reported="top-1 17.2, top-5 3.9 % (paper)")
AmoebaNetA_6_448 = _family("AmoebaNetA_6_448", "amoebanet_a_6_448", reported="top-1 16.1, top-5 3.4 % (paper)")
AmoebaNetC_6_228 = _family(
    "AmoebaNetC_6_228", "amoebanet_c_6_228", reported="top-1 16.5, top-5 3.5 %, with AutoAugment (Cubuk et al. 2018)"
)
AmoebaNetD_6_256 = _family("AmoebaNetD_6_256", "amoebanet_d_6_256")
AmoebaNetB_18_512 = _family(
    "AmoebaNetB_18_512", "amoebanet_b_18_512", reported="top-1 15.7, top-5 3.0 % (GPipe paper)", **_GPIPE
)

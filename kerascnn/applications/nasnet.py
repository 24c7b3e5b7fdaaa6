"""NASNet-A: networks of two cells that a search found on CIFAR-10.

Barret Zoph, Vijay Vasudevan, Jonathon Shlens, Quoc V. Le: Learning Transferable Architectures for Scalable Image
Recognition, 2017, arXiv:1707.07012.

Departures: in the making.
"""

import dataclasses

from kerascnn import cells
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import CIFARFamily, Family, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.cells import Cell, Genotype, Style

__all__ = ["decode_predictions", "preprocess_input"]

NASNET_A = Genotype(
    "NASNet-A",
    normal=Cell(
        [
            "sep_5x5(c1) + sep_3x3(c2)",
            "sep_5x5(c2) + sep_3x3(c2)",
            "avg_3x3(c1) + identity(c2)",
            "avg_3x3(c2) + avg_3x3(c2)",
            "sep_3x3(c1) + identity(c1)",
        ],
        concat="c2 n1 n2 n3 n4 n5",
    ),
    reduce=Cell(
        [
            "sep_5x5(c1) + sep_7x7(c2)",
            "max_3x3(c1) + sep_7x7(c2)",
            "avg_3x3(c1) + sep_5x5(c2)",
            "identity(n2) + avg_3x3(n1)",
            "sep_3x3(n1) + max_3x3(c1)",
        ],
        concat="n2 n3 n4 n5",
    ),
)


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network "N @ 24 F"."""

    repeats: int  # N: normal cells of a stage
    filters: int  # F: channels of a node in the first stage
    stem_filters: int  # of the 3x3 convolution
    skip: bool = False  # the cell after a reduction cell reads the cell before that one's input
    style: Style = cells.NASNET
    genotype: Genotype = NASNET_A


VARIANTS = {
    "nasnet_a_large": Spec(6, 168, 96, skip=True),
    "nasnet_a_mobile": Spec(4, 44, 32),
    "nasnet_a_large_keras": Spec(6, 168, 96, skip=True, style=cells.NASNET_KERAS),
    "nasnet_a_mobile_keras": Spec(4, 44, 32, style=cells.NASNET_KERAS),
    "nasnet_a_5_1538": Spec(5, 64, 96),
    "nasnet_a_7_1920": Spec(7, 80, 96),
    "nasnet_a_6_768": Spec(6, 32, 96, style=cells.NASNET_CIFAR),
    "nasnet_a_7_2304": Spec(7, 96, 288, style=cells.NASNET_CIFAR),
}


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h/4, w/4, F], [b, h/8, w/8, 6F], [b, h/16, w/16, 12F], [b, h/32, w/32, 24F]."""
    n = spec.repeats
    return cells.large_features(
        x, spec.genotype, spec.style, (n, n + 1, n + 1), spec.filters, stem_filters=spec.stem_filters, skip=spec.skip,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip


def small_features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, 6F], [b, h/2, w/2, 12F], [b, h/4, w/4, 24F]."""
    n = spec.repeats
    return cells.small_features(
        x, spec.genotype, spec.style, (n, n + 1, n + 1), spec.filters, stem_filters=spec.stem_filters,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip


def head(x, classes, activation, *, dropout_rate: float = 0.5):
    """Global average pool, dropout, dense."""
    return pooled_head(x, classes, activation, dropout_rate=dropout_rate)


_paper = (
    "Zoph, Vasudevan, Shlens, Le: Learning Transferable Architectures for Scalable Image Recognition, 2017, "
    "arXiv:1707.07012"
)
_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper=_paper,
    preprocessing=INCEPTION,
    input_shape=(331, 331, 3),
)
_cifar = CIFARFamily(__name__, features=small_features, head=head, variants=VARIANTS, paper=_paper)
preprocess_input, decode_predictions = pixels_and_labels(INCEPTION)

NASNetLarge = _family("NASNetLarge", "nasnet_a_large")
NASNetMobile = _family("NASNetMobile", "nasnet_a_mobile", input_shape=(224, 224, 3))
NASNetA5x1538 = _family("NASNetA5x1538", "nasnet_a_5_1538")
NASNetA7x1920 = _family("NASNetA7x1920", "nasnet_a_7_1920")
NASNetA6x768 = _cifar("NASNetA6x768", "nasnet_a_6_768", dropout_rate=0.0)
NASNetA7x2304 = _cifar("NASNetA7x2304", "nasnet_a_7_2304", dropout_rate=0.0)

"""NASNet-A: networks of two cells, one that keeps the size and one that halves it, which a search found on CIFAR-10.

Barret Zoph, Vijay Vasudevan, Jonathon Shlens, Quoc V. Le: Learning Transferable Architectures for Scalable Image
Recognition, 2017, arXiv:1707.07012.

"N @ X" in the paper are N normal cells a stage and X = 24 F channels of the last map; F of a node in the first stage.
`nasnet_a_large` and `nasnet_a_mobile` are the networks of the authors' release (TF-slim), whose pools see the map only.
`nasnet_a_large_keras` and `nasnet_a_mobile_keras` are those of `keras.applications`, whose pools with stride see zeros
around the map: means count them, and they may be the maximum. In timm's `nasnetalarge` only means see them.
`kerascnn info` draws the cells, and `dataclasses.replace(spec, genotype=...)` puts others in their place, see
`kerascnn.cells`.

Departures: batch norm for ImageNet remembers 0.99 of its averages, as in Keras; the release's 0.9997 needs tens of
thousands of steps. The drop-path rates of the release, 0.3 (large) and 0.4 (CIFAR-10), are an option, 0 by default.
`nasnet_a_5_1538`, `nasnet_a_7_1920` and `nasnet_a_7_2304` are reconstructed: the cells of the release with the paper's
N and F = 64, 80 and 96, of 12.3, 24.6 and 32.6 million parameters, where the paper prints 10.9, 22.6 and 27.6 million;
64 channels give 1536, not 1538. NASNet-B and NASNet-C are missing: their cells are drawings in the paper's appendix
alone, and no release or transcription of them is known.
"""

import dataclasses

from kerascnn import cells
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import CIFARFamily, Family, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import keras_cell, timm_cell
from kerascnn.cells import Cell, Genotype, Style

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
    skip: bool = False  # the cell after a reduction cell reads as c2 what came before that one's input
    style: Style = cells.NASNET
    genotype: Genotype = NASNET_A


VARIANTS = {  # tables 1 and 2 of the paper
    "nasnet_a_large": Spec(6, 168, 96, skip=True),
    "nasnet_a_large_keras": Spec(6, 168, 96, skip=True, style=cells.NASNET_KERAS),
    "nasnetalarge": Spec(6, 168, 96, skip=True, style=cells.NASNET_TIMM),
    "nasnet_a_mobile": Spec(4, 44, 32),
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


def _cells(n):
    """(number in timm, number in Keras, which leaves one out after the first stage, name here) of the normal cells."""
    for stage in range(3):
        for i in range(n):
            yield stage * n + i, stage * n + i + (stage > 0), f"stage{stage + 2}_cell{i + 2}"


def _timm_names(spec: Spec):
    rules = [(r"conv0\.(conv|bn)", "stem_{1}"), ("last_linear", "head")]
    for i in (0, 1):
        rules += timm_cell(f"cell_stem_{i}", f"stage{i + 1}_cell1", "" if i else None)
        rules += timm_cell(f"reduction_cell_{i}", f"stage{i + 3}_cell1")
    for number, _, name in _cells(spec.repeats):
        rules += timm_cell(f"cell_{number}", name, None if number % spec.repeats else "")
    return rules


def _keras_names(spec: Spec):
    rules = [("stem_(conv|bn)1", "stem_{1}"), ("predictions", "head")]
    for i in (1, 2):
        rules += keras_cell(f"stem_{i}", f"stage{i}_cell1")
        rules += keras_cell(f"reduce_{i * spec.repeats}", f"stage{i + 2}_cell1")
    for _, number, name in _cells(spec.repeats):
        rules += keras_cell(number, name)
    return rules


_shared = {
    "head": head,
    "variants": VARIANTS,
    "paper": "Zoph, Vasudevan, Shlens, Le: Learning Transferable Architectures for Scalable Image Recognition, 2017, "
    "arXiv:1707.07012",
    "auxiliary_weights": (0.4,),
}
_LARGE = dataclasses.replace(INCEPTION, crop_fraction=0.911, interpolation="bicubic")  # timm's, for 331 pixels
_imagenet = {**_shared, "features": features, "input_shape": (331, 331, 3)}
_family = Family(
    __name__,
    preprocessing=_LARGE,
    weight_decay=5e-5,
    auxiliary=cells.auxiliary_on("stage3"),
    names={"timm": _timm_names, "keras": _keras_names},
    **_imagenet,
)
_mobile = Family(
    __name__,
    preprocessing=INCEPTION,
    weight_decay=4e-5,
    auxiliary=cells.auxiliary_on("stage3"),
    names={"keras": _keras_names},
    **_imagenet,
)
_cifar = CIFARFamily(
    __name__,
    recipe="nasnet_cifar",
    features=small_features,
    min_size=8,
    weight_decay=5e-4,
    auxiliary=cells.auxiliary_on("stage2"),
    **_shared,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

NASNetLarge = _family("NASNetLarge", "nasnet_a_large", reported="top-1 17.3, top-5 3.8 % (paper)")
NASNetLargeKeras = _family("NASNetLargeKeras", "nasnet_a_large_keras")
NASNetALarge = _family("NASNetALarge", "nasnetalarge")
NASNetMobile = _mobile(
    "NASNetMobile", "nasnet_a_mobile", input_shape=(224, 224, 3), reported="top-1 26.0, top-5 8.4 % (paper)"
)
NASNetMobileKeras = _mobile("NASNetMobileKeras", "nasnet_a_mobile_keras", input_shape=(224, 224, 3))
NASNetA_5_1538 = _mobile(
    "NASNetA_5_1538",
    "nasnet_a_5_1538",
    input_shape=(299, 299, 3),
    reported="top-1 21.4, top-5 5.8 % (paper)",
    reconstructed=True,
)
NASNetA_7_1920 = _mobile(
    "NASNetA_7_1920",
    "nasnet_a_7_1920",
    input_shape=(299, 299, 3),
    reported="top-1 19.2, top-5 4.7 % (paper)",
    reconstructed=True,
)
NASNetA_6_768 = _cifar(
    "NASNetA_6_768", "nasnet_a_6_768", dropout_rate=0.0, reported="CIFAR-10 3.41 %, with cutout 2.65 % (paper)"
)
NASNetA_7_2304 = _cifar(
    "NASNetA_7_2304",
    "nasnet_a_7_2304",
    dropout_rate=0.0,
    reported="CIFAR-10 2.97 %, with cutout 2.40 % (paper)",
    reconstructed=True,
)

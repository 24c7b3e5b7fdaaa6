"""NAONet: networks of cells that were found by moving a description of the cells along a gradient.

Renqian Luo, Fei Tian, Tao Qin, Enhong Chen, Tie-Yan Liu: Neural Architecture Optimization, 2018, arXiv:1808.07233.

The cells are those of the authors' release (renqianluo/NAO): of the full search (dag.NAONet.json), and of the search
with shared weights, `naonet_ws` (NAO-WS, train_final.sh), which has the conventions of ENAS. Their training: drop-path
0.3 (0.4 with shared weights), off unless `drop_path_rate` says otherwise, cutout, and an auxiliary head.

Departures: the paper prints 10.6M, 28.6M and 128M parameters for F = 36, 64 and 128; the release's cells with its six
normal cells a stage give 11.5M, 36.4M and 145.2M, and since the three ratios differ, no number of cells gives all. For
`naonet_ws` the paper's table prints 3.7M, the release 2.5M, which it has. See docs/searched_networks.md.
"""

import dataclasses

import keras

from kerascnn import cells
from kerascnn.applications._build import CIFARFamily, pooled_head
from kerascnn.applications._images import pixels_and_labels

NAONET = cells.Genotype(
    "NAONet",
    normal=cells.Cell(
        [
            "conv_3x3(c2) + avg_5x5(c1)",
            "conv_1x3_3x1(n1) + conv_3x3(c1)",
            "conv_1x1(c2) + conv_3x3(c1)",
            "conv_1x3_3x1(c2) + conv_3x3(n3)",
            "identity(c1) + conv_3x3(c2)",
        ]
    ),
    reduce=cells.Cell(
        [
            "conv_3x3(c2) + avg_2x2(c1)",
            "conv_1x1(c2) + avg_3x3(c2)",
            "conv_1x7_7x1(c1) + max_2x2(c2)",
            "avg_3x3(c2) + conv_1x1(n1)",
            "max_3x3(c1) + conv_3x3(c2)",
        ]
    ),
)
NAONET_WS = cells.Genotype(
    "NAONet-WS",
    normal=cells.Cell(
        [
            "sep_5x5(c2) + identity(c2)",
            "avg_3x3(n1) + max_3x3(c1)",
            "sep_3x3(c1) + sep_3x3(n1)",
            "max_3x3(n1) + max_3x3(c1)",
            "avg_3x3(c1) + identity(c2)",
        ]
    ),
    reduce=cells.Cell(
        [
            "sep_5x5(c1) + max_3x3(c2)",
            "max_3x3(n1) + max_3x3(n1)",
            "sep_3x3(c1) + sep_5x5(c2)",
            "identity(c2) + identity(n1)",
            "max_3x3(n1) + max_3x3(n1)",
        ]
    ),
)


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network of cells."""

    filters: int  # F: channels of a node in the first stage
    repeats: int = 6  # N: normal cells of a stage
    genotype: cells.Genotype = NAONET
    style: cells.Style = cells.NAO


VARIANTS = {
    "naonet_f36": Spec(36),
    "naonet_f64": Spec(64),
    "naonet_f128": Spec(128),
    "naonet_ws": Spec(36, 5, NAONET_WS, cells.ENAS),
}


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, kF], [b, h/2, w/2, 2kF], [b, h/4, w/4, 4kF], the last after a ReLU; k = 3, shared 4."""
    n = spec.repeats
    return cells.small_features(
        x, spec.genotype, spec.style, (n, n + 1, n + 1), spec.filters, stem_filters=3 * spec.filters,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip


def head(x, classes, activation, *, dropout_rate: float = 0.4):
    """Global average pool, dropout, dense."""
    return pooled_head(x, classes, activation, dropout_rate=dropout_rate)


def shared_head(x, classes, activation, *, dropout_rate: float = 0.2):
    """Global average pool, dropout, dense without bias."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    x = keras.layers.Dropout(dropout_rate, name="head_dropout")(x) if dropout_rate else x
    options = {"use_bias": False, "kernel_initializer": cells.ENAS.initializer(), "dtype": dtype, "name": "head"}
    return keras.layers.Dense(classes, activation, **options)(x)


def auxiliary(output_of, classes, activation, spec):
    """The auxiliary head on the first normal cell of the last stage; of shared weights in the form of ENAS."""
    shared = {"padding": "same", "use_bias": False} if spec.style == cells.ENAS else {}
    return [cells.auxiliary_head(output_of("stage3_cell2_out"), classes, activation, spec.style, **shared)]


_shared = {
    "features": features,
    "variants": VARIANTS,
    "paper": "Luo, Tian, Qin, Chen, Liu: Neural Architecture Optimization, 2018, arXiv:1808.07233",
    "min_size": 8,
    "auxiliary_weights": (0.4,),
}
_family = CIFARFamily(__name__, head=head, auxiliary=auxiliary, weight_decay=5e-4, **_shared)
_ws = CIFARFamily(__name__, head=shared_head, auxiliary=auxiliary, weight_decay=2e-4, **_shared)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

NAONet36 = _family("NAONet36", "naonet_f36", reported="CIFAR-10 3.18 % (paper, 10.6M)", reconstructed=True)
NAONet64 = _family("NAONet64", "naonet_f64", reported="CIFAR-10 2.98 % (paper, 28.6M)", reconstructed=True)
NAONet128 = _family(
    "NAONet128", "naonet_f128", reported="CIFAR-10 with cutout 2.11 % (paper, 128M); 2.10 % (release)",
    reconstructed=True,
)  # fmt: skip
NAONetWS = _ws("NAONetWS", "naonet_ws", reported="CIFAR-10 3.53 % (paper, 3.7M); 3.50 % (release, 2.5M)")

"""ENAS: networks found with weights that all candidates share; of cells (micro), and layer by layer (macro).

Hieu Pham, Melody Y. Guan, Barret Zoph, Quoc V. Le, Jeff Dean: Efficient Neural Architecture Search via Parameter
Sharing, 2018, arXiv:1802.03268.

`enas_micro` and `enas_macro` are those of the authors' release (melodyguan/enas, the scripts cifar10_micro_final.sh and
cifar10_macro_final.sh). Their training: drop-path 0.4 (micro), which is off unless `drop_path_rate` says otherwise.

Departures: neither has the paper's count. The paper gives 4.6M to the micro network; the release's cells give 4,587,372
with six normal cells a stage instead of its script's five, which is `enas_micro_n6`. The paper draws other cells, which
would give 4.05M. To the macro network the paper gives 21.3M, and 38.0M with more channels; the release's, at 42.6M,
builds ordinary convolutions where its search chose separable ones. See docs/searched_networks.md.
"""

import dataclasses

import keras

from kerascnn import cells
from kerascnn._errors import InputError
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels
from kerascnn.cells import operations

MICRO = cells.Genotype(
    "ENAS micro",
    normal=cells.Cell(
        [
            "avg_3x3(c2) + sep_3x3(c2)",
            "identity(c2) + sep_5x5(c2)",
            "identity(c2) + sep_5x5(c1)",
            "sep_3x3(c1) + sep_5x5(c2)",
            "avg_3x3(c2) + sep_5x5(c1)",
        ]
    ),
    reduce=cells.Cell(
        [
            "sep_3x3(c1) + sep_3x3(c1)",
            "max_3x3(c2) + avg_3x3(c2)",
            "sep_5x5(c1) + sep_5x5(n2)",
            "sep_3x3(c1) + identity(c2)",
            "max_3x3(c2) + sep_5x5(c1)",
        ]
    ),
)


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network of cells."""

    repeats: int  # N: normal cells of a stage
    filters: int = 36  # F: channels of a node in the first stage
    genotype: cells.Genotype = MICRO


@dataclasses.dataclass(frozen=True)
class MacroSpec:
    """A network of layers with skip connections, cut into three stages of as many layers."""

    layers: tuple[tuple[int, tuple[int, ...]], ...]  # (side of the kernel, earlier layers that are joined; 0: the stem)
    filters: int  # of the first stage's layers

    def __post_init__(self):
        if len(self.layers) < 3:
            raise InputError(f"A network of three stages must have at least 3 layers. Received: {len(self.layers)}")
        for i, (size, skips) in enumerate(self.layers):
            if size < 1 or not all(0 <= j <= i for j in skips):
                raise InputError(
                    f"Layer {i + 1} must have a kernel of at least 1 and join layers of 0 to {i}. "
                    f"Received: {self.layers[i]}"
                )


MICRO_VARIANTS = {"enas_micro": Spec(5), "enas_micro_n6": Spec(6)}
MACRO_VARIANTS = {
    "enas_macro": MacroSpec(
        (
            *((3, ()), (5, ()), (3, (0,)), (5, (2,)), (5, ()), (5, (0, 1, 3)), (5, (5,)), (5, (1, 2, 4, 5, 6))),
            *((3, (1, 2, 3, 5, 7)), (3, ()), (5, (5,)), (3, (0, 3, 4, 9, 10)), (5, (1, 7, 9, 10))),
            *((3, (2, 6, 7, 8, 10, 12)), (3, (0, 1, 3, 5, 11)), (5, (2, 10, 12, 14)), (5, (1, 5, 8, 9, 10, 11, 14))),
            *((5, (4, 6, 8, 11, 13, 16)), (5, (1, 2, 4, 10, 12, 14)), (5, (1, 2, 12, 13, 18))),
            *((3, (0, 3, 5, 6, 10, 16, 17)), (5, (1, 3, 4, 7, 9, 10, 12, 13, 15, 18)), (3, (0, 2, 4, 13, 15, 18))),
            (3, (0, 1, 5, 6, 7, 9, 13, 15, 18, 19)),
        ),
        96,
    )
}


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, 5F], [b, h/2, w/2, 10F], [b, h/4, w/4, 20F], the last after a ReLU."""
    n = spec.repeats
    return cells.small_features(
        x, spec.genotype, cells.ENAS, (n, n + 1, n + 1), spec.filters, stem_filters=3 * spec.filters,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip


def relu_conv_bn(x, filters, size, *, name):
    """ReLU, convolution, BN."""
    x = keras.layers.Activation("relu", name=name.replace("conv", "relu"))(x)
    x = operations.convolution(x, filters, (size, size), (1, 1), cells.ENAS, name=name)
    return operations.batch_norm(x, cells.ENAS, name=name.replace("conv", "bn"))


def layer(live, filters, size, skips, *, name):
    """On the last of `live` 1x1 and k x k, each after a ReLU and before BN; joined with others, ReLU, 1x1, BN."""
    y = relu_conv_bn(live[-1], filters, 1, name=f"{name}_conv1")
    y = relu_conv_bn(y, filters, size, name=f"{name}_conv2")
    if len(live) == 1:  # the first layer
        return y
    if skips:
        y = keras.layers.Concatenate(name=f"{name}_concat")([*(live[j] for j in skips), y])
    return relu_conv_bn(y, filters, 1, name=f"{name}_conv3")


def macro_features(x, spec: MacroSpec):
    """Stage outputs [b, h, w, F], [b, h/2, w/2, 2F], [b, h/4, w/4, 4F]; between stages all layers so far are halved."""
    live, stages, filters, depth = [cells.stem(x, spec.filters, cells.ENAS).x], [], spec.filters, len(spec.layers)
    for i, (size, skips) in enumerate(spec.layers, 1):
        live.append(layer(live, filters, size, skips, name=f"layer{i}"))
        if i in (depth // 3, 2 * (depth // 3)):
            stages.append(live[-1])
            filters *= 2
            names = [f"reduction{len(stages)}_layer{j}" for j in range(len(live))]
            live = [
                operations.factorized_reduction(y, filters, cells.ENAS, name=name)
                for y, name in zip(live, names, strict=True)
            ]
    return [*stages, live[-1]]


def head(x, classes, activation, *, dropout_rate: float = 0.2):
    """Global average pool, dropout, dense without bias."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    x = keras.layers.Dropout(dropout_rate, name="head_dropout")(x) if dropout_rate else x
    options = {"use_bias": False, "kernel_initializer": cells.ENAS.initializer(), "dtype": dtype, "name": "head"}
    return keras.layers.Dense(classes, activation, **options)(x)


def auxiliary(output_of, classes, activation, spec):
    """The classifier on the first normal cell of the last stage."""
    x = output_of("stage3_cell2_out")
    return [cells.auxiliary_head(x, classes, activation, cells.ENAS, padding="same", use_bias=False)]


_shared = {
    "head": head,
    "paper": "Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via Parameter Sharing, 2018, "
    "arXiv:1802.03268",
    "min_size": 8,
    "weight_decay": 2e-4,
}
_micro = CIFARFamily(
    __name__,
    features=features,
    variants=MICRO_VARIANTS,
    auxiliary=auxiliary,
    auxiliary_weights=(0.4,),
    **_shared,
)
_macro = CIFARFamily(__name__, features=macro_features, variants=MACRO_VARIANTS, **_shared)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ENASMicro = _micro("ENASMicro", "enas_micro", reconstructed=True)
ENASMicroN6 = _micro(
    "ENASMicroN6",
    "enas_micro_n6",
    reported="CIFAR-10 3.54 %, with cutout 2.89 % (paper, 4.6M)",
    reconstructed=True,
)
ENASMacro = _macro(
    "ENASMacro", "enas_macro", dropout_rate=0.5, reported="CIFAR-10 4.23 % (paper, 21.3M)", reconstructed=True
)

"""What layers are called in other libraries, where several families here share the names; see `kerascnn.weights`."""

from collections.abc import Sequence
from typing import Any

Rules = Sequence[tuple[str, str]]


def numbered(convs: Sequence[str]) -> Rules:
    """Rules for networks of `keras.applications` whose layers have numbers: conv2d, conv2d_1, ...

    Args:
        convs: our convolutions, called "...conv...", in the order in which Keras makes them.

    Returns:
        Rules for each convolution and the batch norm after it.
    """
    rules = []
    for i, conv in enumerate(convs):
        suffix = f"_{i}" if i else ""
        rules += [(f"conv2d{suffix}", conv), (f"batch_normalization{suffix}", conv.replace("conv", "bn"))]
    return tuple(rules)


# Post-activation residual networks of torchvision and timm.
TORCH_RESNET = (
    (r"(conv|bn)1", "stem_{1}"),
    (r"layer(\d)\.(\d+)\.downsample\.0", "stage{1}_block{2+1}_shortcut_conv"),
    (r"layer(\d)\.(\d+)\.downsample\.1", "stage{1}_block{2+1}_shortcut_bn"),
    (r"layer(\d)\.(\d+)\.((?:conv|bn)\d)", "stage{1}_block{2+1}_{3}"),
    (r"fc", "head"),
)

# The same with gates, as in timm's `legacy_se...`, which follow the authors' Caffe release.
TIMM_LEGACY_SE = (
    (r"layer0\.(conv|bn)1", "stem_{1}"),
    (r"layer(\d)\.(\d+)\.se_module\.fc1", "stage{1}_block{2+1}_se_reduce"),
    (r"layer(\d)\.(\d+)\.se_module\.fc2", "stage{1}_block{2+1}_se_expand"),
    *TORCH_RESNET[1:4],
    (r"last_linear", "head"),
)

# Those with gates as timm has them now: its residual networks and what the gates are called.
TIMM_SE = (
    *TORCH_RESNET,
    (r"layer(\d)\.(\d+)\.se\.fc1", "stage{1}_block{2+1}_se_reduce"),
    (r"layer(\d)\.(\d+)\.se\.fc2", "stage{1}_block{2+1}_se_expand"),
)

# Networks of torchvision that class pixels by a ResNet: backbone, scores, and the auxiliary FCN head.
TORCH_SEGMENTATION = (
    *((rf"backbone\.{pattern}", name) for pattern, name in TORCH_RESNET[:4]),
    (r"classifier\.4", "head"),
    (r"aux_classifier\.0", "aux_conv"),
    (r"aux_classifier\.1", "aux_bn"),
    (r"aux_classifier\.4", "aux_head"),
)


def timm_cell(theirs: str, ours: str, paths: str | None = None) -> Rules:
    """Rules for one cell of timm's NASNet and PNASNet.

    Args:
        theirs: the cell's module there.
        ours: how the names of its layers begin here.
        paths: pattern of the module in the cell that halves the input before the last by two paths; None: none does.

    Returns:
        The rules.
    """
    rules = [
        (rf"{theirs}\.conv_1x1\.(conv|bn)", f"{ours}_c1_{{1}}"),
        (rf"{theirs}\.conv_prev_1x1\.(conv|bn)", f"{ours}_c2_{{1}}"),
    ]
    if paths is not None:
        rules[1:] = [
            (rf"{theirs}\.{paths}path_([12])\.conv", f"{ours}_c2_conv{{1}}"),
            (rf"{theirs}\.{paths}final_path_bn", f"{ours}_c2_bn"),
        ]
    for side, letter in (("left", "a"), ("right", "b")):
        branch, path = rf"{theirs}\.comb_iter_(\d)_{side}\.", f"{ours}_n{{1+1}}{letter}"
        rules += [
            (rf"{branch}separable_(\d)\.depthwise_conv2d", f"{path}_depthwise{{2}}"),
            (rf"{branch}separable_(\d)\.pointwise_conv2d", f"{path}_conv{{2}}"),
            (rf"{branch}bn_sep_(\d)", f"{path}_bn{{2}}"),
            (rf"{branch}(conv|bn)", f"{path}_{{2}}"),
        ]
    return tuple(rules)


def keras_cell(theirs: str, ours: str) -> Rules:
    """Rules for one cell of `keras.applications`' NASNet, where a separable convolution is one layer.

    Args:
        theirs: how the names of its layers end there.
        ours: how the names of its layers begin here.

    Returns:
        The rules.
    """
    rules = [
        (rf"(?:normal|reduction)_(conv|bn)_1_{theirs}", f"{ours}_c1_{{1}}"),
        (rf"adjust_conv_projection_{theirs}", f"{ours}_c2_conv"),
        (rf"adjust_conv_([12])_{theirs}", f"{ours}_c2_conv{{1}}"),
        (rf"adjust_bn_{theirs}", f"{ours}_c2_bn"),
    ]
    paths = [("reduction_left4", "n5a")]  # so called, though it is in the fifth sum
    paths += [(rf"(?:normal|reduction)_{side}{n}", f"n{n}{letter}") for n in range(1, 6)
              for side, letter in (("left", "a"), ("right", "b"))]  # fmt: skip
    for path, node in paths:
        separable = f"{ours}_{node}_depthwise{{1}}+{ours}_{node}_conv{{1}}"
        rules.append((rf"separable_conv_(\d)_{path}_{theirs}", separable))
        rules.append((rf"separable_conv_(\d)_bn_{path}_{theirs}", f"{ours}_{node}_bn{{1}}"))
    return tuple(rules)


def rows_of_blocks(counts: Any, place: str, parts: Rules, first: Rules | None = None) -> Rules:
    """Rules for networks of inverted residuals, whose tables have rows of equal blocks that share a stage here.

    Args:
        counts: blocks of each row, those of a stage together: [[1], [2], [2], [3, 3], [4, 1]].
        place: pattern of a block's name; {row} stands for the number of the row from 0, {next} for one more. A group
            is the block's number in the row, from 0 or "a"; or {block}, the numbers of the row's blocks in all.
        parts: (pattern, ours) of the layers of a block.
        first: those of row 0, where they differ.

    Returns:
        Rules for every layer of every block.
    """
    rules, row, before = [], 0, 0  # of later rows first: what their blocks may be called, no block of an earlier one is
    for stage, rows in enumerate(counts, 1):
        inside = 0
        for count in rows:
            numbers = "|".join(str(before + i) for i in range(count))
            shift = inside + 1 - (before if "{block}" in place else 0)
            prefix = place.format(row=row, next=row + 1, block=f"({numbers})")
            layers = (first or parts) if row == 0 else parts
            rules = [(prefix + theirs, f"stage{stage}_block{{1{shift:+d}}}_{ours}") for theirs, ours in layers] + rules
            row, before, inside = row + 1, before + count, inside + count
    return tuple(rules)


# EfficientNets of timm.
TIMM_ENDS = (
    *((r"conv_stem", "stem_conv"), (r"bn1", "stem_bn"), (r"classifier", "head")),
    *((r"conv_head", "final_conv"), (r"bn2", "final_bn")),
)
_TIMM_GATE = ((r"se\.conv_reduce", "se_reduce"), (r"se\.conv_expand", "se_expand"))
TIMM_BLOCKS = (
    r"blocks\.{row}\.(\d+)\.",
    (
        *(("conv_pw", "conv1"), ("bn1", "bn1"), ("conv_dw", "conv2"), ("bn2", "bn2"), *_TIMM_GATE),
        *(("conv_pwl", "conv3"), ("bn3", "bn3")),
    ),
    (("conv_dw", "conv2"), ("bn1", "bn2"), *_TIMM_GATE, ("conv_pw", "conv3"), ("bn2", "bn3")),
)

# The same of the packages efficientnet_pytorch and efficientnet_lite_pytorch, which follow the TensorFlow release.
PYTORCH_ENDS = (
    *((r"_conv_stem", "stem_conv"), (r"_bn0", "stem_bn"), (r"_fc", "head")),
    *((r"_conv_head", "final_conv"), (r"_bn1", "final_bn")),
)
PYTORCH_BLOCKS = (
    r"_blocks\.{block}\.",
    (
        *(("_expand_conv", "conv1"), ("_bn0", "bn1"), ("_depthwise_conv", "conv2"), ("_bn1", "bn2")),
        *(("_se_(reduce|expand)", "se_{2}"), ("_project_conv", "conv3"), ("_bn2", "bn3")),
    ),
)

# The same of the authors' release for TensorFlow, where scopes count the blocks of all rows.
_TENSORFLOW = r"efficientnet-[\w-]+/"
_NORM = "(?:tpu_)?batch_normalization"
_GATE = (("se/conv2d", "se_reduce"), ("se/conv2d_1", "se_expand"))
TENSORFLOW_ENDS = (
    *((rf"{_TENSORFLOW}stem/conv2d", "stem_conv"), (rf"{_TENSORFLOW}stem/{_NORM}", "stem_bn")),
    *((rf"{_TENSORFLOW}head/conv2d", "final_conv"), (rf"{_TENSORFLOW}head/{_NORM}", "final_bn")),
    (rf"{_TENSORFLOW}head/dense", "head"),
)
TENSORFLOW_BLOCKS = (
    _TENSORFLOW + "blocks_{block}/",
    (
        *(("conv2d", "conv1"), (_NORM, "bn1"), ("depthwise_conv2d", "conv2"), (f"{_NORM}_1", "bn2"), *_GATE),
        *(("conv2d_1", "conv3"), (f"{_NORM}_2", "bn3")),
    ),
    (("depthwise_conv2d", "conv2"), (_NORM, "bn2"), *_GATE, ("conv2d", "conv3"), (f"{_NORM}_1", "bn3")),
)

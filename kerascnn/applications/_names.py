"""What layers are called in other libraries, where several families here share the names; see `kerascnn.weights`."""

from collections.abc import Sequence

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


def timm_cell(theirs: str, ours: str) -> Rules:
    """Rules for one cell of timm's NASNet and PNASNet.

    Args:
        theirs: the cell's module there.
        ours: how the names of its layers begin here.

    Returns:
        The rules.
    """
    rules = [
        (rf"{theirs}\.conv_1x1\.(conv|bn)", f"{ours}_c1_{{1}}"),
        (rf"{theirs}\.conv_prev_1x1\.(conv|bn)", f"{ours}_c2_{{1}}"),
        (rf"{theirs}\.(?:conv_prev_1x1\.)?path_([12])\.conv", f"{ours}_c2_conv{{1}}"),
        (rf"{theirs}\.(?:conv_prev_1x1\.)?final_path_bn", f"{ours}_c2_bn"),
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

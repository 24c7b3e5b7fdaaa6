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

# Networks of torchvision that class pixels by a ResNet: backbone, scores, and the auxiliary FCN head.
TORCH_SEGMENTATION = (
    *((rf"backbone\.{pattern}", name) for pattern, name in TORCH_RESNET[:4]),
    (r"classifier\.4", "head"),
    (r"aux_classifier\.0", "aux_conv"),
    (r"aux_classifier\.1", "aux_bn"),
    (r"aux_classifier\.4", "aux_head"),
)

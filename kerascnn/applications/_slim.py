"""What the MobileNets' layers are called in the authors' releases for TensorFlow (TF-slim); see `kerascnn.weights`."""

from collections.abc import Iterator, Sequence


def _places(depths: Sequence[int], first: int) -> Iterator[tuple[str, str]]:
    """Patterns of the numbers of blocks, which run on through the stages from 1, and what the blocks are here."""
    number = 1
    for stage, depth in enumerate(depths, first):
        yield f"({'|'.join(str(number + i) for i in range(depth))})", f"stage{stage}_block{{1{1 - number:+d}}}"
        number += depth


def _with_norm(scope: str, ours: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """A convolution and the batch norm that stands in its scope."""
    return (scope, ours), (f"{scope}/BatchNorm", ours.replace("conv", "bn"))


MOBILENET_V1 = (
    *_with_norm("MobilenetV1/Conv2d_0", "stem_conv"),
    *(rule for number, block in _places((1, 2, 2, 6, 2), 1)
      for kind, conv in (("depthwise", "conv1"), ("pointwise", "conv2"))
      for rule in _with_norm(f"MobilenetV1/Conv2d_{number}_{kind}", f"{block}_{conv}")),
    ("MobilenetV1/Logits/Conv2d_1c_1x1", "head"),
)  # fmt: skip
_V2_PARTS = (("expand", "conv1"), ("depthwise", "conv2"), ("project", "conv3"))
MOBILENET_V2 = (
    *_with_norm("MobilenetV2/Conv", "stem_conv"),
    *(rule for kind, conv in _V2_PARTS
      for rule in _with_norm(f"MobilenetV2/expanded_conv/{kind}", f"stage1_block1_{conv}")),
    *(rule for number, block in _places((2, 3, 7, 4), 2) for kind, conv in _V2_PARTS
      for rule in _with_norm(f"MobilenetV2/expanded_conv_{number}/{kind}", f"{block}_{conv}")),
    *_with_norm("MobilenetV2/Conv_1", "final_conv"),
    ("MobilenetV2/Logits/Conv2d_1c_1x1", "head"),
)  # fmt: skip

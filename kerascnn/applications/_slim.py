"""What layers are called in the authors' releases for TensorFlow (TF-slim); see `kerascnn.weights`."""

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


def _inception_resnet_v2():
    """Steps of a branch have letters, but the first of some, and the last of those with a stride."""
    top, rules = "InceptionResnetV2", []
    stem = {"1a_3x3": "stem_conv1", "2a_3x3": "stem_conv2", "2b_3x3": "stem_conv3", "3b_1x1": "stem2_conv1"}
    for scope, conv in {**stem, "4a_3x3": "stem2_conv2", "7b_1x1": "final_conv"}.items():
        rules += _with_norm(f"{top}/Conv2d_{scope}", conv)
    ends = {"6a/Branch_0": 1, "6a/Branch_1": 3, "7a/Branch_0": 2, "7a/Branch_1": 2, "7a/Branch_2": 3}
    for scope, step in ends.items():
        module, _, branch = scope.partition("/Branch_")
        rules += _with_norm(f"{top}/Mixed_{scope}/Conv2d_1a_3x3", f"mixed{module}_branch{branch}_conv{step}")
    rules += _with_norm(f"{top}/Mixed_5b/Branch_3/Conv2d_0b_1x1", "mixed5b_pool_conv1")
    for scope, ours in (
        *((r"Repeat/(block35_\d+)", "{1}"), (r"Repeat_1/(block17_\d+)", "{1}"), (r"Repeat_2/(block8_\d+)", "{1}")),
        *(("(Block8)", "block8_10"), (r"Mixed_(\d\w)", "mixed{1}")),
    ):
        rules += [(f"{top}/{scope}/Conv2d_1x1", f"{ours}_up")]
        rules += _with_norm(f"{top}/{scope}/Branch_0/Conv2d_1x1", f"{ours}_branch0_conv1")
        rules += _with_norm(rf"{top}/{scope}/Branch_(\d)/Conv2d_0([a-c])_\dx\d", f"{ours}_branch{{2}}_conv{{3+1}}")
    return (*rules, (f"{top}/Logits/Logits", "head"), (f"{top}/AuxLogits/(.*)", "aux_{1}"))


INCEPTION_RESNET_V2 = _inception_resnet_v2()

"""How a number changes from block to block or stage to stage."""

from collections.abc import Sequence


def linear_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Rates growing linearly from 0 at the first block to `rate` at the last, one list per stage."""
    last = max(sum(depths) - 1, 1)
    starts = [sum(depths[:i]) for i in range(len(depths))]
    return [[rate * (start + i) / last for i in range(depth)] for start, depth in zip(starts, depths, strict=True)]


def dilated_stages(strides: Sequence[int], stem_stride: int, output_stride: int) -> list[tuple[int, int, int]]:
    """Strides and dilations that keep the last maps at input size / `output_stride`.

    A stage that would go beyond keeps its size and multiplies the dilation instead; its first block still reads with
    the dilation of the stage before (Chen et al. 2017, arXiv:1706.05587; so does torchvision).

    Args:
        strides: of the stages.
        stem_stride: of what comes before them.
        output_stride: 8, 16 or 32.

    Returns:
        For each stage (stride, dilation of its first block, dilation of the others).
    """
    stages, stride, dilation = [], stem_stride, 1
    for step in strides:
        before = dilation
        if stride * step > output_stride:
            step, dilation = 1, dilation * step
        stride *= step
        stages.append((step, before, dilation))
    return stages

"""How a number changes from block to block or stage to stage."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kerascnn._errors import InputError


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


class Place(NamedTuple):
    """Where a block stands in a network of stages, and what follows from it."""

    stage: int  # from 0
    block: int  # of its stage, from 0
    name: str  # "stage1_block1": counted from 1
    stride: int
    dilations: tuple[int, int]  # of its first convolution over places, and of later ones
    rate: float  # of its drop-path
    last: bool  # of its stage


def places(
    depths: Sequence[int],
    strides: Sequence[int] = (1, 2, 2, 2),
    *,
    stem_stride: int = 4,
    output_stride: int = 32,
    drop_path_rate: float = 0.0,
) -> Iterator[Place]:
    """The blocks of a network, one after the other; the first of a stage has its stride.

    Args:
        depths: blocks of each stage.
        strides: of the stages.
        stem_stride: of what comes before them.
        output_stride: 8, 16 or 32; below 32 the last stages dilate instead of striding, see `dilated_stages`.
        drop_path_rate: of the last block; it grows linearly from 0 at the first.

    Returns:
        One `Place` for each block.

    Raises:
        InputError: a stage has no block, or there are more or fewer stages than strides.

    Example:

        for at in blocks.places(spec.depths, output_stride=16):
            x = block(x, widths[at.stage], at.stride, at.dilations, name=at.name)
            stages += [x] * at.last
    """
    if len(depths) != len(strides) or min(depths) < 1:
        raise InputError(
            f"depths must have at least one block for each of the {len(strides)} stages. Received: {tuple(depths)}"
        )
    rates = linear_rates(drop_path_rate, depths)
    for s, (stride, first, dilation) in enumerate(dilated_stages(strides, stem_stride, output_stride)):
        for b in range(depths[s]):
            step, before = (stride, first) if b == 0 else (1, dilation)
            name = f"stage{s + 1}_block{b + 1}"
            yield Place(s, b, name, step, (before, dilation), rates[s][b], b == depths[s] - 1)

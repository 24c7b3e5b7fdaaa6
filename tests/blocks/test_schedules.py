"""Places of blocks: strides, dilations, rates and names, written out."""

import pytest

from kerascnn import blocks
from kerascnn._errors import InputError


def test_places_at_full_stride():
    found = list(blocks.places((2, 1), (1, 2), drop_path_rate=0.5))
    assert found == [
        blocks.Place(0, 0, "stage1_block1", 1, (1, 1), 0.0, False),
        blocks.Place(0, 1, "stage1_block2", 1, (1, 1), 0.25, True),
        blocks.Place(1, 0, "stage2_block1", 2, (1, 1), 0.5, True),
    ]


def test_a_dilated_stage_begins_with_the_dilation_of_the_one_before():
    found = [(at.name, at.stride, at.dilations) for at in blocks.places((1, 1, 2, 2), output_stride=8)]
    assert found == [
        ("stage1_block1", 1, (1, 1)),
        ("stage2_block1", 2, (1, 1)),
        ("stage3_block1", 1, (1, 2)),
        ("stage3_block2", 1, (2, 2)),
        ("stage4_block1", 1, (2, 4)),
        ("stage4_block2", 1, (4, 4)),
    ]


@pytest.mark.parametrize("depths", [(1, 1, 1), (1, 1, 1, 1, 1), (1, 0, 1, 1)])
def test_every_stage_has_a_block(depths):
    with pytest.raises(InputError, match="at least one block for each of the 4 stages. Received: "):
        next(blocks.places(depths))

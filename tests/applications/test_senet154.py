"""SENet-154: where its blocks differ from ResNeXt's, and the rounding of the first pool."""

import keras
import pytest

from kerascnn import applications


@pytest.mark.parametrize(("name", "pooled"), [("legacy_senet154", [8, 9, 56]), ("senet154", [9, 9, 56])])
def test_first_pool(name, pooled, without_values):
    with without_values:
        model = applications.create_model(name, include_top=False)
    pool = keras.Model(model.input, model.get_layer("stem_pool").output)
    sizes = [pool.compute_output_shape((1, size, size, 3))[1] for size in (33, 35, 224)]  # 17, 18, 112 before it
    assert sizes == pooled


def test_widths_and_shortcuts(without_values):
    with without_values:
        model = applications.create_model("senet154", include_top=False)
    widths = [model.get_layer(f"stage2_block1_conv{i}").filters for i in (1, 2, 3)]
    assert widths == [256, 512, 512] and model.get_layer("stage2_block1_conv2").groups == 64
    kernels = [model.get_layer(f"stage{s}_block1_shortcut_conv").kernel_size for s in (1, 2, 3, 4)]
    assert kernels == [(1, 1), (3, 3), (3, 3), (3, 3)]
    assert model.get_layer("stage3_block2_se_reduce").filters == 1024 // 16

"""MobileNet, version 2: where shortcuts are, linear bottlenecks, dilation."""

import keras
import pytest

from kerascnn import applications, layers


def test_last_convolution_never_shrinks():
    for name, filters in [("tf_mobilenetv2_035_96", 1280), ("tf_mobilenetv2_140_224", 1792)]:
        assert applications.create_model(name, include_top=False).get_layer("final_conv").filters == filters


def test_blocks():
    """Shortcuts join equal shapes alone; nothing comes between the last batch norm of a block and what reads it."""
    model = applications.create_model("mobilenetv2_035", include_top=False, drop_path_rate=0.2)
    added = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Add)]
    in_stages = {2: (2,), 3: (2, 3), 4: (2, 3, 4, 6, 7), 5: (2, 3)}
    assert added == [f"stage{s}_block{b}_add" for s, blocks in in_stages.items() for b in blocks]
    assert len([layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]) == 2 * 17 - 1 + 2
    rates = [layer.rate for layer in model.layers if isinstance(layer, layers.DropPath)]
    assert rates == sorted(rates) and rates[-1] == pytest.approx(0.2 * 15 / 16)


def test_output_stride_keeps_maps_large():
    model = applications.create_model("tf_mobilenetv2_035_96", features_only=True, output_stride=16)
    assert model.feature_strides == [2, 4, 8, 16, 16]
    rates = [model.get_layer(f"stage5_block{b}_conv2").dilation_rate for b in (1, 2, 3, 4)]
    assert rates == [(1, 1), (2, 2), (2, 2), (2, 2)]

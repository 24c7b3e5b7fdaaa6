"""Stages: what belongs to which, and the picture of them."""

import keras
import pytest

from kerascnn import analysis

L = keras.layers


def networks():
    """A stem and three blocks on two stages, a gate and a head; the same up to the stages."""
    image = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, padding="same", name="stem_conv")(image)
    x = L.BatchNormalization(name="stage1_block1_bn")(L.Conv2D(4, 3, padding="same", name="stage1_block1_conv")(x))
    one = x
    x = L.DepthwiseConv2D(3, 2, "same", name="stage2_block1_conv1")(x)
    x = L.Conv2D(8, 1, name="stage2_block1_conv2")(x)
    gate = L.Conv2D(8, 1, name="stage2_block2_gate")(L.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x))
    two = L.Multiply(name="stage2_block2_scale")([L.Conv2D(8, 3, padding="same", name="stage2_block2_conv")(x), gate])
    y = L.GlobalAveragePooling2D(name="pool")(two)
    return keras.Model(image, L.Dense(10, name="head")(y)), keras.Model(image, [L.Identity(name="stage1")(one), two])


def test_every_layer_is_in_one_stage():
    model, backbone = networks()
    one, two, head = analysis.stages(model, backbone)
    assert [stage.name for stage in (one, two, head)] == ["stage1", "stage2", "head"]
    assert (one.output_shape, two.output_shape, head.output_shape) == ((16, 16, 4), (8, 8, 8), (10,))
    assert (one.blocks, one.layers, one.windows) == (1, 2, (("3x3", 2),))
    assert (two.blocks, two.layers) == (2, 4)
    assert dict(two.windows) == {"1x1": 2, "depthwise 3x3": 1, "3x3": 1}
    assert head.windows == (("dense", 1),)
    assert one.params == (27 * 4 + 4) + (36 * 4 + 4) + 8 and head.params == 90
    assert two.macs == 64 * (9 * 4 + 4 * 8 + 9 * 8 * 8) + 8 * 8
    cost = analysis.count(model)
    for name in ("macs", "activations"):
        assert sum(getattr(stage, name) for stage in (one, two, head)) == getattr(cost, name)
    assert sum(stage.params for stage in (one, two, head)) == cost.params_trainable


def test_a_network_without_a_head():
    _, backbone = networks()
    single = keras.Model(backbone.input, backbone.outputs[-1])
    assert [stage.name for stage in analysis.stages(single, backbone)] == ["stage1", "stage2"]


@pytest.mark.parametrize("title", ["small", "with $ and _ and a very long title " * 8])
def test_the_picture(tmp_path, title):
    model, backbone = networks()
    path = tmp_path / "stages.png"
    analysis.plot_stages(analysis.stages(model, backbone), path, input_shape=(16, 16, 3), title=title, subtitle=title)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["stages.png"]

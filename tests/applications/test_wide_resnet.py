"""Wide ResNet: where it projects and where it drops."""

import keras

from kerascnn import applications
from kerascnn.applications import wide_resnet


def _small(widen, **options):
    """A network of the CIFAR form, 16 layers deep."""
    inputs = keras.Input((16, 16, 3))
    return keras.Model(inputs, wide_resnet.features(inputs, wide_resnet.Spec((2, 2, 2), widen), **options)[-1])


def _names(model):
    return [layer.name for layer in model.layers]


def test_projects_only_where_the_width_changes():
    for widen, stages in [(1, (2, 3)), (2, (1, 2, 3))]:
        projections = [name for name in _names(_small(widen)) if "shortcut" in name]
        assert projections == [f"stage{s}_block1_shortcut_conv" for s in stages]


def test_the_first_convolution_has_no_batch_norm_and_the_last_map_has():
    names = _names(_small(1))
    assert names[1:3] == ["stem_conv", "stage1_block1_bn1"]
    assert names[-3:] == ["stage3_block2_add", "final_bn", "final_relu"]


def test_dropout_lies_between_the_convolutions_alone():
    names = _names(_small(1, dropout_rate=0.3))
    assert sum("dropout" in name for name in names) == 6
    at = names.index("stage2_block2_dropout")
    assert names[at - 1 : at + 2] == ["stage2_block2_relu2", "stage2_block2_dropout", "stage2_block2_conv2"]
    assert "head_dropout" not in _names(applications.WRN16_8(dropout_rate=0.3))


def test_output_stride_keeps_the_last_maps():
    model = applications.create_model("wide_resnet18_1_5", features_only=True, output_stride=8)
    assert model.feature_strides == [4, 8, 8, 8]

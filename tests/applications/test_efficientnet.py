"""EfficientNet: gates, shortcuts, drop rates, constants of each library, and what Keras' networks preprocess."""

import inspect

import keras
import numpy as np
import pytest

from kerascnn import applications, layers, weights
from kerascnn.applications import efficientnet


def bare(name, **options):
    with keras.StatelessScope(initialize_variables=False):
        return applications.create_model(name, include_top=False, **options)


def test_gates_are_a_quarter_of_what_enters_the_block():
    model = bare("tf_efficientnet_b0")
    hidden = [layer.filters for layer in model.layers if layer.name.endswith("_se_reduce")]
    assert hidden == [8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48]


def test_shortcuts_and_drop_rates():
    """Rates grow by 0.2 / 16 a block, and are absent where there is no shortcut."""
    model = bare("tf_efficientnet_b0")
    added = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Add)]
    in_stages = {2: (2,), 3: (2,), 4: (2, 3, 5, 6), 5: (2, 3, 4)}
    assert added == [f"stage{s}_block{b}_add" for s, numbers in in_stages.items() for b in numbers]
    rates = [layer.rate for layer in model.layers if isinstance(layer, layers.DropPath)]
    assert rates == pytest.approx([0.2 * i / 16 for i in (2, 4, 6, 7, 9, 10, 12, 13, 14)])
    assert not [layer for layer in bare("tf_efficientnet_b0", drop_path_rate=0).layers if "drop" in layer.name]


def test_first_rows_are_repeated_without_expansion():
    model = bare("tf_efficientnet_b1")
    names = {layer.name for layer in model.layers}
    assert {"stage1_block1_conv2", "stage1_block2_conv2", "stage1_block2_add"} <= names
    assert not {"stage1_block1_conv1", "stage1_block2_conv1"} & names


@pytest.mark.parametrize(
    ("name", "padding", "momentum", "epsilon"),
    [
        ("tf_efficientnet_b5", "same", 0.99, 1e-3),
        ("efficientnet_b5", ((2, 2), (2, 2)), 0.9, 1e-5),
        ("tv_efficientnet_b5", ((2, 2), (2, 2)), 0.99, 1e-3),
    ],
)
def test_constants_of_the_libraries(name, padding, momentum, epsilon):
    model = bare(name)
    conv, norm = model.get_layer("stage3_block1_conv2"), model.get_layer("stem_bn")
    assert (conv.padding, conv.kernel_size, conv.strides) == (padding, (5, 5), (2, 2))
    assert (norm.momentum, norm.epsilon) == (momentum, epsilon)


def test_defaults_of_the_variants():
    sizes, dropouts = [], []
    for i in range(8):
        info = applications.model_info(f"tf_efficientnet_b{i}")
        sizes.append(info.input_shape[0])
        assert info.preprocessing.interpolation == "bicubic"
        assert round(sizes[-1] / info.preprocessing.crop_fraction) == sizes[-1] + 32
        builder = getattr(applications, f"EfficientNetB{i}")
        dropouts.append(inspect.signature(builder).parameters["dropout_rate"].default)
    assert sizes == [224, 240, 260, 300, 380, 456, 528, 600]
    assert dropouts == [0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5]


def test_output_stride_keeps_maps_large():
    with keras.StatelessScope(initialize_variables=False):
        model = applications.create_model("efficientnet_b0", features_only=True, output_stride=8)
    assert model.feature_strides == [2, 4, 8, 8, 8]
    dilations = [
        model.get_layer(f"stage{s}_block{b}_conv2").dilation_rate[0] for s, b in ((4, 1), (4, 4), (5, 1), (5, 2))
    ]
    assert dilations == [1, 2, 2, 4]


@pytest.mark.parametrize(
    ("library", "theirs", "ours"),
    [
        ("keras", "block5c_project_bn", "stage4_block7_bn3"),
        ("keras", "block1b_dwconv", "stage1_block2_conv2"),
        ("timm", "blocks.6.1.se.conv_expand", "stage5_block7_se_expand"),
        ("timm", "blocks.0.1.conv_pw", "stage1_block2_conv3"),
        ("torchvision", "features.5.0.block.3.1", "stage4_block5_bn3"),
        ("torchvision", "features.1.0.block.1.fc1", "stage1_block1_se_reduce"),
        ("efficientnet_pytorch", "_blocks.22._se_reduce", "stage5_block7_se_reduce"),
        ("efficientnet_pytorch", "_blocks.12._expand_conv", "stage4_block5_conv1"),
        ("keras", "normalization_3", ""),
        ("keras", "block5z_other", None),
    ],
)
def test_names_follow_the_depth(library, theirs, ours):
    """Of B1, whose rows have 2, 3, 3, 4, 4, 5, 2 blocks."""
    rules = efficientnet._family.names[library](applications.model_info("tf_efficientnet_b1").spec)
    assert weights.translate(rules, theirs) == ours


def test_keras_normalization_is_left_out_and_said(tmp_path, caplog):
    """The pixels' constants of a Keras file are not silently lost; our input is what those layers would give."""
    options = {"include_top": False, "input_shape": (32, 32, 3)}
    theirs = keras.applications.EfficientNetB0(weights=None, **options)
    theirs.save_weights(tmp_path / "net.weights.h5")
    with caplog.at_level("WARNING", logger="absl"):
        ours = applications.EfficientNetB0(weights=tmp_path / "net.weights.h5", **options)
    assert "preprocesses its images (0, 0, 0; 1, 1, 1; 0)" in caplog.text
    np.testing.assert_array_equal(ours.get_layer("stem_conv").kernel, theirs.get_layer("stem_conv").kernel)
    ours.save_weights(tmp_path / "ours.weights.h5")  # its stem is called as Keras' is: still known as ours
    again = applications.EfficientNetB0(weights=tmp_path / "ours.weights.h5", **options)
    kernel = "stage5_block1_conv1"
    np.testing.assert_array_equal(again.get_layer(kernel).kernel, ours.get_layer(kernel).kernel)

"""VGG: where C, A-LRN and the gated forms differ, initial weights, and other image sizes."""

import keras
import numpy as np

from kerascnn import applications
from kerascnn.applications import vgg


def names(model):
    return [layer.name for layer in model.layers]


def test_c_has_1x1_convolutions_third_in_a_stage():
    model = applications.VGG16C(include_top=False)
    convs = {layer.name: layer.kernel_size[0] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}
    assert len(convs) == 13
    assert {name for name, size in convs.items() if size == 1} == {f"stage{s}_conv3" for s in (3, 4, 5)}


def test_one_normalization_after_the_first_relu():
    order = names(applications.VGG11_LRN(include_top=False))
    assert order[1:5] == ["stage1_conv1", "stage1_relu1", "norm1", "stage1_pool"]


def test_gates_follow_each_relu():
    for builder, gate in [
        (applications.SEVGG16, "stage3_se2_squeeze"),
        (applications.CBAMVGG16, "stage3_channel2_average"),
    ]:
        model = builder(include_top=False)
        seen = model.get_layer(gate).input._keras_history.operation
        assert seen.name == "stage3_relu2"
        assert sum(name.endswith("_reduce") for name in names(model)) == 13


def test_initial_weights():
    """As in torchvision, with batch norm or without."""
    for variant in ("vgg11", "vgg16", "vgg11_bn"):
        model = applications.create_model(variant, include_top=False)
        kernel, bias = model.get_layer("stage5_conv2").get_weights()
        assert abs(kernel.std() / (2 / (9 * 512)) ** 0.5 - 1) < 0.02 and not bias.any(), variant


def test_other_sizes_are_averaged_over_7x7_regions():
    inputs = keras.Input((14, 7, 2))
    model = keras.Model(inputs, vgg._head(7)(inputs, 3, None))
    x = np.random.default_rng(0).normal(size=(1, 14, 7, 2)).astype("float32")
    pooled = keras.Model(inputs, model.get_layer("head_pool").output)
    np.testing.assert_allclose(pooled(x), x.reshape(1, 7, 2, 7, 2).mean(2), atol=1e-6)

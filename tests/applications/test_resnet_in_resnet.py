"""ResNet in ResNet: what reaches which stream, the two kinds of shortcuts, and the head."""

import keras
import numpy as np

from kerascnn.applications import resnet_in_resnet


def net(**spec):
    inputs = keras.Input((8, 8, 3))
    spec = resnet_in_resnet.Spec((2, 2, 2), (4, 6, 8), **spec)
    return keras.Model(inputs, resnet_in_resnet.features(inputs, spec))


def test_only_the_residual_stream_has_a_shortcut():
    r, t = (keras.Input((5, 5, 4)) for _ in range(2))
    model = keras.Model([r, t], resnet_in_resnet.layer(r, t, 4, 1, projection=True, name="x"))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.zeros_like(layer.get_weights()[0])])
    x, y = np.random.default_rng(0).normal(size=(2, 1, 5, 5, 4)).astype("float32")
    residual, transient = model([x, y])
    np.testing.assert_allclose(residual, np.maximum(x, 0) / np.sqrt(1 + 1e-5), rtol=1e-5)
    assert not np.any(transient)


def test_each_stream_is_convolved_into_both():
    model = net()
    names = {layer.name for layer in model.layers if layer.name.startswith("stage1_layer1_") and layer.weights}
    streams = ("residual", "transient")
    assert names == {
        *(f"stage1_layer1_{a}_to_{b}_conv" for a in streams for b in streams),
        *(f"stage1_layer1_{a}_bn" for a in streams),
    }


def test_projections_only_where_the_shape_changes():
    model = net()
    shortcuts = {layer.name for layer in model.layers if "shortcut" in layer.name}
    assert shortcuts == {"stage2_layer1_shortcut_conv", "stage3_layer1_shortcut_conv"}
    assert [stage.shape[1:] for stage in model.outputs] == [(8, 8, 8), (4, 4, 12), (2, 2, 16)]


def test_nested_shortcuts_have_no_weights():
    model = net(nested=True)
    shortcuts = {layer.name: layer for layer in model.layers if "shortcut" in layer.name}
    assert set(shortcuts) == {f"stage{s}_layer{b}" for s in (2, 3) for b in ("1_shortcut", "2_outer_shortcut")}
    assert not any(layer.weights for layer in shortcuts.values())
    outer = {layer.name for layer in model.layers if layer.name.endswith("outer_add")}
    assert outer == {f"stage{s}_layer2_outer_add" for s in (1, 2, 3)}


def test_the_head_averages_after_its_batch_norm():
    inputs = keras.Input((2, 2, 8))
    model = keras.Model(inputs, resnet_in_resnet.head(inputs, 5, "softmax"))
    assert [layer.name for layer in model.layers[1:]] == ["head", "head_bn", "head_pool", "head_activation"]
    np.testing.assert_allclose(np.sum(model(np.ones((1, 2, 2, 8), "float32"))), 1, rtol=1e-6)

"""Network in network: map sizes, which pools take maxima, dropout, initial weights, the head."""

import keras
import numpy as np

from kerascnn import applications


def test_pools_round_up():
    model = applications.NiNImageNet(include_top=False, input_shape=(224, 224, 3))
    assert [model.get_layer(f"stage{s}_conv").output.shape[1] for s in (1, 2, 3, 4)] == [54, 27, 13, 6]
    assert [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == ["stage3_dropout"]


def test_both_pools_of_the_cifar_network_take_maxima():
    model = applications.NiNCIFAR10(include_top=False)
    assert isinstance(model.get_layer("stage1_pool"), keras.layers.MaxPooling2D)
    assert isinstance(model.get_layer("stage2_pool"), keras.layers.MaxPooling2D)


def test_initial_weights():
    model = applications.NiNImageNet(input_shape=(64, 64, 3))
    for name, deviation, start in [
        ("stage2_cccp1", (2 / 256) ** 0.5, 0),
        ("stage3_conv", (2 / (9 * 256)) ** 0.5, 0),
        ("head", 0.01, 1),
    ]:
        kernel, bias = model.get_layer(name).get_weights()
        assert abs(kernel.std() / deviation - 1) < 0.05 and (bias == start).all(), name


def test_the_head_averages_what_is_positive():
    model = applications.NiNCIFAR10(classifier_activation=None)
    maps = keras.Model(model.input, model.get_layer("head").output)
    x = 10 * np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    assert np.min(maps(x)) == 0
    np.testing.assert_allclose(model(x), np.mean(maps(x), (1, 2)), rtol=1e-5)

"""PyramidNet: the widths of every unit, the shortcut, and where there is no ReLU."""

import keras
import numpy as np
import pytest

from kerascnn.applications import pyramidnet


@pytest.mark.parametrize(
    "alpha, bottleneck, widths", [(10, False, [18, 19, 21, 23, 24, 26]), (6, True, [68, 72, 76, 80, 84, 88])]
)
def test_widths_round_to_the_nearest(alpha, bottleneck, widths):
    inputs = keras.Input((8, 8, 3))
    spec = pyramidnet.Spec((2, 2, 2), alpha, bottleneck)
    model = keras.Model(inputs, pyramidnet.features(inputs, spec))
    adds = [layer.output.shape[-1] for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert adds == widths


def test_a_silent_unit_is_its_shortcut():
    inputs = keras.Input((5, 4, 2))
    y = pyramidnet.unit(inputs, 3, 2, 0.0, branch=pyramidnet.basic, name="unit")
    model = keras.Model(inputs, y)
    model.get_layer("unit_bn3").gamma.assign([0, 0, 0])
    x = np.random.default_rng(0).normal(size=(1, 5, 4, 2)).astype("float32")
    y = keras.ops.convert_to_numpy(model(x))
    assert y.shape == (1, 3, 2, 3)
    np.testing.assert_allclose(y[0, :2, :, :2], x[0, :4].reshape(2, 2, 2, 2, 2).mean((1, 3)), rtol=1e-5)
    np.testing.assert_allclose(y[0, 2, :, :2], x[0, 4].reshape(2, 2, 2).mean(1), rtol=1e-5)  # the odd row, alone
    assert (y[..., 2] == 0).all()


@pytest.mark.parametrize("branch, relus", [(pyramidnet.basic, 1), (pyramidnet.bottleneck, 2)])
def test_a_branch_begins_and_ends_with_batch_norm(branch, relus):
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, branch(inputs, 6, 1, name="unit"))
    kinds = [type(layer).__name__ for layer in model.layers[1:]]
    assert kinds[0] == kinds[-1] == "BatchNormalization" and kinds[1] != "Activation"
    assert kinds.count("Activation") == relus

"""ResNet with stochastic depth: the survival of each block, and the odd sizes."""

import keras
import numpy as np

from kerascnn import layers
from kerascnn.applications import stochastic_depth


def test_survival_falls_linearly_to_a_half():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, stochastic_depth.features(inputs, stochastic_depth.Spec(20))[-1])
    survival = [1 - layer.rate for layer in model.layers if isinstance(layer, layers.DropPath)]
    np.testing.assert_allclose(survival, [1 - i / 9 * 0.5 for i in range(1, 10)])


def test_a_dropped_block_is_its_shortcut():
    inputs = keras.Input((5, 4, 2))
    model = keras.Model(inputs, stochastic_depth.block(inputs, 3, 2, 1e-9, name="block_conv"))
    x = np.abs(np.random.default_rng(0).normal(size=(1, 5, 4, 2))).astype("float32")
    y = keras.ops.convert_to_numpy(model(x, training=True))
    assert y.shape == (1, 3, 2, 3)
    np.testing.assert_allclose(y[0, :2, :, :2], x[0, :4].reshape(2, 2, 2, 2, 2).mean((1, 3)), rtol=1e-5)
    np.testing.assert_allclose(y[0, 2, :, :2], x[0, 4].reshape(2, 2, 2).mean(1), rtol=1e-5)  # the odd row, alone
    assert (y[..., 2] == 0).all()

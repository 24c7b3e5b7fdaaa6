"""Highway networks: the layer by hand, gates that start closed, depths, and the kernels of C."""

import keras
import numpy as np
import parity

from kerascnn import applications
from kerascnn.applications import highway


def layers_with_weights(name):
    return [layer for layer in applications.create_model(name).layers if layer.weights]


def test_highway_layer_by_hand():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, highway.highway(inputs, 1, name="conv"))
    parity.randomize(model)
    w_h, b_h, w_t, b_t = (w.squeeze() for w in model.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    t = 1 / (1 + np.exp(-(x @ w_t + b_t)))
    np.testing.assert_allclose(model(x), np.maximum(x @ w_h + b_h, 0) * t + x * (1 - t), rtol=1e-4, atol=1e-5)


def test_gates_start_closed():
    gates = [layer for layer in layers_with_weights("highway_a") if layer.name.endswith("_gate")]
    assert len(gates) == 6
    assert all((gate.get_weights()[1] == -2).all() for gate in gates)


def test_published_depths():
    for name, depth in [("highway_a", 11), ("highway_b", 19), ("highway_c", 32), ("highway_gap", 19)]:
        assert sum(not layer.name.endswith("_gate") for layer in layers_with_weights(name)) == depth


def test_kernels_of_c_alternate():
    convs = [layer for layer in layers_with_weights("highway_c") if isinstance(layer, keras.layers.Conv2D)]
    sizes = [layer.kernel_size[0] for layer in convs if not layer.name.endswith("_gate")]
    assert sizes == [3, 1] * 15

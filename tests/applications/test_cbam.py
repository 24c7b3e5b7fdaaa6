"""CBAM: both gates by hand, and where they stand."""

import keras
import numpy as np
import parity

from kerascnn import applications, blocks


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_channel_gate_by_hand():
    inputs = keras.Input((None, None, 6))
    model = keras.Model(inputs, blocks.channel_gate(inputs, 2, name="gate"))
    parity.randomize(model)
    w1, b1, w2, b2 = (w.squeeze() for w in model.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    logits = sum(np.maximum(v @ w1 + b1, 0) @ w2 + b2 for v in (x.mean((1, 2)), x.max((1, 2))))
    np.testing.assert_allclose(model(x), x * sigmoid(logits)[:, None, None], rtol=1e-4, atol=1e-5)


def test_spatial_gate_by_hand():
    inputs = keras.Input((None, None, 6))
    model = keras.Model(inputs, blocks.spatial_gate(inputs, name="gate"))
    parity.randomize(model)
    kernel, gamma, beta, mean, variance = model.get_weights()
    x = np.random.default_rng(0).normal(size=(1, 5, 4, 6)).astype("float32")
    maps = np.pad(np.stack([x.max(-1), x.mean(-1)], -1), [(0, 0), (3, 3), (3, 3), (0, 0)])
    gate = np.array([[(maps[0, i : i + 7, j : j + 7] * kernel[..., 0]).sum() for j in range(4)] for i in range(5)])
    gate = sigmoid((gate - mean) / np.sqrt(variance + 1e-5) * gamma + beta)
    np.testing.assert_allclose(model(x)[0], x[0] * gate[..., None], rtol=1e-4, atol=1e-5)


def test_gates_stand_between_the_last_batch_norm_and_the_addition():
    model = applications.CBAMResNet18(include_top=False)
    names = [layer.name for layer in model.layers]
    order = [names.index(f"stage1_block1_{n}") for n in ("bn2", "channel_scale", "spatial_scale", "add")]
    assert order == sorted(order)


def test_extra_parameters_of_a_block():
    # 2 C²/16 + C/16 + C + 98 + 2 a block, and 2 moving statistics
    plain, gated = (
        applications.create_model(n, include_top=False).count_params() for n in ("resnet18", "cbam_resnet18")
    )
    widths = [64, 64, 128, 128, 256, 256, 512, 512]
    assert gated - plain == sum(c * c // 8 + c // 16 + c + 98 + 2 + 2 for c in widths)

"""Weight decay: who gets it, how much, and how it compares with L2 under momentum."""

import keras
import numpy as np
import pytest

from kerascnn import layers
from kerascnn.training import TrainConfig, optimizers


def model():
    parts = [
        keras.Input((4, 4, 2)), keras.layers.Conv2D(3, 3), keras.layers.BatchNormalization(),
        keras.layers.DepthwiseConv2D(2), keras.layers.Flatten(), keras.layers.Dense(2),
    ]  # fmt: skip
    return keras.Sequential(parts)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam"])
def test_decay_shrinks_kernels_and_nothing_else(name):
    net = model()
    for variable in net.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    config = TrainConfig(optimizer=name, learning_rate=0.5, momentum=0.9, weight_decay=0.1)
    optimizer = optimizers.build(config, 0.5, net)
    optimizer.apply_gradients([(keras.ops.zeros(v.shape), v) for v in net.trainable_variables])
    for variable in net.trainable_variables:
        expected = 1 - 0.5 * 0.1 if variable.name in ("kernel", "depthwise_kernel") else 1.0
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6, err_msg=variable.path)
    left = {variable.path for variable in optimizers.undecayed(net.trainable_variables)}
    decayed = [variable.name for variable in net.trainable_variables if variable.path not in left]
    assert len(decayed) == 3 and len(left) == 5  # three kernels; three biases, gamma, beta


def test_tokens_and_positions_do_not_decay():
    net = keras.Sequential([keras.Input((4, 3)), layers.ClassToken(), layers.PositionEmbedding((2, 2), 1)])
    assert optimizers.undecayed(net.trainable_variables) == net.trainable_variables
    assert [len(variable.shape) for variable in net.trainable_variables] == [3, 2, 3]


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_decoupled_decay_is_l2_divided_by_one_minus_momentum(momentum):
    """One step of decay shrinks a weight as SGD with momentum and an L2 gradient does once it has settled."""
    l2, rate = 1e-3, 0.1
    net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    weight = net.trainable_variables[0]
    weight.assign([[1.0]])
    config = TrainConfig(momentum=momentum, nesterov=False, learning_rate=rate, weight_decay=l2 / (1 - momentum))
    optimizers.build(config, rate, net).apply_gradients([(keras.ops.zeros((1, 1)), weight)])
    # w' = w + v', v' = m v - rate l2 w: a linear recursion, which settles at its largest root.
    settled = max(abs(np.roots([1, -(1 + momentum - rate * l2), momentum])))
    assert 1 - float(weight.numpy()[0, 0]) == pytest.approx(1 - settled, rel=1e-2)


def test_constants_and_loss_scaling():
    sgd = optimizers.build(TrainConfig(momentum=0.8, nesterov=True), 0.1, model())
    assert isinstance(sgd, keras.optimizers.SGD) and sgd.nesterov and sgd.momentum == 0.8 and sgd.weight_decay is None
    rmsprop = optimizers.build(TrainConfig(optimizer="rmsprop"), 0.1, model())
    assert (rmsprop.rho, rmsprop.epsilon, rmsprop.momentum) == (0.9, 1.0, 0.9)
    scaled = optimizers.build(TrainConfig(mixed_precision="float16", weight_decay=0.1), 0.1, model())
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer) and scaled.inner_optimizer.weight_decay == 0.1

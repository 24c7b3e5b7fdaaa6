"""Rates by depth: one step in closed form, PyTorch's groups of parameters, files, and a run that is resumed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn._errors import InputError
from kerascnn.training import TrainConfig, optimizers, rates, steps


def dense(count=3):
    """[n, 1] -> [n, 1]: dense layers of one number each, all 1: stage1, stage2, ..., head."""
    names = [*(f"stage{i}" for i in range(1, count)), "head"]
    net = keras.Sequential(
        [keras.Input((1,)), *(keras.layers.Dense(1, name=name, kernel_initializer="ones") for name in names)]
    )
    for variable in net.trainable_variables:
        variable.assign(np.ones(variable.shape))
    return net


def step(optimizer, gradient, variables):
    optimizer.apply_gradients([(keras.ops.full(v.shape, gradient), v) for v in variables])


@pytest.mark.parametrize("precision", ["none", "float16"])
def test_one_step_of_sgd_in_closed_form(precision):
    net, rate, decay, l2, gradient = dense(), 0.5, 0.25, 0.1, 0.3
    config = TrainConfig(
        momentum=0.0, nesterov=False, weight_decay=l2, layer_decay=decay, mixed_precision=precision
    )  # fmt: skip
    optimizer = optimizers.build(config, rate, net)
    scale = optimizer.dynamic_scale.numpy() if precision == "float16" else 1.0
    step(optimizer, gradient * scale, net.trainable_variables)
    for depth, name in enumerate(["head", "stage2", "stage1"]):
        own = rate * decay**depth
        kernel, bias = (variable.numpy().item() for variable in net.get_layer(name).weights)
        assert kernel == pytest.approx(1 - own * l2 - own * gradient, rel=1e-6), name
        assert bias == pytest.approx(1 - own * gradient, rel=1e-6), name


GRADIENTS = (0.5, -1.0, 0.25, 2.0)
# PyTorch 2.13 in float64: a group at rate 0.1, after two steps a second one at 0.05 (`add_param_group`), all from 1.
# SGD(momentum=0.9, nesterov=True); AdamW(eps=1e-7, weight_decay=0.01).
TORCH = {
    "sgd": ([0.905, 1.0545, 1.05155, 0.691395], [1.0, 1.0, 0.97625, 0.776125]),
    "adam": (
        [0.899000019999996, 0.9347113680533917, 0.9474457209237046, 0.9016200706017908],
        [1.0, 1.0, 0.949500019999992, 0.9079519849545138],
    ),
}


@pytest.mark.parametrize("name", list(TORCH))
def test_groups_of_parameters_as_in_pytorch(name):
    net = dense(2)
    first, later = net.get_layer("head").kernel, net.get_layer("stage1").kernel
    decay = {"weight_decay": 0.01} if name == "adam" else {}
    config = TrainConfig(optimizer=name, momentum=0.9, layer_decay=0.5, **decay)
    optimizer = optimizers.build(config, 0.1, net, {"stage1/kernel": 2})
    for index, gradient in enumerate(GRADIENTS):
        step(optimizer, gradient, [first, later] if index >= 2 else [first])
        expected = [values[index] for values in TORCH[name]]
        assert [first.numpy().item(), later.numpy().item()] == pytest.approx(expected, rel=1e-5), index


def test_rmsprop_goes_as_far_as_the_rate_says():
    net = dense()
    optimizer = optimizers.build(TrainConfig(optimizer="rmsprop", momentum=0.9, layer_decay=0.1), 0.5, net)
    step(optimizer, 2.0, net.trainable_variables)
    moved = [1 - net.get_layer(name).kernel.numpy().item() for name in ("head", "stage2", "stage1")]
    assert moved == pytest.approx([moved[0], moved[0] / 10, moved[0] / 100], rel=1e-4) and moved[0] > 0.1


def test_factors_of_a_network():
    factors = rates.by_depth(kerascnn.create_model("resnet20"), 0.5)
    found = {path.partition("_")[0].partition("/")[0]: factor for path, factor in factors.items()}
    assert found == {"head": 1.0, "stage3": 0.5, "stage2": 0.25, "stage1": 0.125, "stem": 0.0625}


@pytest.mark.parametrize("name", list(optimizers.OPTIMIZERS))
def test_a_file_keeps_the_factors_and_the_state(name, tmp_path):
    net = dense()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    net.compile(optimizers.build(TrainConfig(optimizer=name, layer_decay=0.5, weight_decay=0.01), schedule, net), "mse")
    x = np.ones((4, 1), "float32")
    net.fit(x, 3 * x, verbose=0)
    net.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    assert type(again.optimizer) is type(net.optimizer)
    again.optimizer.exclude_from_weight_decay(var_list=optimizers.undecayed(again.trainable_variables))
    for one in (net, again):
        one.fit(x, 3 * x, verbose=0)
    for left, right in zip(net.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_an_optimizer_of_another_network():
    plain = keras.optimizers.SGD(0.1)
    with pytest.raises(InputError, match="must know the rate of every variable. Received: .*stage1/kernel"):
        steps.extended(plain, factors={"other/kernel": 1.0}, starts={}).build(dense().trainable_variables)


def test_what_is_refused():
    with pytest.raises(
        InputError, match="must be one of Keras' SGD, RMSprop, Adam, Adadelta, Lion, or of .*Received: Adagrad"
    ):
        steps.extended(keras.optimizers.Adagrad(), factors={}, starts={})
    with pytest.raises(InputError, match=r"decay must be a finite number in \(0, 1\]. Received: decay=0"):
        rates.by_depth(dense(), 0)


def test_on_two_devices():
    """Their gradients are summed; rates and weight decay are those of the variable."""
    sums = tf.distribute.ReductionToOneDevice()  # TensorFlow's collective mixes up two models of one process
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=sums)
    with strategy.scope():
        net = dense()
        config = TrainConfig(momentum=0.0, nesterov=False, layer_decay=0.5, weight_decay=0.1)
        optimizer = optimizers.build(config, 0.5, net)
    strategy.run(tf.function(lambda: step(optimizer, 0.1, net.trainable_variables)))
    found = [net.get_layer(name).kernel.numpy().item() for name in ("head", "stage2", "stage1")]
    assert found == pytest.approx([1 - rate * (0.1 + 0.2) for rate in (0.5, 0.25, 0.125)], rel=1e-6)


@pytest.mark.after
def test_a_run_is_resumed(tmp_path, train, same_history):
    fields = {"layer_decay": 0.3, "weight_decay": 0.1, "schedule": "constant"}
    train(tmp_path / "whole", **fields)
    train(tmp_path / "run", **fields, epochs=2)
    assert train(tmp_path / "run", **fields).first_epoch == 2
    same_history(tmp_path / "whole" / "history.csv", tmp_path / "run" / "history.csv")
    with pytest.raises(InputError, match="another run: layer_decay was 0.3, now 0.4"):
        train(tmp_path / "run", **{**fields, "layer_decay": 0.4})

"""Clipping, L2 and accumulation against their formulas, on one device and on two; and what Keras' own get wrong."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.training import TrainConfig, optimizers, steps

RATE = 0.5
PLAIN = {"momentum": 0.0, "nesterov": False}


def network():
    """Two kernels, of which the second is the head, and a depthwise one."""
    net = keras.Sequential(
        [
            keras.Input((3, 3, 2)), keras.layers.Conv2D(3, 2, use_bias=False, name="stage1"),
            keras.layers.DepthwiseConv2D(2, name="stage2"), keras.layers.Flatten(),
            keras.layers.Dense(2, use_bias=False, name="head"),
        ]
    )  # fmt: skip
    draw = np.random.default_rng(0)
    for variable in net.trainable_variables:
        variable.assign(draw.normal(size=variable.shape))
    return net


def gradients(net, seed=1):
    draw = np.random.default_rng(seed)
    return [draw.normal(size=variable.shape).astype("float32") for variable in net.trainable_variables]


def moved(fields, seeds=(1,)):
    """[weights before - weights after] of a step of SGD without momentum, divided by the rate."""
    net = network()
    before = net.get_weights()
    optimizer = optimizers.build(TrainConfig(**PLAIN, **fields), RATE, net)
    for seed in seeds:
        given = [tf.constant(gradient) for gradient in gradients(net, seed)]
        optimizer.apply_gradients(list(zip(given, net.trainable_variables, strict=True)))
    return [(old - new) / RATE for old, new in zip(before, net.get_weights(), strict=True)]


def same(found, expected):
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


def test_by_the_norm_of_all_together():
    wanted = gradients(network())
    norm = np.sqrt(sum(np.sum(np.square(x)) for x in wanted))
    same(moved({"clip_norm": 0.5}), [x * 0.5 / norm for x in wanted])
    same(moved({"clip_norm": 100.0}), wanted)


def test_by_value():
    same(moved({"clip_value": 0.3}), [np.clip(x, -0.3, 0.3) for x in gradients(network())])


def test_adaptive_by_unit():
    """Brock et al. 2021, equation 3: a unit is one output channel, or a bias; the head is left alone."""
    net = network()
    conv, depthwise, bias, head = gradients(net)
    weights = [x.numpy() for x in net.trainable_variables]

    def clipped(gradient, weight, axes):
        largest = 0.1 * np.maximum(np.sqrt((weight**2).sum(axes, keepdims=True)), 1e-3)
        norm = np.sqrt((gradient**2).sum(axes, keepdims=True))
        return gradient * np.minimum(1, largest / norm)

    expected = [
        clipped(conv, weights[0], (0, 1, 2)), clipped(depthwise, weights[1], (0, 1)), clipped(bias, weights[2], (0,)),
        head,
    ]  # fmt: skip
    same(moved({"clip_adaptive": 0.1}), expected)
    assert np.abs(expected[0] - conv).max() > 0.1


def test_l2_of_what_is_decayed_after_clipping():
    net = network()
    pairs = zip(gradients(net), net.trainable_variables, strict=True)
    expected = [np.clip(x, -0.3, 0.3) + 0.2 * y.numpy() * (y.name != "bias") for x, y in pairs]
    same(moved({"clip_value": 0.3, "l2": 0.2}), expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_accumulated_batches_are_one_step(optimizer):
    """The mean gradient of three batches; between steps nothing moves, decay included; Adam counts steps."""

    def run(seeds, accumulate):
        net = network()
        config = TrainConfig(optimizer=optimizer, weight_decay=0.1, accumulate=accumulate)
        built, seen = optimizers.build(config, RATE, net), []
        for seed in seeds:
            given = [np.mean([gradients(net, s)[i] for s in np.atleast_1d(seed)], 0) for i in range(4)]
            built.apply_gradients([(tf.constant(x), y) for x, y in zip(given, net.trainable_variables, strict=True)])
            seen.append(net.get_weights())
        return seen

    several, one = run(range(6), 3), run([[0, 1, 2], [3, 4, 5]], 1)
    for index in (0, 1, 3, 4):
        same(several[index], network().get_weights() if index < 2 else one[0])
    same(several[2], one[0])
    same(several[5], one[1])


def test_the_rate_counts_batches():
    net = network()
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.25])
    optimizer = optimizers.build(TrainConfig(**PLAIN, accumulate=2), schedule, net)
    for _ in range(4):
        optimizer.apply_gradients([(tf.ones(x.shape), x) for x in net.trainable_variables])
    assert int(optimizer.iterations) == 2 and optimizers.last_rate(optimizer) == 0.25


def mirrored():
    sums = tf.distribute.ReductionToOneDevice()  # TensorFlow's collective mixes up two models of one process
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=sums)


def on_two_devices(make, batches=1):
    """The weights after steps whose gradients, 3 on the first device and 1 on the second, are summed."""
    strategy = mirrored()
    with strategy.scope():
        net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="head")])
        net.trainable_variables[0].assign([[10.0]])
        optimizer = make(net)

    @tf.function
    def step():
        device = tf.distribute.get_replica_context().replica_id_in_sync_group
        gradient = tf.where(tf.equal(device, 0), 3.0, 1.0)
        optimizer.apply_gradients([(tf.reshape(gradient, (1, 1)), net.trainable_variables[0])])

    for _ in range(batches):
        strategy.run(step)
    parts = strategy.experimental_local_results(net.trainable_variables[0].value)
    assert len({float(part.numpy()[0, 0]) for part in parts}) == 1
    return float(parts[0].numpy()[0, 0])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"clip_norm": 2.0}, 10 - RATE * 2),
        ({"clip_value": 3.5}, 10 - RATE * 3.5),
        ({"l2": 0.1}, 10 - RATE * (4 + 1)),
        ({"accumulate": 2}, 10 - RATE * 4),
        ({"accumulate": 2, "clip_norm": 2.0, "weight_decay": 0.1}, 10 * (1 - RATE * 0.1) - RATE * 2),
        ({"accumulate": 2, "optimizer": "lamb", "weight_decay": 0.1}, 10 - RATE * 10),
    ],
    ids=str,
)
def test_on_two_devices(fields, expected):
    batches = fields.get("accumulate", 1)
    config = TrainConfig(**{**PLAIN, **fields})
    found = on_two_devices(lambda net: optimizers.build(config, RATE, net), batches)
    assert found == pytest.approx(expected, rel=1e-5)


def test_keras_clips_the_devices_apart():
    found = on_two_devices(lambda net: keras.optimizers.SGD(RATE, global_clipnorm=2.0))
    assert found == pytest.approx(10 - RATE * 3)  # 2 + 1, where the gradient of the batch is 4 and its clip 2


def test_keras_cannot_accumulate_on_two_devices():
    with pytest.raises(RuntimeError, match="merge_call"):
        on_two_devices(lambda net: keras.optimizers.SGD(RATE, gradient_accumulation_steps=2), 2)


def test_loss_scaling_and_accumulation():
    net = network()
    config = TrainConfig(**PLAIN, accumulate=2, clip_norm=0.5, mixed_precision="float16")
    optimizer = optimizers.build(config, RATE, net)
    before, wanted = net.get_weights(), gradients(net)
    scale = optimizer.dynamic_scale.numpy()

    @tf.function
    def step(*given):
        optimizer.apply_gradients(list(zip(given, net.trainable_variables, strict=True)))

    step(*[tf.constant(x * scale) for x in wanted])
    same(net.get_weights(), before)
    step(*[tf.constant(x * scale) for x in wanted])
    norm = np.sqrt(sum(np.sum(np.square(x)) for x in wanted))
    same([(x - y) / RATE for x, y in zip(before, net.get_weights(), strict=True)], [x * 0.5 / norm for x in wanted])


def test_what_one_unit_is():
    axes = {"stage1/kernel": (0, 1, 2), "stage2/kernel": (0, 1), "stage2/bias": (0,)}
    assert steps.unit_axes(network()) == axes


@pytest.mark.after
def test_a_run_is_resumed_between_steps(tmp_path, train, same_history):
    """Four batches an epoch, three to a step: the sum of the fourth is in the checkpoint."""
    fields = {"accumulate": 3, "clip_norm": 1.0, "l2": 0.01, "optimizer": "adamw", "learning_rate": 0.01, "epochs": 2}
    train(tmp_path / "run", schedule="constant", **fields)
    shutil.copy(tmp_path / "run" / "history.csv", tmp_path / "whole.csv")
    (tmp_path / "run" / "checkpoints" / "epoch_0002.keras").unlink()
    assert train(tmp_path / "run", schedule="constant", **fields).first_epoch == 1
    same_history(tmp_path / "whole.csv", tmp_path / "run" / "history.csv")

"""Each optimizer against its formula, written out in NumPy with float64; and what Keras' own compute otherwise."""

import keras
import numpy as np
import pytest

from kerascnn.training import TrainConfig, optimizers, rules

GRADIENTS = np.random.default_rng(0).normal(size=(6, 3, 2)) * [1.0, 1e-3]  # large ones and small ones
START = np.random.default_rng(1).normal(size=(3, 2))
RATE, DECAY = 0.05, 0.1


def run(name, gradients=GRADIENTS, **fields):
    """A kernel [3, 2] and a bias [2] after each step, from START and 1."""
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    kernel, bias = net.trainable_variables
    kernel.assign(START)
    bias.assign(np.ones(2))
    optimizer = optimizers.build(TrainConfig(optimizer=name, **fields), RATE, net)
    seen = []
    for gradient in gradients:
        optimizer.apply_gradients([(keras.ops.convert_to_tensor(gradient.astype("float32")), kernel),
                                   (keras.ops.convert_to_tensor(gradient[0].astype("float32")), bias)])  # fmt: skip
        seen.append((kernel.numpy(), bias.numpy()))
    return seen


def check(seen, step, gradients=GRADIENTS, **tolerance):
    """step(weights, gradient, state, number of the step from 1, decayed) -> the new weights."""
    kernel, bias, states = START, np.ones(2), ({}, {})
    for number, (gradient, (found_kernel, found_bias)) in enumerate(zip(gradients, seen, strict=True), 1):
        kernel = step(kernel, gradient, states[0], number, True)
        bias = step(bias, gradient[0], states[1], number, False)
        np.testing.assert_allclose(found_kernel, kernel, **{"rtol": 2e-5, **tolerance})
        np.testing.assert_allclose(found_bias, bias, **{"rtol": 2e-5, **tolerance})


def adam(gradient, state, number, betas=(0.9, 0.999), epsilon=1e-8):
    for key, beta, value in (("m", betas[0], gradient), ("v", betas[1], gradient**2)):
        state[key] = beta * state.get(key, 0) + (1 - beta) * value
    m, v = state["m"] / (1 - betas[0] ** number), state["v"] / (1 - betas[1] ** number)
    return m / (np.sqrt(v) + epsilon)


def adamw(epsilon):
    def step(w, g, state, number, decayed):
        return w * (1 - RATE * DECAY * decayed) - RATE * adam(g, state, number, epsilon=epsilon)

    return step


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3])
def test_adamw(epsilon):
    check(run("adamw", weight_decay=DECAY, epsilon=epsilon), adamw(epsilon))


def test_keras_has_epsilon_elsewhere():
    """Beside the root of what is not corrected: Adam's "epsilon hat". For small gradients that is another step."""
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    keras_own = keras.optimizers.AdamW(RATE, weight_decay=0.0, epsilon=1e-3)
    net.trainable_variables[0].assign(START)
    gradient = np.full((3, 2), 1e-3, "float32")
    keras_own.apply_gradients([(keras.ops.convert_to_tensor(gradient), net.trainable_variables[0])])
    moved = START - net.trainable_variables[0].numpy()
    np.testing.assert_allclose(moved, RATE / (1 + 1 / np.sqrt(1 - 0.999)), rtol=1e-3)
    assert np.all(moved < 0.07 * RATE)  # where the papers' formula moves by RATE / 2
    (kernel, _), *_ = run("adamw", gradient[None].astype("float64"), epsilon=1e-3)
    np.testing.assert_allclose(START - kernel, RATE / 2, rtol=1e-3)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_of_tensorflow_1(momentum):
    def step(w, g, state, number, decayed):
        g = g + DECAY * w * decayed  # L2
        state["s"] = 0.9 * state.get("s", 1.0) + 0.1 * g**2
        state["m"] = momentum * state.get("m", 0.0) + RATE * g / np.sqrt(state["s"] + 1e-3)
        return w - state["m"]

    check(run("rmsprop_tf", momentum=momentum, nesterov=False, l2=DECAY), step)


def test_keras_begins_rmsprop_with_zeros():
    gradient = np.full((1, 3, 2), 0.5)
    (ours, _), *_ = run("rmsprop_tf", gradient, momentum=0.0, nesterov=False, epsilon=1e-7)
    (theirs, _), *_ = run("rmsprop", gradient, momentum=0.0, nesterov=False, epsilon=1e-7)
    np.testing.assert_allclose(START - ours, RATE * 0.5 / np.sqrt(0.9 + 0.1 * 0.25), rtol=1e-4)
    np.testing.assert_allclose(START - theirs, RATE / np.sqrt(0.1), rtol=1e-4)


def test_lamb():
    def step(w, g, state, number, decayed):
        update = adam(g, state, number, epsilon=1e-6)
        if not decayed:
            return w - RATE * update
        update = update + DECAY * w
        return w - RATE * np.linalg.norm(w) / np.linalg.norm(update) * update

    check(run("lamb", weight_decay=DECAY), step)
    # Keras decays beside the step, and scales the bias too.
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    net.trainable_variables[1].assign(np.ones(2))
    own = keras.optimizers.Lamb(RATE)
    own.apply_gradients([(keras.ops.ones(x.shape) * 0.1, x) for x in net.trainable_variables])
    assert net.trainable_variables[1].numpy() == pytest.approx(1 - RATE, rel=1e-4)  # |w| / |u| is 1 here by chance
    net.trainable_variables[1].assign(np.full(2, 3.0))
    own.apply_gradients([(keras.ops.ones(x.shape) * 0.1, x) for x in net.trainable_variables])
    assert net.trainable_variables[1].numpy() == pytest.approx(3 - 3 * RATE, rel=1e-4)


def test_lamb_of_weights_that_are_zero():
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    net.trainable_variables[0].assign(np.zeros((3, 2)))
    optimizer = rules.Lamb(RATE, weight_decay=DECAY)
    optimizer.apply_gradients([(keras.ops.ones((3, 2)), net.trainable_variables[0])])
    np.testing.assert_allclose(net.trainable_variables[0].numpy(), -RATE, rtol=1e-4)


def test_lion():
    """Chen et al. 2023, algorithm 2. Keras' own is right."""

    def step(w, g, state, number, decayed):
        m = state.get("m", 0.0)
        state["m"] = 0.99 * m + 0.01 * g
        return w * (1 - RATE * DECAY * decayed) - RATE * np.sign(0.9 * m + 0.1 * g)

    check(run("lion", weight_decay=DECAY), step)


def test_adadelta():
    """Zeiler 2012, algorithm 1. Keras' own is right."""

    def step(w, g, state, number, decayed):
        g = g + DECAY * w * decayed
        state["g"] = 0.9 * state.get("g", 0.0) + 0.1 * g**2
        move = np.sqrt(state.get("x", 0.0) + 1e-3) / np.sqrt(state["g"] + 1e-3) * g
        state["x"] = 0.9 * state.get("x", 0.0) + 0.1 * move**2
        return w - RATE * move

    check(run("adadelta", epsilon=1e-3, beta_2=0.9, l2=DECAY), step)


def test_sgd_with_l2_is_that_of_pytorch():
    def step(w, g, state, number, decayed):
        g = g + DECAY * w * decayed
        state["m"] = 0.9 * state.get("m", 0.0) + g
        return w - RATE * (g + 0.9 * state["m"])

    check(run("sgd", l2=DECAY), step)


def test_constants_that_a_recipe_gives():
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    found = optimizers.build(TrainConfig(optimizer="rmsprop_tf", epsilon=1.0, beta_2=0.8), 0.1, net)
    assert (found.rho, found.epsilon, found.momentum) == (0.8, 1.0, 0.9)
    found = optimizers.build(TrainConfig(optimizer="lion"), 0.1, net)
    assert (found.beta_1, found.beta_2) == (0.9, 0.99) and type(found) is keras.optimizers.Lion
    assert type(optimizers.build(TrainConfig(), 0.1, net)) is keras.optimizers.SGD

"""The rules by which weights and architectures move."""

import keras
import numpy as np
import tensorflow as tf

from kerascnn.search.one_shot.steps import Adam, Momentum

RNG = np.random.default_rng(0)
GRADIENTS = RNG.normal(size=(4, 2, 3)).astype("float32")


def test_momentum_by_hand():
    for nesterov in (False, True):
        w, buffer = np.ones((2, 3)), np.zeros((2, 3))
        variable, still = tf.Variable(np.ones((2, 3), "float32")), tf.Variable(np.ones(2, "float32"))
        rule = Momentum([variable, still], momentum=0.9, decay=0.1, nesterov=nesterov)
        for number, gradient in enumerate(GRADIENTS):
            penalized, rate = gradient + 0.1 * w, 0.1 / (1 + number)
            buffer = 0.9 * buffer + penalized
            w = w - rate * (0.9 * buffer + penalized if nesterov else buffer)
            rule.apply([tf.constant(gradient)], [variable], rate)
        np.testing.assert_allclose(variable, w, rtol=1e-5)
        np.testing.assert_allclose(rule.buffers[0], buffer, rtol=1e-5)
        assert np.array_equal(still, [1.0, 1.0]) and not np.any(rule.buffers[1])


def test_the_norm_of_all_gradients_together_is_clipped():
    pair = [tf.Variable([0.0]), tf.Variable([0.0, 0.0])]
    rule = Momentum(pair, momentum=0.0, clip=1.0)
    rule.apply([tf.constant([3.0]), tf.constant([0.0, 4.0])], pair, 1.0)
    np.testing.assert_allclose(pair[0], [-0.6], rtol=1e-6)
    np.testing.assert_allclose(pair[1], [0.0, -0.8], rtol=1e-6)


def test_adam_is_that_of_keras():
    ours, theirs = tf.Variable(np.ones((2, 3), "float32")), keras.Variable(np.ones((2, 3), "float32"))
    rule, other = Adam([ours], betas=(0.5, 0.999)), keras.optimizers.Adam(0.01, 0.5, 0.999, epsilon=1e-8)
    for gradient in GRADIENTS:
        rule.apply([tf.constant(gradient)], 0.01)
        other.apply([tf.constant(gradient)], [theirs])
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(theirs), rtol=1e-4)
    assert float(rule.count) == 4

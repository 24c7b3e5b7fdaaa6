"""Linear probes find the optimum of their objective, and nearest neighbors vote as the paper says."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.evaluation import linear_probe, nearest_neighbors, probes
from kerascnn.inference import Features

NAMES = ("a", "b", "c")


def made(count, seed, spread=1.0, names=NAMES, layer="head"):
    """Gaussian clouds around three points of 8 dimensions, and a feature that never varies."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(names), count)
    centers = 2 * np.random.default_rng(0).normal(size=(3, 8))
    values = centers[labels] + spread * rng.normal(size=(count, 8))
    return Features(np.c_[values, np.full(count, 7.0)].astype("float32"), labels, names, layer)


def test_the_optimum():
    """Keras' own gradient of the same objective is zero there."""
    train = made(60, 1)
    probe = linear_probe(train, made(40, 2), penalties=(1e-2,))
    kernel, bias = tf.Variable(probe.kernel), tf.Variable(probe.bias)
    with tf.GradientTape() as tape:
        x = tf.constant((train.values - probe.mean) / probe.deviation)
        losses = tf.keras.losses.sparse_categorical_crossentropy(train.labels, x @ kernel + bias, from_logits=True)
        loss = tf.reduce_mean(losses) + 1e-2 / 2 * tf.reduce_sum(kernel**2)
    for gradient in tape.gradient(loss, [kernel, bias]):
        assert np.abs(gradient).max() < 3e-5
    assert probe.penalty == 1e-2 and not probe.kernel[-1].any()
    assert probe.accuracy(made(200, 3)) > 0.9
    np.testing.assert_allclose(probe.logits(train.values), x @ kernel + bias, atol=1e-5)


def test_validation_chooses_the_penalty():
    train, validation = made(30, 1, spread=3.0), made(200, 2, spread=3.0)
    alone = {
        penalty: linear_probe(train, validation, penalties=(penalty,)).accuracy(validation)
        for penalty in probes.PENALTIES
    }
    chosen = linear_probe(train, validation)
    assert chosen.accuracy(validation) == pytest.approx(max(alone.values()), abs=0.006)
    assert len(set(alone.values())) > 1


def test_neighbors_vote_by_their_cosines():
    train, test = made(50, 1), made(30, 2)
    unit = [each.values / np.linalg.norm(each.values, axis=1, keepdims=True) for each in (train, test)]
    right = 0
    for one, label in zip(unit[1], test.labels, strict=True):
        cosines = unit[0] @ one
        votes = np.zeros(3)
        for index in np.argsort(-cosines)[:5]:
            votes[train.labels[index]] += np.exp(cosines[index] / 0.07)
        right += votes.argmax() == label
    assert nearest_neighbors(train, test, neighbors=5) == right / 30
    assert nearest_neighbors(train, train, neighbors=1) == 1


def test_what_is_refused():
    train = made(20, 1)
    with pytest.raises(InputError, match="one layer and one set of classes. Received: 9 of head and 9 of stage3"):
        linear_probe(train, made(20, 2, layer="stage3"))
    with pytest.raises(InputError, match="one layer and one set of classes"):
        nearest_neighbors(train, made(20, 2, names=("a", "b")))
    with pytest.raises(InputError, match="penalties must be positive"):
        linear_probe(train, train, penalties=(0,))
    with pytest.raises(InputError, match="There must be 21 training images or more. Received: 20"):
        nearest_neighbors(train, train, neighbors=21)

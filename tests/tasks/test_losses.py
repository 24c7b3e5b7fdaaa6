"""The smoothed cross-entropy against its formula and against Keras."""

import keras
import numpy as np
import pytest

from kerascnn.tasks.losses import SmoothedCrossentropy

rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(6, 4)).astype("float32") * 3
LABELS = np.array([0, 3, 1, 1, 2, 0])
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_formula_on_logits_and_probabilities(smoothing):
    target = (1 - smoothing) * np.eye(4)[LABELS] + smoothing / 4
    expected = -(target * np.log(PROBABILITIES)).sum(axis=1).mean()
    assert float(SmoothedCrossentropy(smoothing, from_logits=True)(LABELS, LOGITS)) == pytest.approx(expected, rel=1e-5)
    on_probabilities = SmoothedCrossentropy(smoothing, from_logits=False)
    assert float(on_probabilities(LABELS, PROBABILITIES)) == pytest.approx(expected, rel=1e-5)
    dense = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    assert float(dense(np.eye(4)[LABELS], LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_labels_with_an_axis_of_one():
    loss = SmoothedCrossentropy(0.1)
    assert float(loss(LABELS[:, None], LOGITS)) == float(loss(LABELS, LOGITS))


def test_saved_and_read():
    loss = SmoothedCrossentropy(0.3, from_logits=False)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert (again.smoothing, again.from_logits) == (0.3, False)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_device_without_examples_adds_nothing(smoothing):
    assert float(SmoothedCrossentropy(smoothing)(LABELS[:0], LOGITS[:0])) == 0

"""The smoothed cross-entropy against its formula and against Keras."""

import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.tasks import TASKS
from kerascnn.tasks.losses import BinaryCrossentropy, SmoothedCrossentropy

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


SOFT = np.random.default_rng(1).dirichlet(np.ones(4), 6).astype("float32")  # as mixing two images makes them


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_labels_are_those_of_keras(smoothing):
    dense = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    ours = SmoothedCrossentropy(smoothing)
    assert float(ours(SOFT, LOGITS)) == pytest.approx(float(dense(SOFT, LOGITS)), rel=1e-6)
    np.testing.assert_allclose(ours(np.eye(4)[LABELS], LOGITS), ours(LABELS, LOGITS), rtol=1e-6)
    on_probabilities = SmoothedCrossentropy(smoothing, from_logits=False)
    assert float(on_probabilities(SOFT, PROBABILITIES)) == pytest.approx(float(dense(SOFT, LOGITS)), rel=1e-5)
    assert float(ours(SOFT[:0], LOGITS[:0])) == 0


def test_a_model_trains_on_soft_labels(network):
    """As with class numbers, where each label is one class; the measures take the largest of a label."""
    images, numbers = np.random.default_rng(0).random((32, 8, 8, 1), "float32"), np.arange(32) % 10
    measured = []
    for labels in (numbers, np.eye(10, dtype="float32")[numbers]):
        model = network(batch_norm=False, dropout=0)
        model.set_weights([np.linspace(-1, 1, w.size, dtype="float32").reshape(w.shape) for w in model.get_weights()])
        task = TASKS["classification"]
        model.compile("sgd", task.loss(0.1, True), metrics=task.metrics(10), jit_compile=False)
        measured.append(model.fit(images, labels, batch_size=16, epochs=2, shuffle=False, verbose=0).history)
    assert set(measured[0]) == {"loss", "accuracy", "top5"}
    assert measured[0] == {name: pytest.approx(values, rel=1e-5) for name, values in measured[1].items()}


def test_a_softmax_is_looked_behind():
    """In a graph the loss of probabilities is that of their logits, however small a probability is."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Activation("softmax")])
    model.compile(loss=SmoothedCrossentropy(from_logits=False), jit_compile=False)
    x = np.array([[200.0, 0, 0], [0, 300, 0]], "float32")
    assert model.evaluate(x, np.array([1, 1]), verbose=0) == pytest.approx(100)
    assert float(SmoothedCrossentropy(0.0, False)(np.array([1]), np.array([[1.0, 0.0]]))) == pytest.approx(
        87.34, abs=0.01
    )


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


@pytest.mark.parametrize(("smoothing", "threshold"), [(0.0, 0.0), (0.1, 0.0), (0.1, 0.2)])
@pytest.mark.parametrize("labels", [LABELS, SOFT], ids=["numbers", "soft"])
def test_binary_cross_entropy(labels, smoothing, threshold):
    """Each class by itself; with one-hot labels and no smoothing it is Keras' own."""
    target = np.eye(4)[labels] if labels.ndim == 1 else labels
    target = (target > threshold).astype(float) if threshold else target
    target = (1 - smoothing) * target + smoothing / 4
    sigmoid = 1 / (1 + np.exp(-LOGITS.astype("float64")))
    expected = -(target * np.log(sigmoid) + (1 - target) * np.log(1 - sigmoid)).mean()
    loss = BinaryCrossentropy(smoothing, threshold)
    assert float(loss(labels, LOGITS)) == pytest.approx(expected, rel=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(again(labels, LOGITS)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(labels[:0], LOGITS[:0])) == 0
    if not smoothing and labels.ndim == 1:
        own = keras.losses.BinaryCrossentropy(from_logits=True)
        assert float(own(np.eye(4)[LABELS], LOGITS)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("made", [SmoothedCrossentropy, BinaryCrossentropy])
def test_all_of_a_label_cannot_be_smoothed_away(made):
    with pytest.raises(InputError, match=r"smoothing must be a finite number in \[0, 1\)"):
        made(1.0)


def test_where_there_is_no_binary_cross_entropy():
    with pytest.raises(InputError, match="loss=binary needs a network that ends in logits"):
        TASKS["classification"].loss(0.0, False, "binary")
    with pytest.raises(InputError, match="Segmentation is trained with loss=softmax. Received: loss=binary"):
        TASKS["segmentation"].loss(0.0, True, "binary")

"""Weights of classes: the rules, the losses beside PyTorch's, and a validation that does not see them."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from kerascnn import training
from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.tasks import TASKS
from kerascnn.tasks.losses import BinaryCrossentropy, PixelCrossentropy, SmoothedCrossentropy
from kerascnn.training import TrainConfig

COUNTS = np.array([40, 11, 3])
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "losses.json").read_text())  # tools/loss_peers.py
GIVEN = {name: np.array(value) for name, value in GOLDEN["inputs"].items()}
LOGITS, WEIGHTS = GIVEN["logits"].astype("float32"), GIVEN["weights"]


def test_rules():
    """scikit-learn's compute_class_weight("balanced") is n / (k n_c); the other is equation 10 of arXiv:1901.05555."""
    np.testing.assert_allclose(training.class_weights(COUNTS), 54 / (3 * COUNTS))
    assert np.dot(training.class_weights(COUNTS), COUNTS) == pytest.approx(54)
    for rule, beta in (("effective", 0.999), ("effective(0.9)", 0.9), ("effective(0.9999)", 0.9999)):
        inverse = (1 - beta) / (1 - beta**COUNTS)
        np.testing.assert_allclose(training.class_weights(COUNTS, rule), inverse * 3 / inverse.sum(), rtol=1e-9)
    near = training.class_weights(COUNTS, "effective(0.99999999)")
    np.testing.assert_allclose(near, (1 / COUNTS) * 3 / (1 / COUNTS).sum(), rtol=1e-6)
    assert training.class_weights(COUNTS, "1, 2.5,0") == training.class_weights(COUNTS, [1, 2.5, 0]) == (1.0, 2.5, 0.0)
    assert training.class_weights(COUNTS, "none") is None


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "even",
        "effective(1)",
        "effective(0)",
        "effective()0",
        "1,x",
        "1,-1",
        "nan,1",
        "inf,1",
        "0,0",
        [True, 1],
        3,
        [],
    ],
    ids=str,
)
def test_rules_that_are_none(rule):
    for refused in (lambda: training.class_weights([1, 2], rule), lambda: TrainConfig(class_weights=rule)):
        with pytest.raises(InputError, match="must be .*Received: "):
            refused()


def test_what_cannot_be_weighted():
    with pytest.raises(InputError, match="one number for each of the 3 classes. Received: class_weights='1.0,2.0'"):
        training.class_weights(COUNTS, [1, 2])
    with pytest.raises(InputError, match="given as numbers where class 1 has no example"):
        training.class_weights([4, 0, 1])
    assert training.class_weights([4, 0], "1,2") == (1, 2)
    with pytest.raises(InputError, match="counts must be whole numbers"):
        training.class_weights([4.5, 1])
    with pytest.raises(InputError, match="class_weights must be none, or numbers, where sampling=balanced"):
        TrainConfig(class_weights="effective(0.9)", sampling="balanced")
    assert TrainConfig(class_weights=(1, 2), sampling="balanced").class_weights == "1.0,2.0"
    with pytest.raises(InputError, match="class_weights must be one number for each of 4 outputs"):
        SmoothedCrossentropy(class_weights=[1, 2])(np.array([0]), LOGITS[:1])
    with pytest.raises(InputError, match="class_weights must be a finite number"):
        SmoothedCrossentropy(class_weights=[1, -2])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["numbers", "soft"])
def test_cross_entropy_beside_pytorch(kind, smoothing):
    """Each example's is PyTorch's; of class numbers PyTorch's mean is over the sum of weights, ours over examples."""
    loss = SmoothedCrossentropy(smoothing, class_weights=WEIGHTS, reduction=None)
    expected = GOLDEN[f"{kind} {smoothing}"]
    np.testing.assert_allclose(loss(GIVEN[kind], LOGITS), expected["each"], rtol=1e-5, atol=1e-6)
    mean = float(SmoothedCrossentropy(smoothing, class_weights=WEIGHTS)(GIVEN[kind], LOGITS))
    of_weights = WEIGHTS[GIVEN["numbers"]].sum() / len(LOGITS) if kind == "numbers" else 1
    assert mean == pytest.approx(expected["mean"] * of_weights, rel=1e-5)
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    on_probabilities = SmoothedCrossentropy(smoothing, from_logits=False, class_weights=WEIGHTS)
    assert float(on_probabilities(GIVEN[kind], probabilities)) == pytest.approx(mean, rel=1e-4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    np.testing.assert_array_equal(again(GIVEN[kind], LOGITS), loss(GIVEN[kind], LOGITS))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_pixels_beside_pytorch(smoothing):
    """Of each image the mean over the pixels that count."""
    each, counted = np.array(GOLDEN[f"masks {smoothing}"]["each"]), GIVEN["masks"] != 255
    assert not counted.all()
    loss = PixelCrossentropy(smoothing, class_weights=WEIGHTS, reduction=None)
    expected = [image[pixels].mean() for image, pixels in zip(each, counted, strict=True)]
    np.testing.assert_allclose(loss(GIVEN["masks"], GIVEN["maps"].astype("float32")), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["numbers", "soft"])
def test_binary_cross_entropy(kind):
    """The whole loss of an example by the weight of its class, of a soft label by the mean of weights."""
    plain = BinaryCrossentropy(0.1, 0.2, reduction=None)(GIVEN[kind], LOGITS)
    factors = WEIGHTS[GIVEN["numbers"]] if kind == "numbers" else GIVEN["soft"] @ WEIGHTS
    weighted = BinaryCrossentropy(0.1, 0.2, reduction=None, class_weights=WEIGHTS)
    np.testing.assert_allclose(weighted(GIVEN[kind], LOGITS), factors * plain, rtol=1e-6)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(weighted))
    np.testing.assert_array_equal(again(GIVEN[kind], LOGITS), weighted(GIVEN[kind], LOGITS))


def test_weights_of_one_change_nothing():
    for task, labels, outputs in (
        ("classification", GIVEN["numbers"], LOGITS),
        ("segmentation", GIVEN["masks"], GIVEN["maps"].astype("float32")),
    ):
        for kind in TASKS[task].losses:
            losses = [TASKS[task].loss(0.1, True, kind, class_weights=weights) for weights in (None, [1.0] * 4)]
            assert float(losses[0](labels, outputs)) == pytest.approx(float(losses[1](labels, outputs)), rel=1e-6)


@pytest.mark.parametrize("auxiliary", [False, True])
def test_a_validation_sees_no_weights(auxiliary):
    """`fit` minimizes the weighted loss, of auxiliary outputs too, and measures the plain one."""
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(4, name=name)(inputs) for name in ("main", "aux")]
    model = AuxiliaryModel(inputs, outputs, auxiliary_weights=[0.3]) if auxiliary else keras.Model(inputs, outputs[0])
    model.compile(keras.optimizers.SGD(0.0), SmoothedCrossentropy(class_weights=WEIGHTS), jit_compile=False)
    training.measure_unweighted(model)
    x, y = np.random.default_rng(0).random((6, 3), "float32"), GIVEN["numbers"]
    measured = model.fit(x, y, batch_size=6, validation_data=(x, y), verbose=0).history
    logits = [np.asarray(output) for output in keras.Model(inputs, outputs)(x)]
    each = [np.log(np.exp(z).sum(1)) - z[np.arange(6), y] for z in logits[: 1 + auxiliary]]
    weighted = sum(factor * (WEIGHTS[y] * loss).mean() for factor, loss in zip((1, 0.3), each, strict=False))
    assert measured["loss"][0] == pytest.approx(weighted, rel=1e-5)
    assert measured["val_loss"][0] == pytest.approx(each[0].mean(), rel=1e-5)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(each[0].mean(), rel=1e-5)


def test_a_model_whose_loss_does_not_know_the_phase():
    class Own(keras.Model):
        def compute_loss(self, x, y, y_pred, sample_weight=None):
            return super().compute_loss(x, y, y_pred, sample_weight)

    with pytest.raises(InputError, match="compute_loss of the model must take training"):
        training.measure_unweighted(Own())


def test_a_run_weights_its_training_loss_alone(tmp_path, train, source, network):
    """One step on what is also validated: with weights that are all 2 the training loss is twice the other."""
    same = dataclasses.replace(source, splits={**source.splits, "validation": source.split("train")})
    (row,) = train(
        tmp_path / "run", lambda: network(batch_norm=False, dropout=0), same, epochs=1, batch_size=64,
        learning_rate=1e-9, warmup_epochs=0.0, class_weights=[2] * 10,
    ).rows  # fmt: skip
    assert row["loss"] == pytest.approx(2 * row["val_loss"], rel=1e-4)

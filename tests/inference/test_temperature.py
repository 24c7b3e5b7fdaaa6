"""A predictor with a temperature against NumPy; calibration.json belongs to the weights that it was fitted for."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import inference
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.evaluation import evaluate, report_of
from kerascnn.inference import Predictor, temperature, with_temperature

LOGITS = np.random.default_rng(0).normal(size=(9, 1, 4, 1)).astype("float32") * 5
ONE = Preprocessing(mean=(0.0,), std=(1.0,))


def predictor(activation="softmax"):
    inputs = keras.Input((1, 4, 1))
    outputs = keras.layers.Activation(activation)(keras.layers.Flatten()(inputs))
    return Predictor.from_model(keras.Model(inputs, outputs), "abcd", preprocessing=ONE)


def softmax(values):
    shares = np.exp(values - values.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("activation", ["softmax", "linear"])
def test_the_logits_are_divided(activation):
    softer = with_temperature(predictor(activation), 2.5)
    np.testing.assert_allclose(softer.predict(LOGITS), softmax(LOGITS.reshape(9, 4) / 2.5), rtol=1e-5)
    np.testing.assert_allclose(softer.model.predict(LOGITS, verbose=0), softer.predict(LOGITS), rtol=1e-5)
    twice = with_temperature(with_temperature(predictor(activation), 5.0), 0.5)
    np.testing.assert_allclose(twice.predict(LOGITS), softer.predict(LOGITS), rtol=1e-4)
    labels = np.arange(9) % 4
    data = tf.data.Dataset.from_tensor_slices((LOGITS, labels)).batch(4)
    kept = evaluate(predictor(activation), data, answers=True).answers
    assert evaluate(softer, data).loss == pytest.approx(report_of(kept.with_temperature(2.5)).loss, rel=1e-5)


def test_without_a_model_the_probabilities_are_scaled():
    served = Predictor(tuple("abcd"), ONE, (1, 4, 1), "classification", predictor().function)
    np.testing.assert_allclose(
        with_temperature(served, 2.5).predict(LOGITS), softmax(LOGITS.reshape(9, 4) / 2.5), rtol=1e-4
    )


def test_it_is_kept_beside_the_weights_it_was_fitted_for(tmp_path):
    file = tmp_path / "best.keras"
    file.write_bytes(b"weights")
    run = Predictor.from_model(predictor().model, "abcd", preprocessing=ONE, path=file)
    with pytest.raises(InputError, match="has no calibration.json; kerascnn evaluate .* --calibrate"):
        inference.calibrated(run)
    path = temperature.keep(run, 2.5, {"split": "validation"})
    np.testing.assert_allclose(inference.calibrated(run).predict(LOGITS), with_temperature(run, 2.5).predict(LOGITS))
    file.write_bytes(b"others")
    with pytest.raises(InputError, match="fitted for other weights"):
        inference.calibrated(run)
    path.write_text(json.dumps({"temperature": "hot", "sha256": ""}))
    with pytest.raises(InputError, match="must have a temperature"):
        inference.calibrated(run)
    with pytest.raises(InputError, match="belongs to the checkpoint of a run"):
        inference.calibrated(predictor())


def test_what_cannot_be_scaled_is_refused():
    for value in (0, -1, float("nan"), "hot"):
        with pytest.raises(InputError, match="temperature must be"):
            with_temperature(predictor(), value)
    inputs = keras.Input((1, 1, 1))
    sigmoid = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(inputs)))
    with pytest.raises(InputError, match="ends in a softmax. Received: sigmoid"):
        with_temperature(Predictor.from_model(sigmoid, ["a"], preprocessing=ONE), 2.0)

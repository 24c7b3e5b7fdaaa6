"""Shortened trainings: what they see, what they give, and that they follow from their seed."""

import pickle

import keras
import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.search import Networks, run, spaces
from kerascnn.search.evaluators import Training
from kerascnn.search.strategies import RandomSearch

ROW = spaces.Row({"layers": 1, "filters": 4, "kernel": 3})


def nothing(candidate, input_shape, classes):
    """A network that always says the same class."""
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])
    kernel, bias = np.zeros((np.prod(input_shape), classes)), np.eye(classes)[candidate]
    model.layers[-1].set_weights([kernel, 50 * bias])
    return model


def infinite(candidate, input_shape, classes):
    """A network whose loss is no number."""
    model = nothing(0, input_shape, classes)
    model.layers[-1].set_weights([np.full((64, classes), np.nan), np.zeros(classes)])
    return model


def test_the_value_is_the_accuracy_on_the_validation_part():
    evaluator = Training("digits", build=nothing, learning_rate=1e-9, epochs=1, recipe="cifar")
    labels = np.asarray(data.load("digits").split("validation").numbers)
    result = evaluator(3, None, 0)
    assert result.value == pytest.approx((labels == 3).mean()) and result.value == result.metrics["accuracy"]
    assert result.cost["parameters"] == 650 and result.cost["macs"] == 640 and result.cost["train_seconds"] > 0


@pytest.mark.after
def test_it_learns_and_follows_from_its_seed():
    evaluator = Training("digits", build=Networks(), epochs=2, learning_rate=0.1, batch_size=16, augment="none")
    one, again, other = (evaluator(ROW, budget, seed) for budget, seed in ((None, 1), (2.2, 1), (1, 2)))
    assert one.value == again.value and one.metrics["loss"] != other.metrics["loss"]
    assert one.metrics["epochs"] == 2 and other.metrics["epochs"] == 1
    assert one.value > 0.2  # chance is 0.1


def test_it_stops_early():
    evaluator = Training("digits", build=nothing, learning_rate=1e-12, epochs=9, samples=32, early_stopping=1)
    assert evaluator(0, None, 0).metrics["epochs"] < 9


def test_a_loss_that_is_no_number_is_a_failed_candidate():
    result = Training("digits", build=infinite, epochs=3, samples=32)(0, None, 0)
    assert result.status == "not_finite" and not result.ok


@pytest.mark.after
def test_it_travels_to_a_process_without_the_data():
    evaluator = Training("digits", build=Networks(filters=2), epochs=1, samples=32)
    assert evaluator.source.sizes["train"] == 32
    copy = pickle.loads(pickle.dumps(evaluator))
    assert copy._source is None and copy.settings() == evaluator.settings()
    history = run(spaces.Choices({"layers": (1, 2)}), RandomSearch(), evaluator, budget=1, workers=1)
    assert history.trials[0].result.ok and history.trials[0].result.cost["macs"] > 0


@pytest.mark.parametrize("settings", [{"ema": 0.9}, {"schedule": "plateau"}, {"seed": 1}, {"freeze": "head"}])
def test_settings_of_whole_runs_are_refused(settings):
    with pytest.raises(InputError, match="is a setting of whole runs alone"):
        Training("digits", **settings)


def test_other_arguments_are_refused():
    with pytest.raises(InputError, match="build must be a function"):
        Training("digits", build=3)
    with pytest.raises(InputError, match="samples"):
        Training("digits", samples=0)

"""Double descent of trained networks, by width and by the length of training."""

import importlib

import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.small_networks import dense_network
from kerascnn.studies.trials import Draws, divided, pooled

module = importlib.import_module("kerascnn.studies.double_descent")
DIGITS = data.load("digits", limit=300)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"widths": (2, 32), "steps": 40, "checkpoints": 4, "batch_size": 30, "learning_rate": 0.01, "draws": 2,
         "held_out": 0.5}  # fmt: skip


def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    found = studies.double_descent(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(found.arrays["steps"], [1, 3, 12, 40])
    for name in ("train_error", "test_error"):
        error = found.arrays[name]
        assert error.shape == (2, 4, 2) and ((error >= 0) & (error <= 1)).all()
        assert (error[1, -1] < error[1, 0]).all()  # the large network has learned something
    assert (found.arrays["train_error"][1, -1] < found.arrays["train_error"][0, -1]).all()
    assert found.settings["images"] == 150 and found.settings["held_out"] == 150
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.double_descent(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["test_error"], found.arrays["test_error"])
    with pytest.raises(InputError, match="rows of another study: label_noise"):
        studies.double_descent(IMAGES, LABELS, **SMALL, label_noise=0.3, folder=tmp_path / "rows")


def test_only_training_labels_are_wrong_and_what_failed_is_no_number(monkeypatch):
    seen = []

    class Failing:
        def __init__(self, model, examples, *rest, **options):
            seen.append(examples)

        def steps(self, count):
            return np.full(count, np.nan)

    monkeypatch.setattr(module, "Trainer", Failing)
    found = studies.double_descent(IMAGES, LABELS, **SMALL, label_noise=0.3, pool=2)
    assert len(seen) == 4 and seen[0].shape == (4, 4, 1)
    for examples in seen:  # the same wrong labels for all
        np.testing.assert_array_equal(examples.labels, seen[0].labels)
        assert (examples.labels != LABELS[:150]).sum() == 45
        np.testing.assert_array_equal(examples.held_labels, LABELS[150:])
    assert np.isnan(found.arrays["test_error"]).all() and found.claims == {}


@pytest.mark.parametrize("classes, share, wrong", [(10, 0.2, 200), (2, 0.5, 500), (3, 0.0, 0), (5, 1.0, 1000)])
def test_wrong_labels(classes, share, wrong):
    labels = np.random.default_rng(1).integers(0, classes, 1000).astype("int32")
    before = labels.copy()
    found = module.wrong_labels(labels, classes, share, 7)
    assert (found != labels).sum() == wrong and found.dtype == labels.dtype
    assert found.min() >= 0 and found.max() < classes
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(found, module.wrong_labels(labels, classes, share, 7))
    if 0 < share < 1:
        assert (found != module.wrong_labels(labels, classes, share, 8)).any()
    if wrong:  # each other class is as likely
        turns = np.bincount((found - labels)[found != labels] % classes, minlength=classes)[1:]
        expected = wrong / (classes - 1)
        assert (abs(turns - expected) < 5 * np.sqrt(expected)).all()


def test_the_threshold_number_is_of_the_networks_parameters(monkeypatch):
    monkeypatch.setattr(module, "_errors", lambda model, trainer, examples, at: np.zeros((len(at), 2)))
    found = studies.double_descent(IMAGES, LABELS, **SMALL)
    for width, parameters, equations in zip(
        (2, 32), found.arrays["parameters"], found.arrays["equations"], strict=True
    ):
        model = dense_network((8, 8, 1), 10, Draws(0), (width,))
        assert model.count_params() == parameters and equations == 150 * 10 / parameters
    # Belkin et al.: 4,000 images of 784 pixels, ten classes: as many parameters as equations at a width of 50.3.
    crossing = (4000 * 10 - 10) / (784 + 1 + 10)
    assert round(crossing, 1) == 50.3


def test_the_network_is_what_numpy_computes():
    examples = divided(IMAGES, LABELS, 0.5)
    model = dense_network(examples.shape, 10, Draws(3), (5,))
    first, bias, second, last = (x.numpy().astype("float64") for x in model.trainable_variables)
    flat = examples.images.reshape(len(examples.images), -1)
    expected = np.maximum(flat @ first + bias, 0) @ second + last
    np.testing.assert_allclose(model(examples.images).numpy(), expected, atol=1e-4)


def test_pooling_takes_means_of_squares():
    images = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3).astype("uint8")
    found = pooled(images, 2)
    assert found.shape == (2, 2, 3, 3)
    assert found[1, 1, 2, 0] == pytest.approx(images[1, 2:4, 4:6, 0].mean())


def made_up():
    """Eight widths, four checkpoints, three draws; the threshold is the fifth."""
    final = np.array([0.5, 0.3, 0.25, 0.3, 0.35, 0.28, 0.24, 0.2])
    train = np.array([0.5, 0.3, 0.2, 0.05, 0.005, 0, 0, 0])
    shape = np.linspace(1, 0, 4)
    test_error, train_error = (0.9 * shape + x[:, None] * (1 - shape) for x in (final, train))
    test_error[4], train_error[4] = (0.9, 0.28, 0.3, 0.35), (0.9, 0.3, 0.1, 0.005)
    test_error[7], train_error[7] = (0.9, 0.26, 0.33, 0.2), (0.9, 0.3, 0.05, 0)
    arrays = {"widths": 2 ** np.arange(8), "test_error": test_error, "train_error": train_error}
    return {name: np.repeat(x[..., None], 3, axis=-1) if x.ndim > 1 else x for name, x in arrays.items()}


def test_claims_hold_for_two_descents():
    arrays = made_up()
    arrays["test_error"][..., 0] += 0.3  # one bad draw
    assert list(module._claims(arrays).values()) == [True] * 5


@pytest.mark.parametrize(
    "place, values, failing",
    [
        ((4, -1), 0.24, {0, 4}),  # no peak at the threshold: it goes down all the way
        ((7, -1), 0.27, {2}),  # better than at the threshold, but not than before
        ((7, -1), 0.4, {0, 1, 2, 3}),  # worst of all
        ((7, 2), 0.265, {3}),  # a rise that is too small to tell
        ((4, slice(1, 4)), (0.4, 0.36, 0.35), {4}),  # only ever falls
        ((7, slice(0, 2)), (0.26, 0.26), {3}),  # rises from the start
    ],
)
def test_claims_fail(place, values, failing):
    arrays = made_up()
    arrays["test_error"][place] = np.reshape(values, (-1, 1))
    if place == (4, -1):
        arrays["test_error"][3, -1] = 0.245
        arrays["test_error"][5, -1] = 0.23
        arrays["test_error"][4, 1:3] = [[0.27], [0.25]]
    claims = list(module._claims(arrays).values())
    assert {number for number, holds in enumerate(claims) if not holds} == failing


def test_a_peak_far_from_the_threshold_is_another():
    arrays = made_up()
    arrays["test_error"][6, -1] = 0.45
    assert not list(module._claims(arrays).values())[0]


def test_claims_of_what_has_failed_and_of_what_does_not_fit():
    arrays = made_up()
    arrays["test_error"][2, 3:, :2] = np.nan
    assert list(module._claims(arrays).values()) == [False] * 5
    arrays = made_up()
    arrays["train_error"] += 0.02  # nothing is fitted
    assert module._claims(arrays) == {}
    assert module._claims({name: x[4:] for name, x in made_up().items()}) == {}  # nothing below the threshold
    assert module._claims({name: x[:5] for name, x in made_up().items()}) == {}  # nothing above it


def test_jumps_of_a_random_network_are_no_descent():
    train, test = np.array([0.9, 0.8, 0.85, 0.4, 0.0]), np.array([0.9, 0.8, 0.85, 0.4, 0.3])
    assert not module._hump(train, test) and not module._rises(train, test)


@pytest.mark.parametrize(
    "options, told",
    [
        ({"widths": (8, 4)}, "widths must be ascending"), ({"widths": (0, 4)}, "widths"),
        ({"label_noise": 1.1}, "label_noise"), ({"pool": 0}, "pool"), ({"pool": 3}, "pool must divide the sides"),
        ({"steps": 0}, "steps"), ({"checkpoints": 0}, "checkpoints"), ({"batch_size": 151}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"), ({"draws": 0}, "draws"), ({"seed": -1}, "seed"),
        ({"held_out": 0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.double_descent(IMAGES, LABELS, **{**SMALL, **options})


def test_what_is_no_images_is_refused_as_such():
    with pytest.raises(InputError, match="images must be numbers"):
        studies.double_descent(IMAGES[0], LABELS, **{**SMALL, "pool": 2})

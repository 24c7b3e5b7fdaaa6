"""Ensembles against NumPy and the conditions of an optimum; greedy choice against trying all; soups."""

import itertools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.evaluation import (
    Answers,
    batches,
    combine,
    evaluate,
    fit_weights,
    greedy_soup,
    greedy_weights,
    plot_comparison,
    report_of,
    soup,
    soups,
)
from kerascnn.inference import Predictor, average_weights, estimate_statistics

rng = np.random.default_rng(5)
LABELS = rng.integers(0, 4, 300)


def member(skill, noise):
    logits = noise * rng.normal(size=(300, 4))
    logits[np.arange(300), LABELS] += skill
    return Answers.of(logits, LABELS, "abcd", logits=True)


MEMBERS = [member(2, 1.5), member(1.5, 1), member(0.2, 4), member(1.8, 2)]


def loss(weights):
    mean = sum(w * m.probabilities for w, m in zip(weights, MEMBERS, strict=True)) / sum(weights)
    return -np.log(mean[np.arange(300), LABELS]).mean()


def test_the_mean_is_that_of_the_probabilities():
    mean = np.mean([answers.probabilities for answers in MEMBERS], axis=0)
    np.testing.assert_allclose(combine(MEMBERS).probabilities, mean, rtol=1e-5)
    weights = [3, 0, 1, 2]
    report = report_of(combine(MEMBERS, weights))
    assert report.loss == pytest.approx(loss(weights), rel=1e-6)
    weighted = sum(w * m.probabilities for w, m in zip(weights, MEMBERS, strict=True))
    assert report.top1 == (weighted.argmax(axis=1) == LABELS).mean()


def test_no_weights_are_better_than_the_fitted_ones():
    """At the optimum the slope of each member with weight is 1, and of those without at most 1 (Kuhn and Tucker)."""
    weights = fit_weights(MEMBERS)
    assert weights.sum() == pytest.approx(1) and weights.min() >= 0
    true = np.stack([m.probabilities[np.arange(300), LABELS] for m in MEMBERS], axis=1)
    slopes = (true / (true @ weights)[:, None]).mean(axis=0)
    assert slopes.max() < 1 + 1e-6 and np.allclose(slopes[weights > 1e-3], 1, atol=1e-5)
    grid = [w for w in itertools.product(np.linspace(0, 1, 11), repeat=4) if abs(sum(w) - 1) < 1e-9]
    assert loss(weights) <= min(map(loss, grid)) + 1e-9
    assert loss(weights) < min(loss(row) for row in np.eye(4)) and loss(weights) < loss(np.ones(4))


@pytest.mark.parametrize("measure", ["loss", "accuracy"])
def test_greedy_choice_takes_the_best_each_time(measure):
    def score(counts):
        mean = sum(c * m.probabilities for c, m in zip(counts, MEMBERS, strict=True)) / sum(counts)
        wrong = (mean.argmax(axis=1) != LABELS).mean() if measure == "accuracy" else 0
        return wrong, -np.log(mean[np.arange(300), LABELS]).mean()

    counts, way = np.zeros(4), []
    for _ in range(8):
        tried = [counts + row for row in np.eye(4)]
        counts = min(tried, key=score)
        way.append(counts)
    expected = min(way, key=score)
    np.testing.assert_allclose(greedy_weights(MEMBERS, rounds=8, measure=measure), expected / expected.sum())


def test_impossible_answers_have_finite_weights():
    never = Answers.of([[1.0, 0.0]] * 4, [1, 1, 1, 0], "ab")
    some = Answers.of([[0.5, 0.5]] * 4, [1, 1, 1, 0], "ab")
    for weights in (fit_weights([never, some]), greedy_weights([never, some])):
        assert np.isfinite(weights).all() and weights[1] > 0.99


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: combine([]), "needs members"),
        (lambda: combine(MEMBERS, [1, 2]), "weights must be 4 numbers"),
        (lambda: combine(MEMBERS, [0, 0, 0, 0]), "weights must be"),
        (lambda: combine(MEMBERS, [1, 1, 1, -1]), "weights must be"),
        (lambda: fit_weights([MEMBERS[0], Answers.of([[1, 0]], [0], "ab")]), "same examples and classes"),
        (
            lambda: combine([Answers.of([[1, 0]], [0], "ab"), Answers.of([[1, 0]], [1], "ab")]),
            "same examples. Received: other labels",
        ),
        (lambda: greedy_weights(MEMBERS, rounds=0), "rounds must be"),
        (lambda: greedy_weights(MEMBERS, measure="f1"), "measure must be"),
    ],
)
def test_what_cannot_be_combined_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_the_comparison_is_drawn(tmp_path):
    reports = {"a" * 80: report_of(MEMBERS[0]), "ensemble: $mean": report_of(combine(MEMBERS))}
    plot_comparison(reports, tmp_path / "a.png", "title", strong=1)
    assert tf.io.decode_png((tmp_path / "a.png").read_bytes()).shape[1] > 600
    with pytest.raises(InputError, match="1 to 200 reports"):
        plot_comparison({}, tmp_path / "b.png")
    with pytest.raises(InputError, match="strong must be a whole number from 0 to 2"):
        plot_comparison(reports, tmp_path / "b.png", strong=3)


NAMES = [str(digit) for digit in range(10)]


def predictor(network, shift=0.0, activation="softmax", **options):
    keras.utils.set_random_seed(1)
    model = network(activation=activation, **options)
    model.set_weights([w + shift if w.dtype == np.float32 else w for w in model.get_weights()])
    return Predictor.from_model(model, NAMES, preprocessing=CIFAR, path=Path(f"run{shift}"))


def test_the_mean_of_weights(network):
    both = [predictor(network, shift) for shift in (0.0, 0.2)]
    before = [one.model.get_weights() for one in both]
    mean = average_weights(both)
    for value, *parts in zip(mean.model.get_weights(), *before, strict=True):
        if value.dtype == np.float32:
            np.testing.assert_allclose(value, np.mean(parts, axis=0), rtol=1e-6)
    for one, weights in zip(both, before, strict=True):
        assert all(map(np.array_equal, one.model.get_weights(), weights))
    images = rng.normal(size=(3, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(mean.predict(images), mean.model(images, training=False), rtol=1e-5)


def test_statistics_are_those_of_the_images(network, source):
    """In two batches of the first norm's inputs: exact. Dropout does nothing; momentum is as it was."""
    one = predictor(network, 0.1, dropout=0.9)
    model = one.model
    images = rng.normal(size=(30, 8, 8, 1)).astype("float32")
    kernels = [w.numpy().copy() for w in model.trainable_variables]
    assert estimate_statistics(model, [images[:20], images[20:]]) == 1
    (norm,) = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    into = keras.Model(model.inputs, norm.input).predict(images, verbose=0).reshape(-1, 6)
    np.testing.assert_allclose(norm.moving_mean, into.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, into.var(axis=0), rtol=1e-4)
    assert norm.momentum == 0.99 and all(map(np.array_equal, kernels, model.trainable_variables))
    with pytest.raises(InputError, match="Received: none"):
        estimate_statistics(model, [])
    assert estimate_statistics(network(batch_norm=False), []) == 0


def test_later_statistics_with_one_batch_are_exact():
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.BatchNormalization(name="one")(keras.layers.Conv2D(3, 3)(inputs))
    x = keras.layers.Dropout(0.9)(keras.layers.ReLU()(x))
    x = keras.layers.BatchNormalization(name="two")(keras.layers.Conv2D(4, 3)(x))
    model = keras.Model(inputs, x)
    images = rng.normal(size=(40, 6, 6, 1)).astype("float32") + 1
    assert estimate_statistics(model, [images]) == 2
    two = model.get_layer("two")
    into = keras.Model(inputs, two.input).predict(images, verbose=0).reshape(-1, 4)
    np.testing.assert_allclose(two.moving_mean, into.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(two.moving_variance, into.var(axis=0), rtol=1e-3)


@pytest.mark.after
def test_soups(network, train, source, tmp_path):
    from kerascnn import inference

    train(tmp_path / "a")
    epochs = [inference.checkpoint.load(tmp_path / f"a/checkpoints/epoch_000{epoch}.keras") for epoch in (2, 3)]
    mixed = soup(epochs, source, images=64, batch_size=64)
    plain = average_weights(epochs)
    batch, _ = data.train_pipeline(source, image_shape=(8, 8, 1), preprocessing=plain.preprocessing, batch_size=64)
    estimate_statistics(plain.model, [next(iter(batch))[0]])
    images = rng.normal(size=(3, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(mixed.predict(images), plain.predict(images), rtol=1e-4)

    good, told = epochs[1], []
    model = keras.models.clone_model(good.model)  # drawn anew
    bad = Predictor.from_model(model, good.class_names, preprocessing=good.preprocessing)
    found, members = greedy_soup([bad, good], source, images=64, batch_size=64, tell=told.append)
    accuracy = evaluate(good, batches(good, source, "validation")).top1
    assert members[0] == 1 and len(told) == 1
    assert evaluate(found, batches(found, source, "validation")).top1 >= accuracy


def test_a_soup_sees_no_more_images_than_were_allowed(network, source, monkeypatch):
    seen = []
    monkeypatch.setattr(soups, "estimate_statistics", lambda model, images: seen.extend(map(len, images)))
    soup([predictor(network)], source, images=10)
    soup([predictor(network)], source, images=50, batch_size=20)
    assert seen == [10, 20, 20]
    with pytest.raises(InputError, match="images must be a whole number, at least 1"):
        greedy_soup([predictor(network)], source, images=0)  # refused where there is nothing to average, too


def test_other_architectures_have_no_mean(network):
    one = predictor(network)
    for other, words in (
        (predictor(network, batch_norm=False), "one architecture. Received: tiny from run0.0 and tiny"),
        (Predictor.from_model(one.model, NAMES[::-1], preprocessing=CIFAR), "same class_names"),
        (Predictor(one.class_names, one.preprocessing, one.input_shape, one.task, one.function), "of Keras models"),
    ):
        with pytest.raises(InputError, match=words):
            average_weights([one, other])
    with pytest.raises(InputError, match="Received: none"):
        average_weights([])

"""Calibration against loops over the definitions, temperatures against a grid, intervals against their equation."""

import json

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import evaluation
from kerascnn._errors import InputError
from kerascnn.evaluation import (
    Answers,
    calibration,
    calibration_of,
    fit_temperature,
    plot_reliability,
    report_of,
    wilson,
)

rng = np.random.default_rng(3)
LOGITS = 3 * rng.normal(size=(400, 6))
LABELS = np.array([rng.choice(6, p=row) for row in np.exp(LOGITS / 2) / np.exp(LOGITS / 2).sum(1, keepdims=True)])
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
NAMES = tuple("abcdef")


def bins_by_definition(confidences, right, members):
    total = 0.0
    for inside in members:
        if inside:
            gap = np.mean([confidences[i] for i in inside]) - np.mean([right[i] for i in inside])
            total += len(inside) * abs(gap) / len(confidences)
    return total


def test_equal_to_the_definitions():
    found = calibration_of(SHARES, LABELS)
    confidences, right = SHARES.max(axis=1), SHARES.argmax(axis=1) == LABELS
    width = [[i for i in range(400) if m / 15 < confidences[i] <= (m + 1) / 15] for m in range(15)]
    ranked = list(np.argsort(confidences))
    mass = [ranked[start : start + 40] for start in range(0, 400, 40)]
    assert found.ece == pytest.approx(bins_by_definition(confidences, right, width), rel=1e-9)
    tenths = calibration_of(SHARES, LABELS, bins=10)
    assert tenths.ece_mass == pytest.approx(bins_by_definition(confidences, right, mass), rel=1e-9)
    assert [part.examples for part in tenths.mass] == [40] * 10 and sum(part.examples for part in found.width) == 400
    assert found.mce == pytest.approx(max(abs(confidences[i].mean() - right[i].mean()) for i in width if i))
    brier = np.mean([sum((SHARES[i, k] - (k == LABELS[i])) ** 2 for k in range(6)) for i in range(400)])
    assert found.brier == pytest.approx(brier, rel=1e-9)
    assert found.loss == pytest.approx(-np.mean([np.log(SHARES[i, LABELS[i]]) for i in range(400)]), rel=1e-9)
    assert found.accuracy == right.mean() and found.confidence == pytest.approx(confidences.mean())


def test_the_ends_of_the_bins():
    """A confidence on an edge belongs below it, and 0 to the first bin."""
    found = calibration_of([[0.5, 0.5], [1.0, 0.0], [0.75, 0.25]], [0, 0, 1], bins=4)
    assert [(part.low, part.high, part.examples) for part in found.width] == [
        (0.25, 0.5, 1),
        (0.5, 0.75, 1),
        (0.75, 1, 1),
    ]
    assert found.ece == pytest.approx((0.5 + 0.75 + 0) / 3)


def test_the_report_of_evaluate_has_it():
    answers = Answers.of(LOGITS, LABELS, NAMES, logits=True)
    report, found = report_of(answers), calibration_of(SHARES, LABELS)
    assert report.calibration.ece == pytest.approx(found.ece, rel=1e-5)
    assert report.calibration.brier == pytest.approx(found.brier, rel=1e-5)
    assert report.loss == report.calibration.loss == pytest.approx(found.loss, rel=1e-6)
    record = json.loads(json.dumps(report.to_dict()))
    assert record["calibration"]["ece"] == report.calibration.ece and len(record["top1_interval"]) == 2
    assert sum(part["examples"] for part in record["calibration"]["bins"]) == 400
    confusion = report.confusion
    assert record["precision"][2] == pytest.approx(confusion[2, 2] / confusion[:, 2].sum())


def test_the_temperature_is_the_best_of_a_fine_grid(monkeypatch):
    answers = Answers.of(LOGITS, LABELS, NAMES, logits=True)
    found = fit_temperature(answers)
    monkeypatch.setattr(calibration, "_ROWS", 128)  # several pieces, the last smaller
    assert fit_temperature(answers) == pytest.approx(found, rel=1e-9)
    assert 1.6 < found < 2.5  # the labels were drawn at 2

    def loss(temperature):
        scaled = LOGITS / temperature
        return (np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(400), LABELS]).mean()

    grid = np.linspace(1, 4, 3001)
    best = grid[np.argmin([loss(value) for value in grid])]
    assert found == pytest.approx(best, abs=1e-3)
    assert loss(found) <= min(map(loss, grid)) + 1e-12
    scaled = report_of(answers.with_temperature(found))
    assert scaled.loss == pytest.approx(loss(found), rel=1e-6)
    np.testing.assert_array_equal(scaled.confusion, report_of(answers).confusion)
    assert fit_temperature(answers.with_temperature(found)) == pytest.approx(1, rel=1e-5)


def test_a_temperature_has_limits():
    right = Answers.of(10 * np.eye(3), np.arange(3), "abc", logits=True)
    assert fit_temperature(right) == evaluation.COLDEST
    wrong = Answers.of(10 * np.eye(3), (np.arange(3) + 1) % 3, "abc", logits=True)
    assert fit_temperature(wrong) == evaluation.HOTTEST


@pytest.mark.parametrize("right, count", [(0, 10), (10, 10), (3, 10), (9500, 10000), (1, 1)])
def test_wilson_solves_its_equation(right, count):
    """The ends are the shares p of which `right / count` is 1.96 deviations sqrt(p (1 - p) / n) away."""
    low, high = wilson(right, count)
    assert 0 <= low <= right / count <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            deviation = np.sqrt(end * (1 - end) / count)
            assert abs(right / count - end) == pytest.approx(1.959963984540054 * deviation, rel=1e-9)


def test_the_diagram_is_drawn(tmp_path):
    found = calibration_of(SHARES, LABELS)
    plot_reliability(found, tmp_path / "one.png", "a $title")
    plot_reliability({"before": found, "after": found}, tmp_path / "two.png")
    sizes = [tf.io.decode_png((tmp_path / name).read_bytes()).shape[1] for name in ("one.png", "two.png")]
    assert sizes[0] < sizes[1] < 2000
    with pytest.raises(InputError, match="1 to 4 calibrations"):
        plot_reliability({}, tmp_path / "none.png")


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: calibration_of([[0.5, 0.6]], [0]), "must be probabilities"),
        (lambda: calibration_of([[0.5, 0.5]], [2]), r"in \[0, 2\)"),
        (lambda: calibration_of([0.5, 0.5], [0, 1]), "outputs"),
        (lambda: calibration_of(SHARES, LABELS, bins=0), "bins must be"),
        (lambda: Answers.of([[np.nan, 1]], [0], "ab", logits=True), "finite"),
        (lambda: Answers.of(np.zeros([0, 2]), np.zeros([0], int), "ab"), "n at least 1"),
        (lambda: Answers.of([[1, 0]], ["a"], "ab"), "Labels must be whole numbers in .0, 2.. Received: <U1"),
        (lambda: Answers.of([[1, 0]], [0], "ab").with_temperature(0), "temperature must be a finite number in .0"),
        (lambda: wilson(5, 4), "right must be"),
        (lambda: wilson(1, 4, 1.0), "level must be"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()

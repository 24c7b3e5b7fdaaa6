"""Accepted labels against the definition; the forms of their files; and the picture of the classes."""

import json

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.evaluation import Answers, accepted_report, plot_classes, read_accepted, report_of, wilson

rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(60, 8))
LABELS = rng.integers(0, 8, 60)
ANSWERS = Answers.of(LOGITS, LABELS, "abcdefgh", logits=True)


def test_any_accepted_label_is_right():
    accepted = [tuple(rng.choice(8, rng.integers(0, 4), replace=False)) for _ in range(60)]
    found = accepted_report(ANSWERS, accepted)
    known = [i for i in range(60) if accepted[i]]
    assert found.examples == len(known) and found.left_out == 60 - len(known) > 0
    assert found.top1 == pytest.approx(np.mean([LOGITS[i].argmax() in accepted[i] for i in known]))
    five = [set(np.argsort(-LOGITS[i])[:5]) for i in range(60)]
    assert found.top5 == pytest.approx(np.mean([bool(five[i] & set(accepted[i])) for i in known]))
    assert found.labels == pytest.approx(np.mean([len(accepted[i]) for i in known]))
    assert found.interval == wilson(round(found.top1 * len(known)), len(known))
    json.dumps(found.to_dict())
    own = accepted_report(ANSWERS, [[label] for label in LABELS])
    assert own.top1 == report_of(ANSWERS).top1 and own.top5 == report_of(ANSWERS).top5


NAMES = ["x/1.png", "x/2.png", "y/1.png"]


@pytest.mark.parametrize(
    "name, contents",
    [
        ("a.json", json.dumps({"x/1.png": [0, "c"], "2.png": [], "y/1.png": ["7"], "other": [1]})),
        ("a.json", json.dumps([[2, 0, 0], [], [7]])),
        ("a.csv", "name,labels\nx/1.png,a,2\n2.png\ny/1.png,h\n"),
        ("a.csv", "\ufeffx/1.png,a\nx/1.png,c\n2.png,\ny/1.png,7"),
    ],
)
def test_forms_of_files(tmp_path, name, contents):
    (tmp_path / name).write_text(contents, encoding="utf-8")
    assert read_accepted(tmp_path / name, NAMES, "abcdefgh") == [(0, 2), (), (7,)]


def test_the_list_of_real_is_by_the_numbers_of_imagenet(tmp_path):
    (tmp_path / "real.json").write_text("[[1], [2, 3], []]")
    names = ["n02/ILSVRC2012_val_00000003.JPEG", "n01/ILSVRC2012_val_00000002.JPEG"]
    assert read_accepted(tmp_path / "real.json", names, "abcd") == [(), (2, 3)]
    with pytest.raises(InputError, match="one entry an image. Received: 3 for 1"):  # they count from 1
        read_accepted(tmp_path / "real.json", ["n01/ILSVRC2012_val_00000000.JPEG"], "abcd")


def test_a_class_that_is_called_by_a_number(tmp_path):
    (tmp_path / "a.json").write_text('[["1"], [1], ["0"]]')
    assert read_accepted(tmp_path / "a.json", NAMES, ["1", "2", "3"]) == [(0,), (1,), (0,)]


@pytest.mark.parametrize(
    "name, contents, words",
    [
        ("a.json", "{", "no JSON"),
        ("a.json", "3", "must be lists"),
        ("a.json", '{"x/1.png": 3}', "must be lists"),
        ("a.json", "[[1], [2]]", "one entry an image. Received: 2 for 3"),
        ("a.json", '{"x/1.png": [0]}', "none for x/2.png"),
        ("a.json", '{"1.png": [0], "2.png": [0]}', "none for x/1.png"),
        ("a.json", "[[1], [8], [1]]", "a number below 8. Received: '8'"),
        ("a.json", "[[1], [-1], [1]]", "a number below 8"),
        ("a.json", "[[1], [true], [1]]", "a number below 8"),
        ("a.json", '[[1], ["zebra"], [1]]', "Received: 'zebra'"),
        ("a.csv", "x/1.png,a", "none for x/2.png"),
        ("none.json", None, "there is none"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, name, contents, words):
    if contents is not None:
        (tmp_path / name).write_text(contents)
    with pytest.raises(InputError, match=words):
        read_accepted(tmp_path / name, NAMES, "abcdefgh")


@pytest.mark.parametrize(
    "accepted, words",
    [([[0]], "1 for 60"), ([[9]] * 60, r"in \[0, 8\)"), ([[1.0]] * 60, r"in \[0, 8\)"), ([[]] * 60, "Received: none")],
)
def test_what_does_not_fit_is_refused(accepted, words):
    with pytest.raises(InputError, match=words):
        accepted_report(ANSWERS, accepted)


@pytest.mark.parametrize("classes", [2, 120])
def test_the_classes_are_drawn(tmp_path, classes):
    logits, labels = rng.normal(size=(300, classes)), rng.integers(0, classes, 300)
    names = [f"$class {number}" for number in range(classes)]
    plot_classes(report_of(Answers.of(logits, labels, names, logits=True)), tmp_path / "a.png", "a title")
    assert (tf.io.decode_png((tmp_path / "a.png").read_bytes()).shape[0] > 1000) == (classes > 60)

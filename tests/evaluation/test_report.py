"""evaluate against NumPy, and what it refuses."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.evaluation import Report, evaluate, plot_confusion, plot_examples
from kerascnn.inference import Predictor

NAMES = tuple("abcdefg")
rng = np.random.default_rng(1)
LOGITS = rng.normal(size=(23, 7)).astype("float32") * 2
LABELS = rng.integers(0, 7, 23)


def echo(classes=7, activation=None):
    """A model that gives its input as its output."""
    inputs = keras.Input((1, 1, classes))
    return keras.Model(inputs, keras.layers.Activation(activation)(keras.layers.Flatten()(inputs)))


def batches(outputs, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((outputs[:, None, None], labels)).batch(8)


def test_equals_numpy_on_probabilities_and_on_logits():
    report = evaluate(echo(activation="softmax"), batches(LOGITS), NAMES)
    probabilities = np.exp(LOGITS.astype("float64"))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    order = np.argsort(-LOGITS, axis=1)
    assert report.top1 == pytest.approx((order[:, 0] == LABELS).mean())
    assert report.top5 == pytest.approx((order[:, :5] == LABELS[:, None]).any(axis=1).mean())
    assert report.loss == pytest.approx(-np.log(probabilities[np.arange(23), LABELS]).mean(), rel=1e-6)
    assert report.confusion.dtype == np.int64 and report.examples == 23
    for true in range(7):
        for predicted in range(7):
            assert report.confusion[true, predicted] == ((LABELS == true) & (order[:, 0] == predicted)).sum()
    again = evaluate(echo(), batches(LOGITS), NAMES, logits=True)
    assert again.loss == pytest.approx(report.loss, rel=1e-6) and again.top5 == report.top5
    np.testing.assert_array_equal(again.confusion, report.confusion)


def test_a_constant_output_is_not_five_times_right():
    assert evaluate(echo(), batches(np.full((23, 7), 1 / 7, "float32")), NAMES, logits=False).top5 == 0


def test_few_classes_have_no_top5():
    ones = np.eye(3, dtype="float32")
    report = evaluate(echo(3), batches(ones, np.arange(3)), "abc", logits=False)
    assert (report.top1, report.top5, report.loss) == (1.0, None, 0.0)


def test_impossible_predictions_have_a_finite_loss():
    report = evaluate(echo(3), batches(np.eye(3, dtype="float32"), np.array([1, 2, 0])), "abc", logits=False)
    assert report.top1 == 0 and 80 < report.loss < 100


@pytest.mark.parametrize(
    "outputs, labels, words",
    [
        (np.where(np.arange(23)[:, None] < 2, np.nan, np.full((23, 7), 1 / 7)), LABELS, "NaN or infinity for 2 of 23"),
        (np.full((23, 7), 0.5), LABELS, "must be probabilities.*sum 3.5"),
        (np.full((23, 6), 1 / 6), LABELS, "7 outputs, one per class. Received: \\(6,\\)"),
        (np.full((23, 7), 1 / 7), LABELS + 7, r"Labels must be in \[0, 7\). Received: "),
    ],
)
def test_what_cannot_be_measured(outputs, labels, words):
    with pytest.raises(InputError, match=words):
        evaluate(echo(outputs.shape[1]), batches(outputs.astype("float32"), labels), NAMES, logits=False)


def test_images_of_another_shape():
    data = tf.data.Dataset.from_tensor_slices((np.zeros((4, 2, 2, 7), "float32"), np.zeros(4, int))).batch(2)
    with pytest.raises(InputError, match=r"shape \(1, 1, 7\). Received: \(2, 2, 7\)"):
        evaluate(echo(), data, NAMES, logits=True)
    with pytest.raises(InputError, match="without examples"):
        evaluate(echo(), data.filter(lambda x, y: False).map(lambda x, y: (x[:, :1, :1], y)), NAMES, logits=True)


def report_of(confusion):
    names = tuple(rf"class number {index} $\frac$" for index in range(len(confusion)))
    return Report(top1=0.5, top5=0.9, loss=1.0, confusion=np.asarray(confusion, np.int64), class_names=names)


def test_recall_mistakes_and_json():
    report = report_of([[3, 1, 0], [0, 0, 0], [2, 2, 4]])
    np.testing.assert_array_equal(report.recall, [0.75, np.nan, 0.5])
    assert report.confused() == [(2, 0, 2), (2, 1, 2), (0, 1, 1)]
    assert report.confused(1) == [(2, 0, 2)]
    with pytest.raises(InputError, match="count must be a whole number, at least 0"):
        report.confused(-1)
    record = json.loads(json.dumps(report.to_dict()))
    assert record["recall"] == [0.75, None, 0.5] and record["confusion"][2] == [2, 2, 4] and record["examples"] == 12


@pytest.mark.parametrize("classes", [2, 10, 120])
def test_the_picture_grows_with_the_classes(tmp_path, classes):
    confusion = np.diag(np.full(classes, 90)) + rng.integers(0, 3, (classes, classes))
    plot_confusion(report_of(confusion), tmp_path / "confusion.png", "a title")
    image = tf.io.decode_png((tmp_path / "confusion.png").read_bytes())
    assert image.shape[0] > (600 if classes < 20 else 1500) and image.shape[0] < 3000
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.png"]


def test_examples_are_kept_and_drawn(tmp_path):
    """The network says what the first three pixels are; two of the five labels are others."""
    inputs = keras.Input((1, 3, 1))
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.Flatten()(inputs)))
    half = Preprocessing(mean=(0.5,), std=(0.5,))
    names = ("a", "[b]", "$c")
    logits = np.array([[1, 0, -1], [0, 1, 0], [1, 0, 0], [0, 0, 2], [0, 1, -1]], "float32")
    data = tf.data.Dataset.from_tensor_slices((logits[:, None, :, None], [0, 0, 0, 1, 1])).batch(2)
    predictor = Predictor.from_model(model, names, preprocessing=half)
    report = evaluate(predictor, data, keep=4)
    assert [example.index for example in report.first] == [0, 1, 2, 3]
    assert [(example.index, example.true, example.predicted) for example in report.worst] == [(3, 1, 2), (1, 0, 1)]
    np.testing.assert_array_equal(report.first[0].image[0, :, 0], [255, 128, 0])
    assert report.first[0].share == pytest.approx(np.exp(1) / np.exp([1, 0, -1]).sum())
    assert [example.index for example in evaluate(predictor, data, keep=1).worst] == [3]
    assert not evaluate(predictor, data).first and "first" not in report.to_dict()
    plot_examples(report.first, names, tmp_path / "a.png", "first_$ones")
    assert 200 < tf.io.decode_png((tmp_path / "a.png").read_bytes()).shape[1] < 1000
    with pytest.raises(InputError, match="example to draw"):
        plot_examples([], names, tmp_path / "b.png")
    with pytest.raises(InputError, match="for a Predictor alone"):
        evaluate(model, data, names, keep=1)

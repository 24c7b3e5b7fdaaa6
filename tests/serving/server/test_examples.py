"""tf.Examples for signatures that classify or regress, and what those answer."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn.serving.server.examples import classifications, regressions, serialized
from kerascnn.serving.server.status import Refusal


def objects(*rows):
    return np.array(rows, object)


def test_examples_have_the_features_of_their_context():
    examples = [{"a": ("float", [1.5]), "b": ("bytes", [b"\xff"])}, {"e": ("", [])}]
    values = serialized(examples, {"c": ("int64", [7, -1]), "a": ("float", [9.0])})
    first, second = (tf.train.Example.FromString(value).features.feature for value in values)
    assert first["a"].float_list.value == [1.5]  # its own wins
    assert first["b"].bytes_list.value == [b"\xff"] and first["c"].int64_list.value == [7, -1]
    assert second["a"].float_list.value == [9.0] and second["e"].WhichOneof("kind") is None


def test_classes_scores_or_both():
    classes, scores = objects([b"a", b"\xff"]), np.float32([[0.25, 0.75]])
    assert classifications({"classes": classes, "scores": scores}, 1) == [[("a", 0.25), ("\ufffd", 0.75)]]
    assert classifications({"classes": classes}, 1) == [[("a", 0.0), ("\ufffd", 0.0)]]
    assert classifications({"scores": scores}, 1) == [[("", 0.25), ("", 0.75)]]


@pytest.mark.parametrize(
    "outputs, message",
    [
        ({"scores": np.float32([1])}, r"Expected Tensor shape: \[batch_size num_classes\] but got \[1\]"),
        ({"scores": np.float64([[1]])}, "Expected scores Tensor of DT_FLOAT. Got: double"),
        ({"classes": np.float32([[1]])}, "Expected classes Tensor of DT_STRING. Got: float"),
        ({"scores": np.float32([[1], [2]])}, "Expected scores output batch size of 1. Got: 2"),
        ({"scores": np.float32([[1, 2]]), "classes": objects([b"a"])}, r"match in dim_size\(1\). Got 1 vs. 2"),
    ],
)
def test_outputs_that_classify_nothing(outputs, message):
    with pytest.raises(Refusal, match=message):
        classifications(outputs, 1)


def test_regressions():
    assert (
        regressions({"outputs": np.float32([1, 2])}, 2) == regressions({"outputs": np.float32([[1], [2]])}, 2) == [1, 2]
    )
    for array, message in (
        (np.float32([[1, 2]]), r"shape to be either \[batch_size\] or \[batch_size, 1\] but got \[1,2\]"),
        (np.float32([1, 2, 3]), "Input batch size did not match output batch size: 1 vs. 3"),
        (np.float64([1]), "Expected output Tensor of DT_FLOAT. Got: double"),
    ):
        with pytest.raises(Refusal, match=message):
            regressions({"outputs": array}, 1)

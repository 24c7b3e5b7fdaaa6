"""Answers in JSON, as TensorFlow Serving writes numbers, bytes, names and errors."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerascnn.serving.server import json_output
from kerascnn.serving.server.status import Refusal

NAN, INF = math.nan, math.inf
WRITTEN = [
    (np.float32([0.2, 2.5, 3, 9e6, 3e-5, 16777217]), "[0.2, 2.5, 3.0, 9e+06, 3e-05, 16777216.0]"),
    (np.float32([1 / 3, 0.1 + 1e-7]), "[0.333333343, 0.100000098]"),
    (np.float64([1 / 3, 0.1, 1e300, -0.0]), "[0.33333333333333331, 0.1, 1e+300, -0.0]"),
    (np.float32([NAN, INF, -INF]), "[NaN, Infinity, -Infinity]"),
    (np.array([2**63 - 1, -(2**63)]), "[9223372036854775807, -9223372036854775808]"),
    (np.array([2**64 - 1], np.uint64), "[18446744073709551615]"),
    (np.uint8([[0, 255], [1, 2]]), "[[0, 255], [1, 2]]"),
    (np.array([True, False]), "[true, false]"),
    (np.array([b'a"\n', "é".encode(), b"\xff"], object), '["a\\"\\n", "é", "\ufffd"]'),
    (np.zeros((2, 0, 3), np.int8), "[[], []]"),
    (np.zeros((1, 2, 0)), "[[[], []]]"),
]


@pytest.mark.parametrize("array, text", WRITTEN)
def test_answers_in_both_formats(array, text):
    assert json_output.predictions({"y": array}) == '{"predictions": ' + text + "}"
    assert json_output.columns({"y": array}) == '{"outputs": ' + text + "}"


def test_named_outputs_bytes_and_scalars():
    outputs = {"b": np.float32([1, 2]), "a_bytes": np.array([b"\0\xff", b""], object)}
    assert json.loads(json_output.predictions(outputs)) == {
        "predictions": [{"a_bytes": {"b64": "AP8="}, "b": 1.0}, {"a_bytes": {"b64": ""}, "b": 2.0}]
    }
    assert json.loads(json_output.columns(outputs)) == {
        "outputs": {"a_bytes": [{"b64": "AP8="}, {"b64": ""}], "b": [1.0, 2.0]}
    }
    assert json_output.columns({"y": np.float32(3)}) == '{"outputs": 3.0}'
    for bad, message in (
        ({"y": np.float32(3)}, "Tensor name: y has no shape information "),
        ({"a": np.zeros(2), "y": np.zeros(3)}, "Tensor name: y has inconsistent batch size: 3 expecting: 2"),
        ({"y": np.zeros(2, np.float16)}, "Failed to write JSON value for tensor type: half"),
        ({}, "Cannot convert empty tensor map to JSON"),
    ):
        with pytest.raises(Refusal, match=message):
            json_output.predictions(bad)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_a_float_is_read_back_as_it_was(values):
    array = np.float32(values)
    got = json.loads(json_output.predictions({"y": array}))["predictions"]
    np.testing.assert_array_equal(np.float32(got), array)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.floats(), min_size=1, max_size=5))
def test_a_double_is_read_back_as_it_was(values):
    got = json.loads(json_output.columns({"y": np.float64(values)}))["outputs"]
    np.testing.assert_array_equal(np.float64(got), np.float64(values))


def test_results():
    assert json_output.results([[("", 12), ("cat", 0.1)], []]) == '{"results": [[["", 12.0], ["cat", 0.1]], []]}'
    assert json_output.results([3.5, NAN]) == '{"results": [3.5, NaN]}'
    assert json.loads(json_output.error('a "b"\n')) == {"error": 'a "b"\n'}

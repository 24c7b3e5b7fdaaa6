"""tf.Examples in JSON, as :classify and :regress take them."""

import json

import pytest

from kerascnn.serving.server.json_examples import examples_of
from kerascnn.serving.server.status import Refusal


def test_examples():
    body = {
        "signature_name": "s",
        "context": {"c": True},
        "examples": [{"image": {"b64": "AP8="}, "caption": "seaside"}, {"n": [1, -2], "f": [1.5, 2.0], "e": []}],
    }
    assert examples_of(json.dumps(body).encode()) == (
        "s",
        [
            {"image": ("bytes", [b"\0\xff"]), "caption": ("bytes", [b"seaside"])},
            {"n": ("int64", [1, -2]), "f": ("float", [1.5, 2.0]), "e": ("", [])},
        ],
        {"c": ("int64", [1])},
    )


@pytest.mark.parametrize(
    "body, message",
    [
        ("{}", "When method is classify, key 'examples' is expected and was not found"),
        ('{"examples": {}}', "Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "'examples' value is an empty array"),
        ('{"examples": [1]}', "Example must be JSON object but got JSON Number"),
        ('{"examples": [{"a": [1, 2.5]}]}', "Unexpected element type in feature: a expecting type: int64"),
        ('{"examples": [{"a": null}]}', "Feature: a has element with unexpected JSON type: Null"),
        ('{"examples": [{"a": [[1]]}]}', "Feature: a has element with unexpected JSON type: Array"),
        ('{"examples": [{"a": {"b": 1}}]}', "Feature: a has element with unexpected JSON type: Object"),
        ('{"examples": [{"a": 18446744073709551615}]}', "Feature: a has uint64 element. Only int64 is supported."),
        ('{"examples": [{"a": 1e39}]}', "Cannot convert JSON value: 1e+39 to float without loss of precision."),
    ],
)
def test_examples_that_are_refused(body, message):
    with pytest.raises(Refusal) as caught:
        examples_of(body.encode())
    assert message in str(caught.value)

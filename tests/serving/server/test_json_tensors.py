"""Requests in JSON, case by case as TensorFlow Serving documents or tests them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerascnn.serving.server import json_tensors, json_values
from kerascnn.serving.server.json_parsing import parse
from kerascnn.serving.server.status import Refusal

NAN, INF = math.nan, math.inf
FLOAT, INT, TEXT = {"x": "float"}, {"x": "int32"}, {"x": "string"}
THREE = {"tag": "string", "signal": "float", "sensor": "int64"}  # the three inputs of api_rest.md

# (body, types of the inputs) -> arrays, row format?
READ = [
    ('{"instances": ["foo", "bar", "baz"]}', TEXT, {"x": [b"foo", b"bar", b"baz"]}, True),
    ('{"instances": [[[1, 2]], [[3, 4]]]}', FLOAT, {"x": [[[1, 2]], [[3, 4]]]}, True),
    ('{"instances": [1.0, 5, -2e-3]}', FLOAT, {"x": [1, 5, -0.002]}, True),
    ('{"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}', INT, {"x": [[1, 2], [3, 4]]}, True),
    (
        '{"instances": [{"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},'
        ' {"sensor": [[4, 5], [6, 8]], "tag": "bar", "signal": [3, 4, 1, 2, 5]}]}',
        THREE,
        {
            "tag": [b"foo", b"bar"],
            "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
            "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
        },
        True,
    ),
    (
        '{"inputs": {"tag": ["foo"], "signal": [[1, 2]], "sensor": 7}}',
        THREE,
        {"tag": [b"foo"], "signal": [[1, 2]], "sensor": 7},
        False,
    ),
    ('{"inputs": {"x": [1], "more": 2}}', FLOAT, {"x": [1]}, False),  # what the signature lacks is not looked at
    ('{"inputs": [[1, 2], [3, 4]]}', FLOAT, {"x": [[1, 2], [3, 4]]}, False),
    ('{"inputs": 2.5}', FLOAT, {"x": 2.5}, False),
    ('{"inputs": []}', FLOAT, {"x": []}, False),
    ('{"inputs": [[], []]}', INT, {"x": [[], []]}, False),
    ('{"instances": [{"b64": "AP8="}, {"b64": ""}]}', TEXT, {"x": [b"\0\xff", b""]}, True),
    ('{"instances": [{"x": {"b64": "AP8"}}, {"x": "\\u00e9"}]}', TEXT, {"x": [b"\0\xff", "é".encode()]}, True),
    ('{"inputs": {"b64": "A P\\n8="}}', TEXT, {"x": b"\0\xff"}, False),
    ('{"instances": [NaN, Infinity, -Infinity, 1]}', FLOAT, {"x": [NAN, INF, -INF, 1]}, True),
    ('{"instances": [1.7976931348623157e308, 1e-400]}', {"x": "double"}, {"x": [1.7976931348623157e308, 0]}, True),
    ('{"instances": [16777215, 16777216.0]}', FLOAT, {"x": [16777215, 16777216]}, True),
    ('{"instances": [9223372036854775807, -9223372036854775808]}', {"x": "int64"}, {"x": [2**63 - 1, -(2**63)]}, True),
    ('{"instances": [18446744073709551615]}', {"x": "uint64"}, {"x": [2**64 - 1]}, True),
    ('{"instances": [true, false]}', {"x": "bool"}, {"x": [True, False]}, True),
    ('{"instances": [[255, 0]]}', {"x": "uint8"}, {"x": [[255, 0]]}, True),
    ('{"instances": [1], "instances": ["a"]}', FLOAT, {"x": [1]}, True),  # the first of equal keys
    ('\ufeff {"instances": [1]}\n', FLOAT, {"x": [1]}, True),
]

ITEM = "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
REFUSED = [
    ("", FLOAT, "JSON Parse error: The document is empty"),
    ("  \n", FLOAT, "JSON Parse error: The document is empty. at offset: 3"),
    ("instances = [1, 2]", FLOAT, "JSON Parse error: Invalid value. at offset: 0"),
    ('{"instances": [1, 2}', FLOAT, "JSON Parse error: Missing a comma or ] after an array element. at offset: 19"),
    ('{"a": {"b": 1 "c"}}', FLOAT, "JSON Parse error: Missing a comma or } after an object member. at offset: 14"),
    ('{"instances" [1]}', FLOAT, "JSON Parse error: Missing a colon after a name of object member. at offset: 13"),
    ("{1: 2}", FLOAT, "JSON Parse error: Missing a name for object member. at offset: 1"),
    ('{"x": "é\\"', FLOAT, "JSON Parse error: Missing a closing quotation mark in string. at offset: 6"),
    ('{"x": 1} 2', FLOAT, "JSON Parse error: The document root must not be followed by other values. at offset: 9"),
    ('{"x": "\\q"}', FLOAT, "JSON Parse error: Invalid escape character in string. at offset: 7"),
    (b'{"x": "\xff"}', FLOAT, "JSON Parse error: Invalid encoding in string. at offset: 7"),
    ("[" * 10**5, FLOAT, "JSON Parse error: Lists or objects are nested too deeply"),
    ('{"instances": [1' + "0" * 5000 + "]}", FLOAT, "JSON Parse error: Number too big to be stored in double."),
    ("[1, 2]", FLOAT, "JSON Value: [1, 2] Is not object"),
    ('{"signature_name": 1}', FLOAT, "'signature_name' key must be a string value."),
    ("{}", FLOAT, "Missing 'inputs' or 'instances' key"),
    ('{"instances": [1], "inputs": 1}', FLOAT, "expecting only one of 'inputs' or 'instances' keys to exist "),
    ('{"instances": 1}', FLOAT, "Excepting 'instances' to be an list/array"),
    ('{"instances": []}', FLOAT, "No values in 'instances' array"),
    ('{"instances": [1]}', THREE, "instances is a plain list, but expecting list of objects"),
    ('{"inputs": [1]}', THREE, "inputs is a plain value/list, but expecting an object as multiple input tensors"),
    ('{"inputs": {"tag": "a"}}', THREE, "Missing named input: sensor in 'inputs' object."),
    ('{"instances": [{"x": 1}, 2]}', FLOAT, "Expecting object but got list at item 1 of input list"),
    ('{"instances": [1, {"x": 2}]}', FLOAT, "Expecting value/list but got object at item 1 of input list"),
    (
        '{"instances": [{"x": 1}, {"y": 2}]}',
        FLOAT,
        "Failed to process element: 1 key: y of 'instances' list. Error: INVALID_ARGUMENT: "
        "JSON object: does not have named input: y",
    ),
    (
        '{"instances": [{"tag": "a", "signal": 1}]}',
        THREE,
        'element: 0 of \'instances\' list. JSON object: {"tag": "a", "signal": 1} keys must be equal to: '
        "sensor,signal,tag",
    ),
    ('{"instances": [[1, 2], [3]]}', FLOAT, ITEM + "Expecting tensor size: 2 but got: 1"),
    ('{"instances": [[1, 2], [[3], [4]]]}', FLOAT, ITEM + "Expecting shape [2] but got: [2,1]"),
    ('{"inputs": [[1, 2], [3]]}', FLOAT, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
    ('{"inputs": [1, [2]]}', FLOAT, "Encountered list at unexpected level: 1 expected < 1"),
    ('{"inputs": [[1], 2]}', FLOAT, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ('{"instances": [1, "x"]}', FLOAT, ITEM + 'JSON Value: "x" Type: String is not of expected type: float'),
    ('{"inputs": true}', FLOAT, "JSON Value: true Type: True is not of expected type: float"),
    ('{"inputs": null}', {"x": "bool"}, "JSON Value: null Type: Null is not of expected type: bool"),
    ('{"inputs": 1}', {"x": "bool"}, "JSON Value: 1 Type: Number is not of expected type: bool"),
    ('{"inputs": [1, 2.0]}', INT, "JSON Value: 2.0 Type: Number is not of expected type: int32"),
    ('{"inputs": 2147483648}', INT, "JSON Value: 2147483648 Type: Number is not of expected type: int32"),
    ('{"inputs": 9223372036854775808}', {"x": "int64"}, "is not of expected type: int64"),
    ('{"inputs": -1}', {"x": "uint64"}, "is not of expected type: uint64"),
    ('{"inputs": 300}', {"x": "uint8"}, "is not of expected type: uint8"),
    ('{"inputs": 1}', TEXT, "JSON Value: 1 Type: Number is not of expected type: string"),
    ('{"inputs": 16777216}', FLOAT, "Cannot convert JSON value: 16777216 to float without loss of precision."),
    ('{"inputs": 1e39}', FLOAT, "Cannot convert JSON value: 1e+39 to float without loss of precision."),
    ('{"inputs": 9007199254740992}', {"x": "double"}, "to double without loss of precision."),
    ('{"inputs": [1e999]}', FLOAT, "Number too big to be stored in double."),
    ('{"inputs": [{"b64": "!"}]}', TEXT, "Unable to base64 decode"),
    ('{"inputs": [{"b64": 1}]}', TEXT, 'JSON Value: {"b64": 1} not formatted correctly for base64 data'),
    ('{"inputs": [{"b64": "AA=="}]}', FLOAT, 'JSON Value: {"b64": "AA=="} Type: Object is not of expected type: float'),
    ('{"inputs": "\\ud800"}', TEXT, "The surrogate pair in string is invalid."),
    ('{"inputs": ' + "[" * 40 + "1" + "]" * 40 + "}", FLOAT, "nested at most 32 deep"),
]


def read(body, dtypes):
    _, document = json_tensors.predict_request(body if isinstance(body, bytes) else body.encode())
    return json_tensors.tensors_of(document, dtypes)


@pytest.mark.parametrize("body, dtypes, arrays, row", READ)
def test_documented_requests(body, dtypes, arrays, row):
    got, by_rows = read(body, dtypes)
    assert by_rows == row and set(got) == set(arrays)
    for name, expected in arrays.items():
        assert got[name].dtype == json_values.NUMPY[dtypes[name]]
        np.testing.assert_array_equal(got[name], np.array(expected, json_values.NUMPY[dtypes[name]]))


@pytest.mark.parametrize("body, dtypes, message", REFUSED)
def test_what_does_not_fit_is_told_in_the_documented_words(body, dtypes, message):
    with pytest.raises(Refusal) as caught:
        read(body, dtypes)
    assert message in str(caught.value) and (caught.value.code, caught.value.http) == ("INVALID_ARGUMENT", 400)
    assert len(str(caught.value)) < 700


def test_a_type_that_json_cannot_say_is_unimplemented():
    with pytest.raises(Refusal, match="Conversion of JSON Value: 1 to type: half") as caught:
        read('{"inputs": 1}', {"x": "half"})
    assert (caught.value.code, caught.value.http) == ("UNIMPLEMENTED", 501)


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-300, 300), st.floats(), st.booleans(), st.text(max_size=3), st.none()
)
NESTED = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=9)


@settings(deadline=None, max_examples=300)
@given(NESTED, st.sampled_from(sorted(json_values.NUMPY)))
def test_at_once_and_value_by_value_are_the_same(value, dtype):
    value = parse(json.dumps({"x": value}).encode())["x"]
    try:
        slow = json_values.array(value, dtype)
    except Refusal as error:
        with pytest.raises(Refusal) as caught:
            json_tensors.array_of(value, dtype)
        assert str(caught.value) == str(error)
        return
    fast = json_tensors.array_of(value, dtype)
    assert fast.dtype == slow.dtype and fast.shape == slow.shape
    np.testing.assert_array_equal(fast, slow)

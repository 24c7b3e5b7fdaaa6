"""The body of :classify and :regress: features of tf.Examples as JSON.

Source: tensorflow/serving, g3doc/api_rest.md and util/json_tensor.cc.
"""

from typing import Any

from kerascnn.serving.server.json_parsing import kind, parse, shown, signature_name
from kerascnn.serving.server.json_values import decimal, is_base64, to_bytes
from kerascnn.serving.server.status import invalid

# A feature: its kind, "bytes", "float", "int64" or "" of an empty list, and its values.
Feature = tuple[str, list]
Example = dict[str, Feature]


def examples_of(body: bytes) -> tuple[str, list[Example], Example]:
    """The examples in the body of a :classify or :regress request.

    Args:
        body: JSON.

    Returns:
        The signature's name, "" for the default one; the examples; the features that are common to all of them.

    Raises:
        Refusal: it is no JSON object, has no examples, or a feature mixes types.
    """
    document = parse(body)
    signature = signature_name(document)
    context = _example(document["context"]) if "context" in document else {}
    if "examples" not in document:
        told = "When method is classify, key 'examples' is expected and was not found"
        raise invalid(f"JSON Value: {shown(document)} {told}")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise invalid(f"JSON Value: {shown(document)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid(f"JSON Value: {shown(document)} 'examples' value is an empty array")
    return signature, [_example(item) for item in examples], context


def _example(value: Any) -> Example:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {kind(value)}")
    return {name: _feature(name, content) for name, content in value.items()}


def _feature(name: str, content: Any) -> Feature:
    found, values = "", []
    for value in content if isinstance(content, list) else [content]:
        wanted, read = _value(name, value)
        if found and wanted != found:
            raise invalid(f"Unexpected element type in feature: {name} expecting type: {found}")
        found = wanted
        values.append(read)
    return found, values


def _value(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "int64", int(value)
    if isinstance(value, str) or is_base64(value):
        return "bytes", to_bytes(value)
    if value is None or isinstance(value, list | dict):
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {kind(value)}")
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        if value >= 2**63:
            raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
        return "int64", value
    return "float", decimal(value, "float")

"""JSON as TensorFlow Serving reads it: NaN and Infinity are numbers, faults are told in RapidJSON's words.

Departures: text that is not UTF-8 is refused, as are numbers of thousands of digits and hundreds of nested lists; of
equal keys in one object the first counts, as there; a value is shown in an error by its first letters only.

Source: tensorflow/serving, util/json_tensor.cc; Tencent/rapidjson, error/en.h (the names of the faults).
"""

import json
from typing import Any

from kerascnn.serving.server.status import Refusal, invalid

_SHOWN = 300  # letters of a value in an error
_SCANNED = 100_000  # letters before a fault that are looked at to describe it
# How a message of Python's parser begins -> RapidJSON's.
_FAULTS = {
    "Expecting value": "Invalid value.",
    "Expecting property name": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string": "Missing a closing quotation mark in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
    "Invalid control character": "Invalid encoding in string.",
    "Extra data": "The document root must not be followed by other values.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma": "Invalid value.",
}
_TYPES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


class Named(float):
    """NaN or an infinity that was written by its name; a number too large for a double is a plain infinity."""


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in the body of a request.

    Args:
        body: UTF-8.

    Returns:
        The object; NaN and infinities in it are `Named`.

    Raises:
        Refusal: it is no JSON, or no object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _fault("Invalid encoding in string.", error.start) from error
    if not text.strip(" \t\r\n"):
        raise _fault("The document is empty.", len(body))
    try:
        document = json.loads(text, parse_constant=Named, object_pairs_hook=_first)
    except json.JSONDecodeError as error:
        raise _fault(_in_words(error), len(text[: error.pos].encode())) from error
    except RecursionError as error:
        raise invalid("JSON Parse error: Lists or objects are nested too deeply") from error
    except ValueError as error:  # a number of more than 4300 digits
        raise invalid("JSON Parse error: Number too big to be stored in double.") from error
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    return document


def signature_name(document: dict[str, Any]) -> str:
    """The signature that a request asks for, "" where it names none.

    Raises:
        Refusal: it is no string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def shown(value: Any) -> str:
    """The first letters of a JSON value, for an error."""
    letters, count = [], 0
    try:
        for part in json.JSONEncoder(ensure_ascii=True).iterencode(value):
            letters.append(part[:_SHOWN])
            count += len(part)
            if count > _SHOWN:
                break
    except RecursionError:
        return "..."
    text = "".join(letters)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def kind(value: Any) -> str:
    """The name of a JSON value's type in errors."""
    if value is None or value is True or value is False:
        return {None: "Null", True: "True", False: "False"}[value]
    return _TYPES[float if isinstance(value, float) else type(value)]


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else dict(reversed(pairs))


def _fault(words: str, offset: int) -> Refusal:
    return invalid(f"JSON Parse error: {words} at offset: {offset}")


def _in_words(error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Expecting ',' delimiter"):
        inside = _open_bracket(error.doc[: error.pos]) if error.pos <= _SCANNED else "["
        return f"Missing a comma or {'}' if inside == '{' else ']'} after an {_MEMBER[inside]}."
    return next((words for start, words in _FAULTS.items() if error.msg.startswith(start)), error.msg)


_MEMBER = {"{": "object member", "[": "array element"}


def _open_bracket(text: str) -> str:
    """The bracket that is open at the end of the beginning of a JSON text."""
    stack, quoted, escaped = [], False, False
    for letter in text:
        if quoted:
            quoted, escaped = letter != '"' or escaped, letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "{[":
            stack.append(letter)
        elif letter in "}]" and stack:
            stack.pop()
    return stack[-1] if stack else "["

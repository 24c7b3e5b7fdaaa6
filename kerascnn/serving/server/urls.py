"""The addresses of the REST interface.

Source: tensorflow/serving, g3doc/api_rest.md and model_servers/http_rest_api_util.cc.
"""

import dataclasses
import re
import urllib.parse

from kerascnn.serving.server.status import invalid

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)", re.IGNORECASE | re.ASCII)
_GET = re.compile(_MODEL + r"(?P<metadata>/metadata)?", re.IGNORECASE | re.ASCII)
_ALL = re.compile(r"/v1/models/?", re.IGNORECASE | re.ASCII)


@dataclasses.dataclass(frozen=True)
class Call:
    """What an address asks for."""

    verb: str  # "predict", "classify", "regress", "metadata", "status"
    name: str  # of the model
    version: int | None = None
    label: str | None = None


def parse(method: str, path: str) -> Call:
    """What a request asks for.

    Args:
        method: "GET", "POST".
        path: as it was sent, with %2F for a slash within a name, without the query.

    Raises:
        Refusal: there is no such address.
    """
    found = (_POST if method == "POST" else _GET).fullmatch(path) if method in ("GET", "POST") else None
    if found is None and method == "GET" and _ALL.fullmatch(path):
        raise invalid("Missing model name in request.")
    if found is None:
        raise invalid(f"Malformed request: {method} {path[:200]}")
    version = None
    if found["version"]:
        version = int(found["version"]) if len(found["version"]) < 40 else 2**63
        if version >= 2**63:
            raise invalid(f"Failed to convert version: {found['version'][:40]} to numeric.")
    label = urllib.parse.unquote(found["label"]) if found["label"] else None
    verb = found["verb"].lower() if method == "POST" else "metadata" if found["metadata"] else "status"
    return Call(verb, urllib.parse.unquote(found["name"]), version, label)

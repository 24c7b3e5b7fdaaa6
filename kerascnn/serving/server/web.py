"""A page for people: an image in, the classes out. It asks the REST interface, and nothing from outside.

Its files are in the folder `web`, of plain HTML, CSS and JavaScript, and are read once.
"""

import functools
import importlib.resources
import json
from collections.abc import Iterator, Sequence

from aiohttp import web

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_START = "index.html"
HEADERS = {
    # Scripts and styles in files of this server alone; pictures may also come from the page itself.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(models: Sequence[str], max_body: int) -> Iterator[web.RouteDef]:
    """The addresses of the page: `/`, and `/web/NAME` for its files.

    Args:
        models: the names that can be chosen.
        max_body: bytes of a request.

    Returns:
        Routes for an aiohttp router.
    """
    told = json.dumps({"models": list(models), "max_body": max_body}).encode()
    for name, contents in files().items():
        kind = _TYPES[name.rpartition(".")[2]]
        yield web.get("/" if name == _START else f"/web/{name}", _handler(contents, kind))
    yield web.get("/web/models.json", _handler(told, "application/json"))


@functools.cache
def files() -> dict[str, bytes]:
    """The files of the page by their names."""
    folder = importlib.resources.files(__package__) / "web"
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.rpartition(".")[2] in _TYPES
    }


def _handler(contents: bytes, kind: str):
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=contents, content_type=kind, charset="utf-8", headers=HEADERS)

    return handle

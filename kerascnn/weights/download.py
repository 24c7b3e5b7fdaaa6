"""One file over HTTP, to a file beside its target: resumed where it was broken off, and given up where nothing comes.

Nothing else than http and https is followed, from https nothing but https, and what comes is counted against what was
promised. Whether the file is the right one is for `kerascnn.weights.cache` to say.
"""

import contextlib
import dataclasses
import errno
import http.client
import json
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kerascnn import __version__

CONNECT = 5.0  # seconds until a server must have accepted a connection
STALL = 30.0  # seconds within which it must answer, and within which SLOWEST bytes must come again and again
SLOWEST = 30 * 1024  # bytes in STALL seconds
PAUSE = 1.0  # seconds before the second try; doubled before each further one
TRIES = 3  # one that brought SLOWEST bytes is not counted
_MOST_TRIES = 50
_REDIRECTS = 5
_LARGEST = 2**36  # bytes of any file
_PIECE = 2**18
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # answers after which another try may help


class Failed(Exception):
    """Why a file could not be had from one place, in words."""


class Broken(Failed):
    """The same, where another try may help."""


class _Beyond(Exception):
    """The server has nothing behind what is there: it begins anew."""


class FullDisk(Exception):
    """There is no room for the file; no other place has it smaller."""


@dataclasses.dataclass(frozen=True)
class Told:
    """What a server said of the file."""

    digest: str | None = None  # its SHA-256, which the hub states for every large file
    size: int | None = None


def download(url: str, part: Path, *, size: int | None = None, progress: Callable[[int, int | None], Any]) -> Told:
    """Fetches a file, or the rest of it.

    Args:
        url: http or https.
        part: where it is written to; what is there already, of the same URL, is kept. The caller holds its lock.
        size: bytes that the file must have, where known.
        progress: called with the bytes that are there, and those that there will be, as they come.

    Returns:
        What the server said. `part` then has as many bytes as it promised.

    Raises:
        Failed: it could not be had; what came is kept for another time, unless it is useless.
        FullDisk: there is no room.
    """
    tries = 0
    for attempt in range(_MOST_TRIES):
        before = _length(part)
        try:
            return _once(url, part, size, progress)
        except _Beyond:
            forget(part)
            tries += 1
        except Broken as error:
            tries = 0 if _length(part) >= before + SLOWEST else tries + 1
            if tries >= TRIES or attempt == _MOST_TRIES - 1:
                raise Failed(str(error)) from error
            time.sleep(PAUSE * 2**tries)
    raise Failed("too many tries")


def _once(url, part, size, progress) -> Told:
    start = _start(url, part)
    headers = {"User-Agent": f"kerascnn/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-"}
        validator = _remembered(part).get("validator")
        headers |= {"If-Range": validator} if validator else {}
    with _opened(urllib.request.Request(url, headers=headers)) as (response, told):
        if response.status not in (200, 206):
            raise Failed(f"an answer of status {response.status} in place of the file")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Failed("an encoding that was not asked for")
        if response.status == 206:
            total = _resumed(response, start)
        else:
            start, total = 0, _number(response.headers.get("Content-Length"))
        total = _total(total, told.size, size)
        _remember(part, url, response)
        _check_room(part, (total or size or 0) - start)
        _copy(response, part, start, total, progress)
    length = _length(part)
    if total is not None and length < total:
        raise Broken(f"the connection ended after {length:,} of {total:,} bytes")
    return dataclasses.replace(told, size=total or length)


def _copy(response, part, start, total, progress) -> None:
    """Appends what comes, as long as it comes fast enough and is no more than was promised."""
    limit = _LARGEST if total is None else total
    clock, fresh = time.monotonic(), 0
    with _written(part, start) as file:
        length = start
        progress(length, total)
        while True:
            try:
                piece = response.read1(_PIECE)
            except (OSError, http.client.HTTPException) as error:
                raise Broken(_words(error)) from error
            if not piece:
                return
            length, fresh = length + len(piece), fresh + len(piece)
            if length > limit:
                file.truncate(0)
                raise Failed(f"more than the {limit:,} bytes that were promised")
            file.write(piece)
            progress(length, total)
            if time.monotonic() - clock >= STALL:
                if fresh < SLOWEST:
                    raise Broken(f"{fresh:,} bytes in {STALL:g} s, which is too slow")
                clock, fresh = time.monotonic(), 0


@contextlib.contextmanager
def _written(part, start) -> Iterator[Any]:
    """The file open behind its first `start` bytes; where the disk is full, it gives back what it took."""
    try:
        with open(part, "r+b") as file:
            file.truncate(start)
            file.seek(start)
            yield file
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            with contextlib.suppress(OSError):
                open(part, "wb").close()
            raise FullDisk(f"{error.strerror} after {_length(part):,} bytes") from error
        raise


@contextlib.contextmanager
def _opened(request) -> Iterator[tuple[Any, Told]]:
    """The response to a request, after redirects, and what those on the way said of the file."""
    redirects = _Redirects()
    connections: list[http.client.HTTPConnection] = []
    handlers = [urllib.request.ProxyHandler(), urllib.request.UnknownHandler(), redirects,
                urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor()]  # fmt: skip
    opener = urllib.request.OpenerDirector()  # without the handlers of file:, ftp: and data:
    for handler in (*handlers, _Plain(connections), _Secure(connections)):
        opener.add_handler(handler)
    late = threading.Event()

    def give_up():
        late.set()
        for connection in connections:
            connection.cut()

    timer = threading.Timer(STALL, give_up)  # headers that drip never let a socket's own time run out
    timer.daemon = True
    timer.start()
    try:
        try:
            response = opener.open(request, timeout=STALL)
        finally:
            timer.cancel()
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # there is no such part of the file any more
                raise _Beyond from error
            kind = Broken if error.code in _TRANSIENT else Failed
            raise kind(f"HTTP status {error.code} {str(error.reason)[:80]}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set():
            raise Broken(f"no answer in {STALL:g} s") from error
        reason = getattr(error, "reason", error)
        final = isinstance(error, urllib.error.URLError | ValueError) and not isinstance(reason, ConnectionResetError)
        raise (Failed if final else Broken)(_words(reason)) from error
    with response:
        if late.is_set():  # what came of the headers was taken for all of them
            raise Broken(f"no answer in {STALL:g} s")
        yield response, redirects.told


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows few, never away from https, and nowhere but to http and https."""

    def __init__(self):
        self.told, self.count = Told(), 0

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """The next request; headers such as Range stay."""
        self.count += 1
        scheme = urllib.parse.urlsplit(newurl).scheme
        fp.close()
        if self.count > _REDIRECTS:
            raise Failed("redirects without end")
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            raise Failed(f"a redirect from {req.type} to {scheme[:20] or 'nothing'}, which is not followed")
        etag = (headers.get("X-Linked-ETag") or "").strip('"')
        digest = etag if len(etag) == 64 and set(etag) <= set("0123456789abcdef") else None
        self.told = Told(digest or self.told.digest, _number(headers.get("X-Linked-Size")) or self.told.size)
        return urllib.request.Request(newurl, headers=dict(req.headers), method="GET")  # without the former Host

    def http_error_302(self, req, fp, code, msg, headers):
        """Refuses before urllib's own rules do, which say less."""
        target = headers.get("location") or headers.get("uri") or ""
        if target and urllib.parse.urlsplit(target).scheme not in ("", "http", "https"):
            fp.close()
            raise Failed(f"a redirect to {urllib.parse.urlsplit(target).scheme[:20]}:, which is not followed")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _cuttable(kind):
    """A connection that connects in CONNECT seconds, and that another thread can end."""

    class Connection(kind):
        def connect(self):
            self.timeout, patience = CONNECT, self.timeout
            super().connect()
            self.timeout = patience
            self.sock.settimeout(patience)

        def cut(self):
            with contextlib.suppress(OSError, AttributeError):
                self.sock.shutdown(2)

    return Connection


def _handler(base, kind, scheme):
    class Handler(base):
        def __init__(self, connections):
            super().__init__()
            self.connections = connections

        def opened(self, request):
            def make(*args, **kwargs):
                self.connections.append(_cuttable(kind)(*args, **kwargs))
                return self.connections[-1]

            return self.do_open(make, request)

    setattr(Handler, f"{scheme}_open", Handler.opened)
    return Handler


_Plain = _handler(urllib.request.HTTPHandler, http.client.HTTPConnection, "http")
_Secure = _handler(urllib.request.HTTPSHandler, http.client.HTTPSConnection, "https")


def _note(part) -> Path:
    return part.with_name(f"{part.name}.json")


def _remembered(part) -> dict:
    try:
        found = json.loads(_note(part).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _start(url, part) -> int:
    """Bytes that are there already and are of this URL."""
    return _length(part) if _remembered(part).get("url") == url else 0


def _remember(part, url, response) -> None:
    etag = response.headers.get("ETag") or ""
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
    _note(part).write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def forget(part: Path) -> None:
    """Removes what was kept of a file for another time; the caller removes `part`."""
    _note(part).unlink(missing_ok=True)


def _resumed(response, start) -> int | None:
    """The whole size, where the server goes on at the byte that was asked for."""
    unit, _, rest = (response.headers.get("Content-Range") or "").partition(" ")
    span, _, total = rest.partition("/")
    if unit != "bytes" or span.partition("-")[0] != str(start):
        raise Failed("another part of the file than was asked for")
    return _number(total)


def _total(promised, told, wanted) -> int | None:
    known = {value for value in (promised, told, wanted) if value is not None}
    if len(known) > 1:
        numbers = " and ".join(f"{value:,}" for value in sorted(known))
        raise Failed(f"a file of another length: {numbers} bytes")
    if known and next(iter(known)) > _LARGEST:
        raise Failed(f"a file of more than {_LARGEST:,} bytes")
    return known.pop() if known else None


def _check_room(part, needed) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise FullDisk(f"{needed:,} bytes are needed, and {free:,} are free")


def _length(part) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def _words(error: Any) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended before the file did"
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return "".join(c if c.isprintable() else "?" for c in text)[:120] or type(error).__name__

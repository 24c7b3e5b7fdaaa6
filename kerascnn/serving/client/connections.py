"""HTTP connections that are kept open between requests, and obey a deadline."""

import base64
import collections
import http.client
import socket
import ssl
import urllib.parse
import urllib.request
import weakref
from collections.abc import Mapping
from typing import NamedTuple

from kerascnn._errors import InputError
from kerascnn.serving.client.errors import late, unreachable
from kerascnn.serving.client.retrying import Deadline

_CHUNK = 2**16
_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """Connections to one server, as many as there are requests at a time; threads may share it.

    Proxies are used as the environment says (`http_proxy`, `https_proxy`, `no_proxy`).

    Args:
        url: "http://host:port" or "https://host:port", with a path before all others where there is one.

    Raises:
        InputError: it is no such address.
    """

    def __init__(self, url: str):
        rule = f"The server's address must begin with http:// or https://. Received: {url}"
        try:
            parts = urllib.parse.urlsplit(url)
            self._host, self._port = parts.hostname, parts.port
        except ValueError as error:
            raise InputError(rule) from error
        if parts.scheme not in ("http", "https") or not self._host:
            raise InputError(rule)
        self._secure = parts.scheme == "https"
        self._port = self._port or (443 if self._secure else 80)
        self._context = ssl.create_default_context() if self._secure else None
        self._proxy = _proxy(parts.scheme, self._host)
        self._idle: collections.deque[http.client.HTTPConnection] = collections.deque()
        weakref.finalize(self, _close_all, self._idle)

    def close(self) -> None:
        """Closes those that nobody uses."""
        _close_all(self._idle)

    def exchange(self, method: str, url: str, body: bytes | None, deadline: Deadline) -> Answer:
        """Sends one request.

        Args:
            method: "GET" or "POST".
            url: whole.
            body: JSON.
            deadline: of the answer.

        Raises:
            ServerError: no whole answer came, or not in time.
        """
        while True:
            try:
                connection, kept = self._idle.pop(), True
            except IndexError:
                connection, kept = self._connection(), False
            try:
                answer = self._send(connection, method, url, body, deadline)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if kept and isinstance(error, _STALE):  # the server has closed it meanwhile
                    continue
                if isinstance(error, TimeoutError) or deadline.left() <= 0:
                    raise late(deadline.seconds, url) from error
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                trusted = not isinstance(error, ssl.SSLCertVerificationError)
                raise unreachable(" ".join(reason.split())[:200], url, trusted) from error
            except BaseException:  # such as KeyboardInterrupt, in the middle of an answer
                connection.close()
                raise
            if connection.sock is not None:
                self._idle.append(connection)
            return answer

    def _send(self, connection, method: str, url: str, body: bytes | None, deadline: Deadline) -> Answer:
        connection.timeout = _left(deadline)
        if connection.sock is None:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = connection.sock  # the answer may take it away from the connection
        wire.settimeout(_left(deadline))
        headers = {"Content-Type": "application/json", **self._proxy_headers()}
        connection.request(method, self._target(url), body, headers)
        wire.settimeout(_left(deadline))
        answer = connection.getresponse()
        parts = []
        with answer:
            while not answer.isclosed() and answer.length != 0:
                wire.settimeout(_left(deadline))
                part = answer.read1(_CHUNK)
                if not part and answer.length:
                    raise http.client.IncompleteRead(b"", answer.length)
                parts.append(part)
        return Answer(answer.status, answer.headers, b"".join(parts))

    def _connection(self) -> http.client.HTTPConnection:
        host, port = (self._host, self._port) if self._proxy is None else (self._proxy.hostname or "", self._proxy.port)
        if not self._secure:
            return http.client.HTTPConnection(host, port)
        connection = http.client.HTTPSConnection(host, port, context=self._context)
        if self._proxy is not None:
            connection.set_tunnel(str(self._host), self._port, self._authorization())
        return connection

    def _target(self, url: str) -> str:
        """What stands in the first line: a proxy needs the whole address."""
        if self._proxy is not None and not self._secure:
            return url
        parts = urllib.parse.urlsplit(url)
        return urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))

    def _proxy_headers(self) -> dict[str, str]:
        return {} if self._secure else self._authorization()

    def _authorization(self) -> dict[str, str]:
        if self._proxy is None or self._proxy.username is None:
            return {}
        words = f"{self._proxy.username}:{self._proxy.password or ''}"
        token = base64.b64encode(urllib.parse.unquote(words).encode()).decode()
        return {"Proxy-Authorization": f"Basic {token}"}


def _left(deadline: Deadline) -> float:
    seconds = deadline.left()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _proxy(scheme: str, host: str) -> urllib.parse.SplitResult | None:
    found = urllib.request.getproxies().get(scheme)
    if not found or urllib.request.proxy_bypass(host):
        return None
    return urllib.parse.urlsplit(found if "://" in found else f"http://{found}")


def _close_all(idle: collections.deque) -> None:
    while idle:
        idle.pop().close()

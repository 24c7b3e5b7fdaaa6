"""A server on this machine that behaves as the worst ones do: one behavior a path, in threads."""

import contextlib
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator

PAGE = b"<!DOCTYPE html><html><body>You must log in.</body></html>"


class Server(http.server.ThreadingHTTPServer):
    """Serves `contents` at every path, as the first part of the path says."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, contents: bytes):
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents, self.asked, self.hosts, self.etag = contents, [], [], '"1"'
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that went away is no news."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802 - the name is http.server's
        self.server.asked.append((self.path, self.headers.get("Range")))
        self.server.hosts.append(self.headers.get("Host"))
        self.close_connection = True
        getattr(self, self.path.split("/")[1])()

    def log_message(self, *args):
        pass

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def part(self):
        """Status, headers and bytes of what was asked for."""
        whole, asked = self.server.contents, self.headers.get("Range")
        headers = {"ETag": self.server.etag, "Content-Length": str(len(whole))}
        if not asked or self.headers.get("If-Range", self.server.etag) != self.server.etag:
            return 200, headers, whole
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(whole):
            return 416, {"Content-Length": "0"}, b""
        span = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        return 206, {**headers, "Content-Length": str(len(whole) - start), "Content-Range": span}, whole[start:]

    def good(self):
        self.answer(*self.part())

    def slow(self):
        """Whole, over a third of a second."""
        status, headers, body = self.part()
        self.answer(status, headers)
        for start in range(0, len(body), len(body) // 10 + 1):
            self.wfile.write(body[start : start + len(body) // 10 + 1])
            time.sleep(0.03)

    def cut(self):
        """Ends after 4,000 bytes each time."""
        status, headers, body = self.part()
        self.answer(status, headers, body[:4000])

    def nothing(self):
        status, headers, _ = self.part()
        self.answer(status, headers)

    def early(self):
        """Ends before the answer."""

    def more(self):
        self.answer(200, {}, self.server.contents * 2)

    def short(self):
        self.answer(200, {"Content-Length": "1000"}, self.server.contents[:1000])

    def other(self):
        self.answer(
            200,
            {"Content-Length": str(len(self.server.contents))},
            self.server.contents[:9] + self.server.contents[:8:-1],
        )

    def page(self):
        self.answer(200, {"Content-Type": "text/html", "Content-Length": str(len(PAGE))}, PAGE)

    def missing(self):
        self.answer(404, {"Content-Length": "0"})

    def busy(self):
        """503 twice, then the file."""
        if len(self.server.asked) < 3:
            self.answer(503, {"Content-Length": "0"})
        else:
            self.good()

    def part_of_another(self):
        start = "bytes 5-9/10"
        self.answer(206, {"Content-Range": start, "Content-Length": "5"}, b"01234")

    def zipped(self):
        self.answer(200, {"Content-Encoding": "gzip", "Content-Length": "3"}, b"abc")

    def loop(self):
        self.answer(302, {"Location": f"{self.path}/x", "Content-Length": "0"})

    def to_file(self):
        self.answer(302, {"Location": "file:///etc/passwd", "Content-Length": "0"})

    def to_ftp(self):
        self.answer(301, {"Location": "ftp://127.0.0.1/x", "Content-Length": "0"})

    def to_good(self):
        digest = hashlib.sha256(self.server.contents).hexdigest()
        self.answer(302, {"Location": self.server.url + "/good/file", "X-Linked-ETag": f'"{digest}"',
                          "X-Linked-Size": str(len(self.server.contents)), "Content-Length": "0"})  # fmt: skip

    def to_localhost(self):
        """The same server by another name."""
        self.answer(302, {"Location": self.server.url.replace("127.0.0.1", "localhost") + "/good/file",
                          "Content-Length": "0"})  # fmt: skip

    def chunked(self):
        """Ends within a piece."""
        self.answer(200, {"Transfer-Encoding": "chunked"}, b"4e28\r\n" + self.server.contents[:4000])

    def to_other(self):
        digest = hashlib.sha256(self.server.contents).hexdigest()
        self.answer(302, {"Location": self.server.url + "/other/file", "X-Linked-ETag": f'"{digest}"',
                          "Content-Length": "0"})  # fmt: skip

    def drip(self):
        """A byte every hundredth of a second."""
        status, headers, body = self.part()
        self.answer(status, headers)
        with contextlib.suppress(OSError):
            for index in range(100):
                self.wfile.write(body[index : index + 1])
                time.sleep(0.01)

    def drip_headers(self):
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.01)

    def silent(self):
        time.sleep(1)


@contextlib.contextmanager
def serving(contents: bytes) -> Iterator[Server]:
    """A running server; it ends with the block."""
    server = Server(contents)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Servers that answer what a test says, over HTTP and gRPC, and keep what they were asked."""

import concurrent.futures
import contextlib
import http.server
import json
import threading
import time

import grpc


class Fake(http.server.BaseHTTPRequestHandler):
    """Takes the next answer of the server's script: (status, headers, body), or a function of the handler."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server, self.asked = self.server, json.loads(body) if body else None
        with server.lock:
            server.asked.append((time.monotonic(), self.command, self.path, self.asked))
            answer = server.script.pop(0) if server.script else server.default
        if callable(answer):
            answer = answer(self)
        if answer is not None:
            self.reply(*answer)

    do_POST = do_GET

    def reply(self, status, headers, body):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def process_request(self, request, client_address):
        self.connections += 1
        super().process_request(request, client_address)

    def close_request(self, request):
        super().close_request(request)
        self.closed += 1


@contextlib.contextmanager
def fake_rest(*script, default=(500, {}, {"error": "the script is over"})):
    """A server with `url`, `asked`: (when, method, path, JSON), and how many `connections` it had and has `closed`."""
    server = _Server(("127.0.0.1", 0), Fake)
    server.script, server.default = list(script), default
    server.asked, server.lock, server.connections, server.closed = [], threading.Lock(), 0, 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def fake_grpc(*script):
    """A gRPC server with `target` and `asked`: (method, bytes); answers are bytes, or (code, words, metadata)."""
    answers, asked = list(script), []

    def handle(method, body, context):
        asked.append((method, body))
        answer = answers.pop(0)
        if callable(answer):
            answer = answer(context)
        if isinstance(answer, bytes):
            return answer
        code, words, metadata = answer
        context.set_trailing_metadata(metadata)
        context.abort(code, words)

    class Any(grpc.GenericRpcHandler):
        def service(self, call):
            method = call.method.rpartition("/")[2]
            return grpc.unary_unary_rpc_method_handler(lambda body, context: handle(method, body, context))

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads, [Any()])
        server.asked, server.target = asked, f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield server
        finally:
            server.stop(None).wait()

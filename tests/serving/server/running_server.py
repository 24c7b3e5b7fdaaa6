"""A server in a thread of the test, and the questions that tests ask it."""

import asyncio
import contextlib
import http.client
import json
import threading
import time

from kerascnn.serving.server import messages
from kerascnn.serving.server.loading import Servable
from kerascnn.serving.server.model import Model
from kerascnn.serving.server.models import Models
from kerascnn.serving.server.running import Server


@contextlib.contextmanager
def running(*models, load=Servable, wait=True, **options):
    """A server on free ports, once its models answer."""
    watched = Models(models, load, interval=0.05)
    server = Server(watched, port=0, grpc_port=0, **options)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
        deadline = time.monotonic() + 60
        while wait and not (watched.ready() and all(m.answering(n) for m in models for n in m.labels.values())):
            assert time.monotonic() < deadline, [vars(v) for model in models for v in model.versions.values()]
            time.sleep(0.01)
        yield server
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def model(folder, name="m", **options):
    return Model(name, folder, **options)


def ask(server, method, path, body=None, headers=None, timeout=60):
    """(status, headers, JSON) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        contents = answer.read()
        return answer.status, answer.headers, json.loads(contents) if contents else None
    finally:
        connection.close()


def call(channel, method, request, answer=None, timeout=30):
    """What a gRPC method answers: bytes, or a message of the kind `answer`."""
    body = request if isinstance(request, bytes) else request.SerializeToString()
    got = channel.unary_unary(method)(body, timeout=timeout)
    return got if answer is None else messages.get(answer).FromString(got)

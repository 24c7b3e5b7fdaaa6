"""Sixty-four clients at a time: no request is lost, and memory stays."""

import http.client
import json
import os
import threading
from pathlib import Path

import pytest
from server.running_server import model, running

from kerascnn.serving.server.batching_parameters import BatchingParameters

CLIENTS = 64
BODIES = [
    (b'{"instances": [1.0, 2.0]}', 200, {"predictions": [2.5, 3.0]}),
    (b'{"signature_name": "pairs", "inputs": [[1, 2]]}', 200, {"outputs": {"pair": [[1.0, 2.0]], "sum": [3.0]}}),
    (b'{"instances": ["x"]}', 400, None),
    (b"{", 400, None),
]
STATM = Path("/proc/self/statm")


def megabytes():
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def ask(server, count, wrong):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for number in range(count):
        body, status, document = BODIES[number % len(BODIES)]
        connection.request("POST", "/v1/models/m:predict", body)
        answer = connection.getresponse()
        got = json.loads(answer.read())
        if answer.status != status or (document is not None and got != document):
            wrong.append((answer.status, got))
    connection.close()


def ask_all(server, each):
    wrong = []
    threads = [threading.Thread(target=ask, args=(server, each, wrong)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


@pytest.mark.after
@pytest.mark.skipif(not STATM.exists(), reason="memory is read in /proc")
@pytest.mark.parametrize("batching", [None, BatchingParameters(8, 1000, 2, 64)])
def test_no_request_is_lost_and_memory_stays(tiny_folder, batching):
    with running(model(tiny_folder[0]), batching=batching) as server:
        assert ask_all(server, 60) == []  # threads and caches are there after these
        before = megabytes()
        assert ask_all(server, 250) == []
        assert megabytes() - before < 32  # an object of aiohttp kept of each of the 16,000 requests would be more
        assert server.engine.active == 0

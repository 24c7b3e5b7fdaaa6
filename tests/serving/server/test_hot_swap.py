"""Versions that come and go while many clients ask: no request fails, a bad one changes nothing."""

import http.client
import json
import threading
import time

import pytest
from server.running_server import ask, model, running

from kerascnn.serving.server.batching_parameters import BatchingParameters

BODY = json.dumps({"instances": [1.0]}).encode()


def asking(server, results, stop):
    """Asks on one kept connection until told to stop; keeps each answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    while not stop.is_set():
        connection.request("POST", "/v1/models/m:predict", BODY)
        answer = connection.getresponse()
        results.append((answer.status, answer.read()))
    connection.close()


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def versions(server):
    """What the server tells of each version, by its number."""
    return {int(row["version"]): row for row in ask(server, "GET", "/v1/models/m")[2]["model_version_status"]}


def states(server):
    return {number: row["state"] for number, row in versions(server).items()}


@pytest.mark.parametrize("batching", [None, BatchingParameters(4, 1000, 2, 100)])
def test_a_new_version_under_load_fails_no_request(tiny_folder, batching):
    folder, add = tiny_folder
    with running(model(folder), batching=batching) as server:
        results, stop = [], threading.Event()
        threads = [threading.Thread(target=asking, args=(server, results, stop)) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: results)
        (folder / "2").mkdir()
        (folder / "2" / "saved_model.pb").write_bytes(b"no model")
        until(lambda: states(server).get(2) == "END")
        assert versions(server)[2]["status"]["error_code"] == "DATA_LOSS"
        add(3)
        until(lambda: states(server) == {3: "AVAILABLE", 2: "END", 1: "END"})
        asked = len(results)
        until(lambda: len(results) > asked + len(threads))  # each of them has begun after the change
        stop.set()
        for thread in threads:
            thread.join()
        assert {status for status, _ in results} == {200}
        answers = {json.loads(body)["predictions"][0] for _, body in results}
        assert answers == {2.5, 3.5}  # the old one's, then the new one's


def test_one_bad_image_of_a_batch_fails_alone(tiny_folder):
    import base64
    from concurrent.futures import ThreadPoolExecutor

    import tensorflow as tf

    sound = base64.b64encode(tf.io.encode_png(tf.zeros([2, 3, 1], tf.uint8)).numpy()).decode()
    torn = base64.b64encode(b"no image").decode()
    with running(model(tiny_folder[0]), batching=BatchingParameters(8, 200_000, 1, 9)) as server:
        bodies = [{"signature_name": "pixels", "instances": [{"b64": text}]} for text in [sound] * 3 + [torn] + [sound]]
        with ThreadPoolExecutor(5) as pool:
            got = list(pool.map(lambda body: ask(server, "POST", "/v1/models/m:predict", body), bodies))
        assert [status for status, _, _ in got] == [200, 200, 200, 400, 200]
        assert all(document == {"predictions": [6]} for status, _, document in got if status == 200)
        assert "kerascnn_serving_batch_rows_sum 5.0" in server.metrics.page().decode()

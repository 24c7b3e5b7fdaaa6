"""When a client tries again, how long it waits, and when it gives up; against a server that answers by a script."""

import socket
import threading
import time

import pytest
from client.fake_server import fake_rest

from kerascnn._errors import InputError
from kerascnn.serving.client import Client, Retries, ServerError, retrying
from kerascnn.serving.client.retrying import Deadline, persist

GOOD = (200, {}, {"predictions": [{"classes": ["cat", "dog"], "probabilities": [0.75, 0.25], "errors": ""}]})
FOUND = [[("cat", 0.75), ("dog", 0.25)]]
QUICK = Retries(attempts=4, shortest=0.01, longest=0.05)


def busy(status=503, headers=None):
    return status, headers or {}, {"error": "come back\nlater"}


def client(server, **options):
    return Client(server.url, "m", **{"retries": QUICK, **options})


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def hang_up(handler):
    """Ends the connection in the middle of an answer."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    handler.close_connection = True


@pytest.mark.parametrize("failure", [busy(503), busy(429), hang_up], ids=["503", "429", "broken"])
def test_another_try_after_what_may_pass(failure):
    with fake_rest(failure, failure, GOOD) as server, client(server) as asking:
        assert asking.classify([b"x"]) == FOUND
        assert len(server.asked) == 3
        assert server.asked[0][1:] == server.asked[2][1:]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 408, 413, 422, 500, 501, 504])
def test_no_other_try_after_a_refusal(status):
    with fake_rest(busy(status)) as server, client(server) as asking:
        with pytest.raises(ServerError, match=rf"refused \({status}: come back later\). Received: http") as caught:
            asking.classify([b"x"])
        assert (caught.value.status, caught.value.reason, caught.value.attempts) == (status, "come back later", 1)
        assert len(server.asked) == 1


def test_tries_are_limited_and_told():
    with fake_rest(default=busy()) as server, client(server) as asking:
        with pytest.raises(InputError, match=r"refused \(503: .*m:predict, asked 4 times$") as caught:
            asking.classify([b"x"])
        assert caught.value.attempts == len(server.asked) == 4
    with fake_rest(default=busy()) as server, client(server, retries=Retries(attempts=1)) as asking:
        with pytest.raises(ServerError, match="m:predict$"):
            asking.classify([b"x"])
        assert len(server.asked) == 1


def test_retry_after_is_kept_and_not_waited_for_beyond_the_deadline():
    with fake_rest(busy(429, {"Retry-After": "0.4"}), GOOD) as server, client(server) as asking:
        assert asking.classify([b"x"]) == FOUND
        first, second = (when for when, *_ in server.asked)
        assert second - first >= 0.4
    with fake_rest(busy(429, {"Retry-After": "3600"})) as server, client(server) as asking:
        began = time.monotonic()
        with pytest.raises(ServerError, match="429"):
            asking.classify([b"x"])
        assert time.monotonic() - began < asking.timeout and len(server.asked) == 1
    for strange in ("Fri, 31 Dec 2100 23:59:59 GMT", "-3", "nan", "inf", ""):
        with fake_rest(busy(503, {"Retry-After": strange}), GOOD) as server, client(server) as asking:
            assert asking.classify([b"x"]) == FOUND


def test_pauses_double_are_spread_and_limited():
    retries = Retries(attempts=100, shortest=0.1, longest=1.0)
    for attempt in range(1, 80):
        most = min(1.0, 0.1 * 2 ** (attempt - 1))
        pauses = [retries.pause(attempt) for _ in range(50)]
        assert most / 2 <= min(pauses) < max(pauses) <= most
    assert retries.pause(1, 7.0) == 7.0
    for bad in ({"attempts": 0}, {"shortest": -1}, {"shortest": 2.0, "longest": 1.0}):
        with pytest.raises(InputError, match=r"must be .* Received: "):
            Retries(**bad)


def test_no_pause_ends_after_the_deadline(monkeypatch):
    now, pauses = [100.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += seconds

    def attempt():
        raise ServerError("busy", 503)

    monkeypatch.setattr(retrying.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(retrying.time, "sleep", sleep)
    with pytest.raises(ServerError, match=r"busy, asked \d+ times") as caught:
        persist(attempt, Retries(1000, 0.02, 0.02), Deadline(0.3))
    assert caught.value.attempts == len(pauses) + 1
    assert 0.28 <= sum(pauses) < 0.3 and 0.01 <= min(pauses) <= max(pauses) <= 0.02


def test_a_deadline_holds_for_all_attempts_together():
    released = threading.Event()

    def wait(handler):
        released.wait(60)
        handler.close_connection = True

    with fake_rest(busy(), default=wait) as server, client(server, timeout=2) as asking:
        with pytest.raises(ServerError, match=r"must answer within 2 s. Received: .*asked 2 times") as caught:
            asking.classify([b"x"])
        assert caught.value.status is None and caught.value.reason == "deadline exceeded"
        released.set()


def test_a_deadline_holds_for_an_answer_that_drips():
    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            try:
                handler.wfile.write(b" ")
            except OSError:
                break
            time.sleep(0.05)
        handler.close_connection = True

    with fake_rest(drip) as server, client(server, timeout=0.4) as asking:
        with pytest.raises(ServerError, match="must answer within 0.4 s"):
            asking.classify([b"x"])


def test_a_connection_that_the_server_has_closed_is_no_failure():
    def last(handler):
        handler.reply(*GOOD)
        handler.close_connection = True  # without telling the client

    with fake_rest(last, last, GOOD, GOOD) as server, client(server, retries=Retries(attempts=1)) as asking:
        for number in (1, 2):
            assert asking.classify([b"x"]) == FOUND
            until(lambda number=number: server.closed == number)
        assert asking.classify([b"x"]) == FOUND
        assert server.connections == 3
        assert asking.classify([b"x"]) == FOUND
        assert server.connections == 3  # the last one was kept
        asking.close()
        server.script.append(GOOD)
        assert asking.classify([b"x"]) == FOUND and server.connections == 4


def test_a_server_that_starts_late_is_waited_for():
    status = {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": {}}]}
    loading = {"model_version_status": [{"version": "1", "state": "LOADING"}]}
    with fake_rest(busy(404), busy(503), (200, {}, loading), (200, {}, status)) as server, client(server) as asking:
        asking.wait_until_ready(30)
        assert len(server.asked) == 4 and {path for _, _, path, _ in server.asked} == {"/v1/models/m"}
    with fake_rest(default=(200, {}, loading)) as server, client(server) as asking:
        with pytest.raises(ServerError, match=r"available within 2 s \(last: no version is available\)"):
            asking.wait_until_ready(2)
    with fake_rest(busy(403)) as server, client(server) as asking:
        with pytest.raises(ServerError, match="403"):
            asking.wait_until_ready(30)
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        asking = Client(f"http://127.0.0.1:{taken.getsockname()[1]}", "m")
        with pytest.raises(ServerError, match="last: Connection refused"):
            asking.wait_until_ready(0.3)

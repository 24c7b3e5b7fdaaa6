"""How workers find each other on loopback, agree, end together, and hear that one is gone; each a thread here."""

import queue
import socket
import threading
import time

import pytest

from kerascnn._errors import InputError
from kerascnn.training.workers import again, meeting
from kerascnn.training.workers.launch import free_addresses
from kerascnn.training.workers.members import listed


@pytest.fixture
def heard(monkeypatch):
    """What would have ended or replaced this process."""
    said: queue.SimpleQueue = queue.SimpleQueue()
    monkeypatch.setattr(again, "again", lambda finished, reason: said.put((finished, reason)))
    monkeypatch.setattr(again, "stop", lambda reason, status: said.put((status, reason)))
    monkeypatch.setattr(meeting, "_GRACE", 0.2)
    monkeypatch.setattr(meeting, "_BEAT", 0.1)
    monkeypatch.delenv(meeting.LAUNCHER, raising=False)
    return said


def meet_all(count, devices=1, seconds=20.0):
    """The meetings of all workers, or the errors they ended with."""
    addresses, found = free_addresses(count), [None] * count

    def come(index):
        members = listed(addresses, index)
        own = devices[index] if isinstance(devices, list) else devices
        try:
            found[index] = meeting.meet(members, own, seconds, lambda: False, lambda: 7)
        except InputError as error:
            found[index] = error

    threads = [threading.Thread(target=come, args=(index,)) for index in range(count)]
    for thread in reversed(threads):  # the chief last: the others ask until it is there
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join(30)
    return found, addresses


def test_all_know_what_the_chief_says_and_end_together(heard):
    (chief, first, second), addresses = meet_all(3)
    assert chief.addresses == first.addresses == second.addresses == addresses
    told = {"rows": [{"loss": 0.1 + 0.2}], "first": 3}
    assert chief.share(told) == first.share() == second.share() == told
    waiting = [threading.Thread(target=other.finish) for other in (first, second)]
    for thread in waiting:
        thread.start()
    time.sleep(0.1)
    assert all(thread.is_alive() for thread in waiting)  # the chief has not written everything yet
    chief.finish()
    for thread in waiting:
        thread.join(5)
        assert not thread.is_alive()
    assert heard.empty()


@pytest.mark.parametrize("gone", [0, 1])
def test_a_lost_worker_starts_the_others_again(heard, gone):
    found, _ = meet_all(2)
    for link in list(found[gone]._links.values()):  # a thread forgets those that are lost
        link.socket.shutdown(socket.SHUT_RDWR)
    reasons = [heard.get(timeout=5) for _ in range(2)]
    name = "the chief" if gone == 0 else "worker 1"
    assert any(finished == 7 and f"{name} is lost" in reason for finished, reason in reasons)


def test_a_silent_worker_is_lost(heard, monkeypatch):
    monkeypatch.setattr(meeting, "SILENCE", 0.5)
    addresses = free_addresses(2)

    def mute():
        time.sleep(0.2)
        link = meeting.Link(socket.create_connection(("127.0.0.1", int(addresses[0].split(":")[1]))))
        link.send(kerascnn=meeting.__version__, count=2, index=1, devices=1, address=addresses[1])
        heard.put(link)  # kept open

    thread = threading.Thread(target=mute)
    thread.start()
    meeting.meet(listed(addresses, 0), 1, 10.0, lambda: False, lambda: 2)
    thread.join()
    said = [heard.get(timeout=5) for _ in range(2)]
    assert (2, "worker 1 is lost (nothing was heard for 0.5 s)") in said
    next(link for link in said if isinstance(link, meeting.Link)).socket.close()


def test_a_worker_that_fails_ends_all(heard):
    found, _ = meet_all(3)
    found[1].fail("no such file")
    assert [heard.get(timeout=5) for _ in range(2)] == [(2, "Worker 1 has ended: no such file")] * 2


def test_who_does_not_come_is_named(heard):
    addresses = free_addresses(3)
    with pytest.raises(InputError, match="within 0.6 s; raise worker_timeout to wait longer. Missing: 1, 2$"):
        meeting.meet(listed(addresses, 0), 1, 0.6, lambda: False, lambda: 0)
    with pytest.raises(InputError, match=f"no answer from {addresses[0]}"):
        meeting.meet(listed(addresses, 1), 1, 0.6, lambda: False, lambda: 0)
    assert meeting.meet(listed(addresses, 1), 1, 5.0, lambda: True, lambda: 0) is None  # the run is finished


def test_workers_that_do_not_fit_are_refused(heard):
    (chief, other), _ = meet_all(2, devices=[1, 4], seconds=1.0)
    assert "as many devices as the chief, 1. Received: 4 of worker 1" in str(other)
    assert "Missing: 1. Refused: All workers must have as many devices" in str(chief)


def test_an_address_that_is_taken(heard):
    addresses = free_addresses(2)
    port = int(addresses[0].split(":")[1])
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(InputError, match="must be one of this machine's, and free"):
            meeting.meet(listed(addresses, 0), 1, 0.1, lambda: False, lambda: 0)
        # Whoever listens there is no chief: the worker asks again until its time is over.
        with pytest.raises(InputError, match="no answer"):
            meeting.meet(listed(addresses, 1), 1, 0.5, lambda: False, lambda: 0)
    with pytest.raises(InputError, match="must be one of this machine's"):
        meeting.meet(listed(["192.0.2.1:2222", "127.0.0.1:2223"], 0), 1, 0.1, lambda: False, lambda: 0)


def test_starts_that_do_not_help_end(monkeypatch):
    class Ended(Exception):
        pass

    def ended(*arguments):
        raise Ended(arguments)

    monkeypatch.setattr(again.os, "execv", ended)
    monkeypatch.setattr(again, "stop", lambda reason, status: ended(reason, status))
    monkeypatch.setattr(again, "say", lambda text: None)
    monkeypatch.setattr(again.os, "listdir", lambda folder: [])
    monkeypatch.delenv("KERASCNN_STARTS", raising=False)
    for epoch in (1, 1, 2):
        with pytest.raises(Ended):
            again.again(epoch, "lost")
    assert again.os.environ["KERASCNN_STARTS"] == "1 2"  # counted anew from the last finished epoch
    monkeypatch.setenv("KERASCNN_STARTS", f"{again.MOST} 2")
    with pytest.raises(Ended, match="10 starts since the last finished epoch have not helped"):
        again.again(2, "lost")

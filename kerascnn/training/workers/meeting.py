"""How the workers of a training find each other, and how each hears that another one is gone.

Before TensorFlow starts, the chief listens at its own address until all have come; these connections then last as long
as the training. Through them the chief tells what all must agree on, every process shows that it lives, and a process
that is killed is known at once, whatever the others are waiting for. TensorFlow's own connections carry the tensors.
"""

import contextlib
import json
import os
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from kerascnn import __version__
from kerascnn._errors import InputError
from kerascnn.training.workers import again
from kerascnn.training.workers.members import Members, split_address

SILENCE = 60.0  # seconds after which a process that says nothing counts as gone
_BEAT = 2.0  # seconds between two signs of life
_GRACE = 10.0  # seconds to end by oneself, when all have to
_LONGEST = 64 * 2**20  # bytes of a message
LAUNCHER = "KERASCNN_LAUNCHER"  # the number of the process that started the workers and without which they end


class Link:
    """One connection, on which each line is a JSON object.

    Args:
        connection: open.
    """

    def __init__(self, connection: socket.socket):
        connection.settimeout(SILENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.heard = connection, time.monotonic()
        self.waiting: list[dict[str, Any]] = []  # what came with the object that `receive_one` gave
        self._buffer, self._lock = b"", threading.Lock()

    def send(self, **message: Any) -> None:
        """Sends an object.

        Raises:
            OSError: nobody is there any more.
        """
        with self._lock:
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]]:
        """The objects that have come; waits for some bytes.

        Raises:
            OSError: the connection is closed, or what comes is no such object.
        """
        received = self.socket.recv(2**16)
        if not received:
            raise ConnectionError("the connection is closed")
        self.heard = time.monotonic()
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        try:
            messages = [json.loads(line) for line in lines]
        except ValueError as error:  # TensorFlow of an earlier start may still listen at that address
            raise ConnectionError("this is no worker") from error
        if len(self._buffer) > _LONGEST or not all(isinstance(message, dict) for message in messages):
            raise ConnectionError("this is no worker")
        return messages

    def receive_one(self, seconds: float, meanwhile: Callable[[], bool] = lambda: False) -> dict[str, Any] | None:
        """The next object; None where `meanwhile`, asked every second, becomes true, or the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not meanwhile():
            if select.select([self.socket], [], [], min(1.0, max(0.0, end - time.monotonic())))[0]:
                messages = self.receive()
                if messages:
                    self.waiting = messages[1:]
                    return messages[0]
        return None


class Meeting:
    """All workers of one start of a training, connected.

    Args:
        members: who they are.
        links: index of a worker -> the connection: to all others for the chief, to the chief for the others.
        addresses: host:port of all.
        finished: how many epochs are finished.
    """

    def __init__(self, members: Members, links: dict[int, Link], addresses: list[str], finished: Callable[[], int]):
        self.addresses = addresses
        self._members, self._links, self._finished = members, links, finished
        self._shared: queue.SimpleQueue = queue.SimpleQueue()
        self._over, self._done = False, threading.Event()
        parent = os.environ.get(LAUNCHER, "")
        self._parent = int(parent) if parent.isdecimal() else None
        threading.Thread(target=self._watch, name="workers", daemon=True).start()

    def share(self, value: Any = None) -> Any:
        """Gives all workers what the chief has; each of them calls this at the same place.

        Args:
            value: JSON values, of the chief.

        Returns:
            The chief's value.
        """
        if not self._members.is_chief:
            return self._shared.get()
        for index, link in list(self._links.items()):
            self._send(index, link, share=value)
        return json.loads(json.dumps(value))

    def finish(self) -> None:
        """Ends the training: the chief says that all is written, and the others wait for it."""
        if not self._members.is_chief:
            self._done.wait()
            self._links.pop(0).socket.close()
            return
        self._over = True
        for index, link in list(self._links.items()):
            self._send(index, link, done=True)
        end = time.monotonic() + _GRACE / 2
        while self._links and time.monotonic() < end:  # the chief's TensorFlow should be the last to end
            time.sleep(0.05)

    def fail(self, text: str) -> None:
        """Ends the training of all, because this worker cannot go on and a new start would not help.

        Args:
            text: why, for the others.
        """
        self._over = True
        for index, link in list(self._links.items()):
            self._send(index, link, failed=f"Worker {self._members.index} has ended: {text}")

    def wait_for_loss(self) -> None:
        """Starts this process again after TensorFlow has lost another one; does not return."""
        time.sleep(_GRACE / 2)  # who is lost is then known, and said, by the other thread
        again.again(self._finished(), "another worker is lost")

    def _send(self, index, link, **message):
        try:
            link.send(**message)
        except OSError as error:
            self._gone(index, error)

    def _watch(self):
        beat = 0.0
        while True:
            links = dict(self._links)
            if not links and self._over:
                return
            try:
                ready = select.select([link.socket for link in links.values()], [], [], _BEAT / 4)[0]
            except (OSError, ValueError):  # closed by another thread meanwhile
                continue
            for index, link in links.items():
                try:
                    messages, link.waiting = link.waiting, []
                    messages += link.receive() if link.socket in ready else []
                    for message in messages:
                        self._handle(index, message)
                    if time.monotonic() - link.heard > SILENCE:
                        raise ConnectionError(f"nothing was heard for {SILENCE:g} s")
                except OSError as error:
                    self._gone(index, error)
            if self._parent not in (None, os.getppid()):
                again.stop("the process that started the workers has ended", 1)
            if time.monotonic() - beat > _BEAT:
                beat = time.monotonic()
                for index, link in list(self._links.items()):
                    self._send(index, link, alive=True)

    def _handle(self, index, message):
        if "share" in message:
            self._shared.put(message["share"])
        elif "done" in message:
            self._over = True
            self._done.set()
        elif "failed" in message:
            self._over = True
            for other, link in list(self._links.items()):
                if other != index:
                    self._send(other, link, failed=message["failed"])
            # Often this one has just found the same out, and says it better.
            timer = threading.Timer(_GRACE, again.stop, [str(message["failed"]), 2])
            timer.daemon = True
            timer.start()

    def _gone(self, index, error):
        link = self._links.pop(index, None)
        if link is not None:
            link.socket.close()
        if not self._over:
            name = "the chief" if index == 0 else f"worker {index}"
            again.again(self._finished(), f"{name} is lost ({error})")


def meet(
    members: Members, devices: int, seconds: float, over: Callable[[], bool], finished: Callable[[], int]
) -> Meeting | None:
    """Waits until all workers have come.

    Args:
        members: who they are.
        devices: how many this process computes on; all must have as many.
        seconds: how long to wait.
        over: whether the training has ended meanwhile.
        finished: how many epochs are finished.

    Returns:
        The meeting; None where the training has ended.

    Raises:
        InputError: the time is over, the address is not to be had, or the chief refuses this worker.
    """
    hello = {"kerascnn": __version__, "count": members.count, "index": members.index, "devices": devices}
    if not members.is_chief:
        return _come(members, {**hello, "address": members.own}, seconds, over, finished)
    links, addresses = _gather(members, hello, seconds)
    return Meeting(members, links, addresses, finished)


def _gather(members, hello, seconds):
    """The chief's part: the connection to each other worker, and the addresses of all."""
    end, refused = time.monotonic() + seconds, ""
    links: dict[int, Link] = {}
    addresses = {0: members.chief}
    with _listen(members.chief, end) as listener:
        while len(links) < members.count - 1:
            if time.monotonic() > end:
                for link in links.values():
                    link.socket.close()
                missing = [str(index) for index in range(1, members.count) if index not in links]
                rule = f"All {members.count} workers must have come within {seconds:g} s"
                raise InputError(f"{rule}; raise worker_timeout to wait longer. Missing: {', '.join(missing)}{refused}")
            ready = select.select([listener, *(link.socket for link in links.values())], [], [], 0.5)[0]
            for index, link in list(links.items()):
                if link.socket in ready:  # while it waits it says nothing: it has gone, and may come again
                    del links[index]
                    link.socket.close()
            if listener not in ready:
                continue
            link = Link(listener.accept()[0])
            try:
                guest = link.receive_one(5.0) or {}
                reason = _objection(hello, guest)
                if reason:
                    refused = f". Refused: {reason}"
                    link.send(refused=reason)
                    link.socket.close()
                else:
                    links[guest["index"]], addresses[guest["index"]] = link, guest["address"]
            except OSError:
                link.socket.close()
    found = [addresses[index] for index in range(members.count)]
    for link in links.values():
        link.heard = time.monotonic()
        with contextlib.suppress(OSError):  # it has just gone, which the meeting will notice
            link.send(welcome=found)
    return links, found


def _objection(own, guest) -> str:
    """Why the chief cannot work with a worker; empty where it can."""
    if guest.get("kerascnn") != own["kerascnn"]:
        return f"All workers must have kerascnn {own['kerascnn']}. Received: {str(guest.get('kerascnn'))[:40]}"
    index = guest.get("index")
    if guest.get("count") != own["count"] or not isinstance(index, int) or not 0 < index < own["count"]:
        received = f"worker {index} of {guest.get('count')}"
        return f"There are {own['count']} workers, of which 0 is the chief. Received: {received}"
    if guest.get("devices") != own["devices"]:
        received = f"{guest.get('devices')} of worker {index}"
        return f"All workers must have as many devices as the chief, {own['devices']}. Received: {received}"
    return ""


def _listen(address, end) -> socket.socket:
    host, port = split_address(address)
    while True:
        try:
            return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            if time.monotonic() > end:
                rule = "The chief's address must be one of this machine's, and free"
                raise InputError(f"{rule}. Received: {address} ({error.strerror or error})") from error
        time.sleep(0.5)


def _come(members, hello, seconds, over, finished):
    """The other workers' part; asks again while the chief is not there or still busy with its last start."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if over():
            return None
        link, answer = None, {}
        with contextlib.suppress(OSError):
            link = Link(socket.create_connection(split_address(members.chief), timeout=2.0))
            link.send(**hello)
            answer = link.receive_one(end - time.monotonic(), over) or {}
        if link is not None and "welcome" in answer:
            return Meeting(members, {0: link}, list(answer["welcome"]), finished)
        if link is not None:
            link.socket.close()
        if "refused" in answer:
            raise InputError(str(answer["refused"]))
        time.sleep(0.5)
    raise InputError(
        f"The chief must have answered within {seconds:g} s; raise worker_timeout to wait longer. "
        f"Received: no answer from {members.chief}"
    )

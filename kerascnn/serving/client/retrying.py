"""Trying again: how often, after which pauses, and for how long altogether."""

import dataclasses
import itertools
import random
import time
from collections.abc import Callable
from typing import TypeVar

from kerascnn import _check
from kerascnn.serving.client.errors import ServerError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Retries:
    """How a client tries again after broken connections, 429 (RESOURCE_EXHAUSTED) and 503 (UNAVAILABLE).

    The n-th pause is drawn evenly between half of and the whole of `shortest * 2**(n - 1)`, at most `longest`, so that
    clients which were refused together do not come back together. Where the server says how long to wait
    (Retry-After), it is at least that.

    Args:
        attempts: how often a request is sent at most; 1: never again.
        shortest: seconds of the first pause.
        longest: seconds of the longest pause that the client chooses itself.

    Raises:
        InputError: a number is out of its range.

    Example:

        from kerascnn.serving import Client, Retries

        client = Client("http://localhost:8501", "flowers", retries=Retries(attempts=8, longest=10))
    """

    attempts: int = 4
    shortest: float = 0.1
    longest: float = 5.0

    def __post_init__(self):
        _check.whole("attempts", self.attempts, 1)
        _check.real("shortest", self.shortest, 0.0)
        _check.real("longest", self.longest, self.shortest)

    def pause(self, attempt: int, wait: float = 0.0) -> float:
        """Seconds to wait before the next attempt.

        Args:
            attempt: the number of the one that failed, from 1.
            wait: what the server asks for.
        """
        most = min(self.longest, self.shortest * 2.0 ** min(attempt - 1, 60))
        return max(wait, random.uniform(most / 2, most))


class Deadline:
    """The moment at which an answer must be there, whatever number of attempts it takes.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then, negative after it."""
        return self._end - time.monotonic()


def persist(attempt: Callable[[], T], retries: Retries, deadline: Deadline) -> T:
    """Calls a function until it gives an answer.

    Args:
        attempt: asks the server once.
        retries: the limits.
        deadline: no pause ends after it.

    Returns:
        What `attempt` gave.

    Raises:
        ServerError: the last one, where another attempt would not help, or none is left.
    """
    for number in itertools.count(1):
        try:
            return attempt()
        except ServerError as error:
            error.attempts = number
            pause = retries.pause(number, error.wait)
            more = error.passing and error.wait >= 0 and number < retries.attempts
            if not more or pause >= deadline.left():
                raise
        time.sleep(pause)
    raise AssertionError

"""Many images as requests of a limited size, several on their way at a time."""

import collections
import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def split(items: Iterable[T], size: Callable[[T], int], most: int, most_bytes: int) -> Iterator[list[T]]:
    """Items in groups, in their order.

    Args:
        items: read no further than the group that is asked for.
        size: the bytes of one.
        most: items of a group.
        most_bytes: of a group with more than one item.

    Returns:
        The groups, none of them empty.
    """
    group: list[T] = []
    total = 0
    for item in items:
        count = size(item)
        if group and (len(group) >= most or total + count > most_bytes):
            yield group
            group, total = [], 0
        group.append(item)
        total += count
    if group:
        yield group


def in_order(ask: Callable[[Any], T], groups: Iterable[Any], in_flight: int) -> Iterator[T]:
    """The answers to groups, in the order of the groups.

    Args:
        ask: answers one group; called in threads.
        groups: read only as far as they can be sent.
        in_flight: how many are asked at a time.

    Returns:
        The answers.

    Raises:
        Exception: what `ask` raised for the first group that failed; those that were not begun are then left out.
    """
    groups = iter(groups)
    first = list(itertools.islice(groups, 2))
    if len(first) < 2 or in_flight == 1:
        for group in itertools.chain(first, groups):
            yield ask(group)
        return
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(in_flight, "kerascnn-client") as threads:
        try:
            for group in itertools.chain(first, groups):
                waiting.append(threads.submit(ask, group))
                if len(waiting) >= in_flight:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

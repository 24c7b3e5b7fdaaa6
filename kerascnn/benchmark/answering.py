"""A process that is asked how long one call takes: its side of the conversation, with the standard library alone.

Subjects of a benchmark run in processes of their own, some in interpreters that have no kerascnn: PyTorch's side loads
this file by its path. The first line on standard input describes the subject, and is answered when it is warm; each
line after it asks for some calls, and is answered with their seconds. All lines are JSON.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

CLOCKS = ("wall", "processor")
FAILED = "writing failed"  # begins the reason where an export broke off, which is no refusal
WARM_UP = 3  # calls that do not count when a process begins
_WARM = 10.0  # seconds of warm-up after which no further call is made
_REST = 0.2  # seconds after each turn: threads of a pool turn for a while after their work, and would disturb the next


class Refused(Exception):
    """What was asked cannot be done, for a reason that a user can be told."""


def timed(
    call: Callable[[], object], runs: int, limit: float = 2.0, copies: int = 1, clock: str = "wall"
) -> list[float]:
    """Times calls after one that does not count unless it takes longer than all may.

    Args:
        call: what to time; it ran before.
        runs: how often; fewer where they take longer than `limit` in all.
        limit: seconds.
        copies: how often one call does what is timed.
        clock: "wall"; or "processor", the time that processors gave to all threads of this process, which other
            programs disturb less.

    Returns:
        Seconds of each, divided by `copies`.
    """
    now = time.perf_counter if clock == "wall" else time.process_time
    seconds = []
    gc.collect()
    gc.disable()  # as timeit does
    try:
        for _ in range(runs + 1):
            start = now()
            call()
            seconds.append(now() - start)
            if sum(seconds) > limit:
                break
    finally:
        gc.enable()
    return [value / copies for value in seconds[1:] or seconds]


def memory() -> dict[str, int]:
    """Bytes of memory that this process holds "now", and its "peak" so far; 0 where the system does not tell.

    What `resource` tells is on Linux at least what the process held from which this one was started.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            said = dict(line.split(":", 1) for line in file)
        return {"now": 1024 * int(said["VmRSS"].split()[0]), "peak": 1024 * int(said["VmHWM"].split()[0])}
    except (OSError, KeyError):
        pass
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return {"now": 0, "peak": 0}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"now": 0, "peak": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def answer(prepare: Callable[[dict[str, Any]], tuple[Callable[[], object] | None, dict[str, Any]]]) -> None:
    """Answers until standard input ends.

    Args:
        prepare: the description of a subject -> the call to be timed (None: there is nothing to time), and what is told
            of it; raises `Refused`. The description says the "clock", and the "limit" of a turn in seconds.
    """
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print

    def say(record: dict[str, Any]) -> None:
        out.write(json.dumps(record) + "\n")
        out.flush()

    subject = json.loads(sys.stdin.readline())
    try:
        call, facts = prepare(subject)
    except Refused as error:
        say({"refused": " ".join(str(error).split())})
        return
    if call is None:
        say({"facts": facts})
        return
    start = time.perf_counter()
    for _ in range(WARM_UP):
        call()
        if time.perf_counter() - start > _WARM:
            break
    say({"facts": facts})
    for line in sys.stdin:
        seconds = timed(call, json.loads(line)["runs"], subject["limit"], clock=subject["clock"])
        peak = memory()["peak"]
        time.sleep(_REST)
        say({"seconds": seconds, "peak": peak})

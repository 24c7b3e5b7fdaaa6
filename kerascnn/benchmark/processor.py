"""Which processor this is."""

import os
import platform
from pathlib import Path

from kerascnn import _check


def processor() -> str:
    """Name of the processor and number of its cores."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def threads(wanted: int | None) -> int:
    """How many threads subjects get.

    Args:
        wanted: None: as many as this process may use cores.

    Raises:
        InputError: fewer than 1.
    """
    if wanted is not None:
        return _check.whole("threads", wanted, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

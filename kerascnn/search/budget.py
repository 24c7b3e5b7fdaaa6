"""What a search may cost: trials or time."""

import math
import re

import numpy as np

from kerascnn import _check

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_budget(budget: int | str) -> tuple[float, float]:
    """What a budget allows.

    Args:
        budget: a number of trials, or a time, "90s", "20m", "8h" or "2d".

    Returns:
        Trials and seconds, one of them infinite.

    Raises:
        InputError: it is neither.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd])", budget) if isinstance(budget, str) else None
    if match and float(match[1]) > 0:
        return math.inf, float(match[1]) * _UNITS[match[2]]
    if isinstance(budget, str) or isinstance(budget, bool) or not isinstance(budget, int | np.integer) or budget < 1:
        raise _check.refuse("budget", 'a number of trials, at least 1, or a time, such as "90s", "20m" or "8h"', budget)
    return int(budget), math.inf

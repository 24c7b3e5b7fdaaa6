"""How far a measured share may be from the true one."""

import math
import statistics

from kerascnn import _check


def wilson(right: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """The score interval of a share: the true shares for which what was counted is not unlikely.

    It is asymmetric near 0 and 1, where the usual `share ± 1.96 deviations` leaves [0, 1] or has no width.

    Args:
        right: how many of `count` were right.
        count: how many there were, at least 1.
        level: how often such an interval holds the true share, in (0, 1).

    Returns:
        (low, high), both in [0, 1].

    Raises:
        InputError: an argument is out of its range.

    Source:
        Wilson: Probable Inference, the Law of Succession, and Statistical Inference, 1927,
        doi.org/10.1080/01621459.1927.10502953.

    Example:

        evaluation.wilson(9_500, 10_000)  # (0.9455..., 0.9541...)
    """
    count = _check.whole("count", count, 1)
    right = _check.whole("right", right, 0, count)
    z = statistics.NormalDist().inv_cdf((1 + _check.real("level", level, 0, 1, above=True, below=True)) / 2)
    share, scale = right / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low = 0.0 if right == 0 else max(0.0, middle - half)
    high = 1.0 if right == count else min(1.0, middle + half)
    return low, high

"""Several aims at once: MnasNet's reward, and the Pareto front.

Tan et al.: MnasNet: Platform-Aware Neural Architecture Search for Mobile, 2018, arXiv:1807.11626.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn._errors import InputError

SOFT = (-0.07, -0.07)  # twice the cost is worth 5 % of the accuracy, on both sides of the target
HARD = (0.0, -1.0)  # what is below the target costs nothing; above it, twice the cost halves the reward


def mnasnet_reward(accuracy: float, cost: float, target: float, exponents: tuple[float, float] = SOFT) -> float:
    """accuracy (cost / target)^w, where w is the first exponent up to the target and the second above it.

    Args:
        accuracy: at least 0.
        cost: such as multiply-adds or milliseconds, greater than 0.
        target: of the cost, greater than 0.
        exponents: at most 0 each: `SOFT`, `HARD`, or others.

    Returns:
        The reward.

    Raises:
        InputError: an argument is out of range.

    Source:
        Tan et al., 2018, equations 2 and 3.
    """
    accuracy = _check.real("accuracy", accuracy, 0.0)
    ratio = _check.real("cost", cost, 0.0, above=True) / _check.real("target", target, 0.0, above=True)
    if not isinstance(exponents, Sequence) or len(exponents) != 2:
        raise _check.refuse("exponents", "two numbers, at most 0", exponents)
    below, above = (_check.real("an exponent", exponent, high=0.0) for exponent in exponents)
    return accuracy * ratio ** (below if ratio <= 1 else above)


def pareto_front(points: npt.ArrayLike, maximize: Sequence[bool]) -> np.ndarray:
    """Which points no other beats: none is as good in everything and better in something.

    Args:
        points: numbers [n, aims].
        maximize: of each aim whether more is better.

    Returns:
        int [m]: the places of the front's points, those that are best in the first aim first; equal points all count.

    Raises:
        InputError: they are no such numbers, or not finite.

    Example:

        pareto_front([[0.9, 300], [0.8, 400], [0.7, 100]], maximize=(True, False))  # 0, 2: more accuracy, fewer MACs
    """
    try:
        table = np.asarray(points, "float64")
    except (TypeError, ValueError):
        table = np.empty(0)
    aims = tuple(_check.flag("maximize", aim) for aim in maximize)
    if table.ndim != 2 or table.shape[1] != len(aims) or not aims:
        raise InputError(f"points must be numbers [n, {len(aims)}], an aim each. Received: shape {table.shape}")
    if not np.isfinite(table).all():
        raise InputError("points must be finite. Received: NaN or infinity among them")
    table = np.where(aims, table, -table)
    order = np.lexsort(-table.T[::-1])  # what beats a point comes before it
    front: list[int] = []
    for place in order:
        rivals = table[front]
        if not ((rivals >= table[place]).all(1) & (rivals > table[place]).any(1)).any():
            front.append(int(place))
    return np.array(front, int)

"""Paths of low loss between two points: a band of pivots that slides down across itself, never along itself.

Nothing here knows of networks: a point is a vector, a loss a function of it.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

Measure = Callable[[np.ndarray], Sequence[float] | np.ndarray | float]  # a point [n] -> its loss, and what else is told
Slopes = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # path [p, n] -> losses [p], inner gradients [p - 2, n]

BETWEEN = 9  # points between two pivots where a path is measured


@dataclasses.dataclass(frozen=True)
class Band:
    """A path between two points, the lowest that was found."""

    path: np.ndarray  # float64 [pivots + 2, n], with both ends
    places: np.ndarray  # [points], shares of its length at which it was measured, 0 to 1
    values: np.ndarray  # [points, numbers] there; the first number is the loss
    line: np.ndarray  # [points, numbers] at equal distances on the straight line
    heights: np.ndarray  # [1 + cycles], the highest loss of the straight line, maybe infinite, and after each cycle;
    # NaN: the band was no longer finite

    @property
    def height(self) -> float:
        """The highest loss on the path."""
        return float(np.nanmin(self.heights))


def auto_band(
    start: np.ndarray,
    end: np.ndarray,
    measure: Measure,
    slopes: Slopes,
    cycles: Sequence[tuple[int, float]],
    *,
    pivots: int = 3,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    excess: float = 0.1,
    most: int = 2,
) -> Band:
    """Lets a straight band slide down in cycles; from the second on, pivots are added where it is least resolved.

    Args:
        start, end: points [n], which stay as they are.
        measure: point -> loss and other numbers, of all data.
        slopes: path -> losses of all pivots and gradients of the inner ones, of the same mini-batch.
        cycles: (steps, learning rate) of each.
        pivots: at first, at equal distances.
        momentum: of the steps.
        weight_decay: times a pivot is added to its gradient.
        excess, most: see `inserted`.

    Returns:
        The lowest of the straight line and the path after each cycle. A band that is no longer finite ends.

    Source: Draxler, Veschgini, Salmhofer, Hamprecht: Essentially No Barriers in Neural Network Energy Landscape, 2018,
    arXiv:1803.00885.
    """
    path, shares = straight(start, end, pivots), np.ones(pivots + 1)
    places, values = profile(path, measure)
    best, line, heights = (path, places, values), values, np.full(1 + len(cycles), np.nan)
    heights[0] = np.nan_to_num(values[:, 0], nan=np.inf).max()
    for number, (steps, rate) in enumerate(cycles, 1):
        if number > 1:
            path, shares = inserted(path, shares, values[:, 0], excess, most)
        path = relaxed(path, shares, slopes, steps, rate, momentum, weight_decay)
        if not np.isfinite(path).all():
            break
        places, values = profile(path, measure)
        if not np.isfinite(values).all():
            break
        heights[number] = values[:, 0].max()
        if heights[number] < np.nanmin(heights[:number]):
            best = path, places, values
    return Band(*best, line, heights)


def straight(start: np.ndarray, end: np.ndarray, pivots: int) -> np.ndarray:
    """[pivots + 2, n]: two points and others at equal distances on the line between them."""
    path = start + np.linspace(0, 1, pivots + 2)[:, None] * (end - start)
    path[-1] = end  # start + (end - start) may be rounded
    return path


def redistributed(path: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Moves the inner pivots along a path such that the distances between them, along it, are as `shares`.

    Args:
        path: [p, n].
        shares: positive [p - 1]; all the same: equal distances.
    """
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    places = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = places[-1] * np.cumsum(shares)[:-1] / np.sum(shares)
    left = np.clip(np.searchsorted(places, wanted, side="right"), 1, len(path) - 1) - 1
    rest = np.divide(wanted - places[left], lengths[left], out=np.zeros(len(left)), where=lengths[left] > 0)
    found = path.copy()
    found[1:-1] = path[left] + rest[:, None] * (path[left + 1] - path[left])
    return found


def tangents(path: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Unit vectors [p - 2, n] along a path at its inner pivots: from or to the neighbor that is higher.

    Where both neighbors are higher or both are lower, both directions count, weighted by the differences of the losses
    such that the higher neighbor's has the larger one: a tangent that jumped there would keep the band from settling.

    Source: Henkelman, Jonsson: Improved tangent estimate in the nudged elastic band method, 2000, equations 8 to 11.
    """
    directions = _units(np.diff(path, axis=0))
    before, after = losses[:-2] - losses[1:-1], losses[2:] - losses[1:-1]
    rises = after > before
    small, large = np.sort(np.abs([before, after]), axis=0)
    between = before * after < 0
    small, large = np.where(between, 0.0, small), np.where(between, 1.0, large)
    small, large = (np.where(large > 0, part, 1.0) for part in (small, large))  # all the same: both directions
    weights = np.where(rises, [small, large], [large, small])[..., None]
    return _units(weights[0] * directions[:-1] + weights[1] * directions[1:])


def across(gradients: np.ndarray, along: np.ndarray) -> np.ndarray:
    """What gradients [p, n] have across unit vectors [p, n]."""
    return gradients - np.sum(gradients * along, axis=1, keepdims=True) * along


def relaxed(
    path: np.ndarray, shares: np.ndarray, slopes: Slopes, steps: int, rate: float, momentum: float, weight_decay: float
) -> np.ndarray:
    """The path after gradient steps of its inner pivots across it; in each, they are first put at their distances."""
    speed = np.zeros_like(path[1:-1])
    for _ in range(steps):
        path = redistributed(path, shares)
        losses, gradients = slopes(path)
        if not (np.isfinite(losses).all() and np.isfinite(gradients).all()):
            return np.full_like(path, np.nan)
        speed = momentum * speed - rate * across(gradients + weight_decay * path[1:-1], tangents(path, losses))
        path[1:-1] += speed
    return redistributed(path, shares)


def profile(path: np.ndarray, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
    """(places [q], values [q, numbers]) of a path, at its pivots and at `BETWEEN` points between each two."""
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    places, values = [], []
    for segment, length in enumerate(lengths):
        for rest in np.arange(BETWEEN + 1) / (BETWEEN + 1):
            places.append(starts[segment] + rest * length)
            values.append(np.atleast_1d(measure(path[segment] + rest * (path[segment + 1] - path[segment]))))
    places.append(starts[-1])
    values.append(np.atleast_1d(measure(path[-1])))
    return np.array(places) / (starts[-1] or 1.0), np.array(values, "float64")


def inserted(
    path: np.ndarray, shares: np.ndarray, losses: np.ndarray, excess: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Adds pivots where the loss is highest above the straight line between the losses of two pivots.

    Args:
        path: [p, n].
        shares: [p - 1]; a segment that gets a pivot has its share divided.
        losses: of the points of `profile`.
        excess: what the loss must be above the line, in differences of the highest and the lowest pivot.
        most: how many are added, at most one between two.

    Returns:
        Path and shares.
    """
    rest = np.arange(1, BETWEEN + 1) / (BETWEEN + 1)
    ends, inner = losses[:: BETWEEN + 1], losses[:-1].reshape(-1, BETWEEN + 1)[:, 1:]
    above = inner - (ends[:-1, None] * (1 - rest) + ends[1:, None] * rest)
    segments = np.argsort(-above.max(axis=1))[:most]
    segments = np.sort(segments[above.max(axis=1)[segments] > excess * (ends.max() - ends.min())])
    at = rest[above[segments].argmax(axis=1)]
    points = path[segments] + at[:, None] * (path[segments + 1] - path[segments])
    shares = np.insert(shares.astype("float64"), segments, at * shares[segments])
    shares[segments + np.arange(len(segments)) + 1] *= 1 - at
    return np.insert(path, segments + 1, points, axis=0), shares


def explored(losses: np.ndarray, connect: Callable[[int, int], float], rounds: int) -> np.ndarray:
    """Connects minima until there is a spanning tree, and then looks for lower ways around its highest edges.

    Args:
        losses: [m] of the minima.
        connect: two minima -> the highest loss on a path between them.
        rounds: how many further pairs are tried, each to replace the highest edge for which there is an untried one.

    Returns:
        float64 [m, m]: the highest losses; NaN: not tried.
    """
    heights, order = np.full((len(losses), len(losses)), np.nan), np.argsort(losses)
    pairs = [(int(order[0]), int(other)) for other in order[1:]]
    for number in range(len(pairs) + rounds):
        pair = pairs[number] if number < len(pairs) else _around(heights, order)
        if pair is None:
            break
        heights[pair] = heights[pair[::-1]] = connect(*pair)
    return heights


def spanning_tree(heights: np.ndarray) -> list[tuple[int, int]]:
    """The edges of the minimum spanning tree of a symmetric matrix, from the lowest; what is NaN is no edge."""
    pairs = [(first, second) for second in range(len(heights)) for first in range(second)]
    groups, tree = {minimum: {minimum} for minimum in range(len(heights))}, []
    for first, second in sorted(
        (pair for pair in pairs if not np.isnan(heights[pair])), key=lambda pair: heights[pair]
    ):
        if second not in groups[first]:
            tree.append((first, second))
            joined = groups[first] | groups[second]
            groups.update(dict.fromkeys(joined, joined))
    return tree


def saddles(heights: np.ndarray) -> np.ndarray:
    """[m, m]: the highest loss between each two minima on the way along the spanning tree; 0 from one to itself."""
    found = np.where(np.eye(len(heights), dtype=bool), 0.0, np.inf)
    for edge in spanning_tree(heights):
        found[edge] = found[edge[::-1]] = heights[edge]
    for middle in range(len(heights)):
        found = np.minimum(found, np.maximum(found[:, middle, None], found[middle]))
    return found


def _around(heights: np.ndarray, order: np.ndarray) -> tuple[int, int] | None:
    """The next pair that could replace an edge of the spanning tree, of the highest one that there is any for."""
    tree = spanning_tree(heights)
    for edge in reversed(tree):
        group = {edge[0]}
        for _ in tree:  # grows along what is left
            group.update(*({*other} for other in tree if other != edge and group & {*other}))
        for first in (one for one in order if one in group):
            for second in (one for one in order if one not in group):
                if np.isnan(heights[first, second]):
                    return int(first), int(second)
    return None


def _units(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)

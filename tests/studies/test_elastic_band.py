"""The elastic band on potentials of two dimensions whose saddles are known."""

import itertools

import numpy as np
import pytest

from kerascnn.studies import elastic_band as band

RANDOM = np.random.default_rng(0)


def curvy(point):
    """A valley along y = 1 - x^2 with minima of 0 at (-1, 0), (1, 0) and a saddle of 1 at (0, 1)."""
    x, y = point
    return (x**2 - 1) ** 2 + 10 * (y - 1 + x**2) ** 2


def curvy_slope(point):
    x, y = point
    return np.array([4 * x * (x**2 - 1) + 40 * x * (y - 1 + x**2), 20 * (y - 1 + x**2)])


def egg_carton(point):
    """Minima of -2 at all (a + 1/2, b + 1/2), saddles of 0 between neighbors."""
    return np.cos(2 * np.pi * point).sum()


def egg_slope(point):
    return -2 * np.pi * np.sin(2 * np.pi * point)


def slopes_of(height, slope):
    return lambda path: (np.array([height(x) for x in path]), np.array([slope(x) for x in path[1:-1]]))


def found(height, slope, start, end, cycles=((100, 0.01),) * 5 + ((200, 0.001),) * 2):
    return band.auto_band(np.array(start), np.array(end), height, slopes_of(height, slope), cycles)


@pytest.mark.parametrize(
    "height, slope, start, end, saddle",
    [
        (curvy, curvy_slope, (-1.0, 0.0), (1.0, 0.0), 1.0),
        (egg_carton, egg_slope, (0.5, 0.5), (2.5, 1.5), 0.0),
    ],
)
def test_the_height_of_a_saddle(height, slope, start, end, saddle):
    result = found(height, slope, start, end)
    assert result.height == pytest.approx(saddle, abs=1e-3)
    assert result.height < result.heights[0] - 1  # much below the straight line
    assert result.height == np.nanmin(result.heights) and np.isfinite(result.heights).all()
    np.testing.assert_array_equal(result.path[[0, -1]], [start, end])
    assert len(result.path) > 5  # pivots were added
    line = np.linspace(start, end, len(result.line))
    np.testing.assert_allclose(result.line[:, 0], [height(x) for x in line], atol=1e-9)


def test_a_line_that_is_the_valley_stays():
    result = found(egg_carton, egg_slope, (0.5, 0.5), (1.5, 0.5))
    assert result.height == pytest.approx(0.0, abs=1e-12)


def test_from_a_point_to_itself_there_is_no_barrier():
    for point in ((-1.0, 0.0), (0.3, 0.2)):
        result = found(curvy, curvy_slope, point, point, ((5, 0.01),))
        assert result.height - curvy(point) == 0.0 and (result.places >= 0).all()


def test_a_band_that_flies_away_leaves_the_line():
    with np.errstate(over="ignore", invalid="ignore"):
        result = found(curvy, curvy_slope, (-1.0, 0.0), (1.0, 0.2), ((50, 10.0), (50, 10.0)))
    np.testing.assert_array_equal(np.isnan(result.heights), [False, True, True])
    assert result.height == result.heights[0] == result.line[:, 0].max()


def test_distances_are_as_wanted():
    start, end = RANDOM.normal(size=(2, 7))
    path = start + np.array([0, 0.1, 0.15, 0.9, 1])[:, None] * (end - start)
    path[-1] = end
    equal = band.redistributed(path, np.ones(4))
    lengths = np.linalg.norm(np.diff(equal, axis=0), axis=1)
    np.testing.assert_allclose(lengths, lengths.mean(), rtol=1e-12)
    other = band.redistributed(path, np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(np.diff(other @ (end - start)) / ((end - start) ** 2).sum(), [0.1, 0.2, 0.3, 0.4])
    # Around corners: along the old path; again and again, it gets to equal chords.
    corners = RANDOM.normal(size=(6, 7))
    moved = band.redistributed(corners, np.ones(5))
    for pivot in moved:  # all are on the old path
        starts, sides = corners[:-1], np.diff(corners, axis=0)
        rest = np.clip(((pivot - starts) * sides).sum(1) / (sides**2).sum(1), 0, 1)
        assert np.linalg.norm(starts + rest[:, None] * sides - pivot, axis=1).min() < 1e-12
    np.testing.assert_array_equal(moved[[0, -1]], corners[[0, -1]])
    for _ in range(200):
        moved = band.redistributed(moved, np.ones(5))
    lengths = np.linalg.norm(np.diff(moved, axis=0), axis=1)
    np.testing.assert_allclose(lengths, lengths.mean(), rtol=1e-6)
    same = np.ones((4, 2))
    np.testing.assert_array_equal(band.redistributed(same, np.ones(3)), same)


def test_tangents_look_to_the_higher_neighbor():
    path = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    before, after = np.array([1.0, 0.0]), np.array([0.0, 1.0])

    def tangent(*losses):
        return band.tangents(path, np.array(losses))[0]

    np.testing.assert_array_equal(tangent(1.0, 2.0, 3.0), after)
    np.testing.assert_array_equal(tangent(3.0, 2.0, 1.0), before)
    unit = np.array([1.0, 3.0]) / np.sqrt(10)
    np.testing.assert_allclose(tangent(0.0, 3.0, 2.0), unit)  # a maximum: 3 to 1, the end is the higher one
    np.testing.assert_allclose(tangent(2.0, 3.0, 0.0), unit[::-1])
    np.testing.assert_allclose(tangent(1.0, 0.0, 3.0), unit)  # a minimum
    np.testing.assert_allclose(tangent(3.0, 0.0, 1.0), unit[::-1])
    np.testing.assert_allclose(tangent(1.0, 1.0, 1.0), np.sqrt([0.5, 0.5]))
    np.testing.assert_allclose(tangent(1.0, 1.0, 3.0), after)


def test_nothing_is_left_along_the_path():
    path, losses = RANDOM.normal(size=(9, 50)), RANDOM.normal(size=9)
    along, gradients = band.tangents(path, losses), RANDOM.normal(size=(7, 50))
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), 1, rtol=1e-12)
    left = band.across(gradients, along)
    assert abs((left * along).sum(1)).max() < 1e-6
    np.testing.assert_allclose(left + (gradients * along).sum(1)[:, None] * along, gradients)


def test_steps_are_of_momentum_with_decay_and_the_ends_stay():
    start, end, pull = np.array([-1.0, 0.5]), np.array([1.0, 0.5]), np.array([0.25, -2.0])
    path, shares = band.straight(start, end, 1), np.ones(2)
    moved = band.relaxed(path, shares, lambda path: (np.zeros(3), pull[None]), 2, 0.1, 0.9, 0.01)
    height, speed = 0.5, 0.0
    for _ in range(2):  # the middle moves up and down alone
        speed = 0.9 * speed - 0.1 * (pull[1] + 0.01 * height)
        height += speed
    np.testing.assert_allclose(moved[1], [0, height], atol=1e-12)
    np.testing.assert_array_equal(moved[[0, 2]], [start, end])


def test_pivots_are_added_where_the_line_misses_most():
    path, shares = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]]), np.array([1.0, 1.0, 2.0, 1.0])
    losses = np.interp(np.arange(41) / 10, np.arange(5), [0, 1, 2, 1, 0])
    losses[3] += 0.5  # of a range of 2
    losses[15], losses[16] = losses[15] + 0.3, losses[16] + 0.29
    losses[22] += 1.0
    losses[38] += 0.19  # less than a tenth of the range
    more, parts = band.inserted(path, shares, losses, 0.1, 2)
    np.testing.assert_allclose(more.ravel(), [0, 0.3, 1, 2, 2.2, 3, 4])
    np.testing.assert_allclose(parts, [0.3, 0.7, 1, 0.4, 1.6, 1])
    more, parts = band.inserted(path, shares, losses, 0.1, 4)
    np.testing.assert_allclose(more.ravel(), [0, 0.3, 1, 1.5, 2, 2.2, 3, 4])
    assert parts.sum() == pytest.approx(shares.sum())
    again, _ = band.inserted(path, shares, np.zeros(41), 0.1, 2)
    np.testing.assert_array_equal(again, path)


def test_the_search_builds_a_tree_and_looks_around_its_highest_edge():
    losses = np.array([0.3, 0.1, 0.2, 0.4])
    heights = {(0, 1): 5.0, (1, 2): 1.0, (1, 3): 2.0, (0, 2): 3.0, (0, 3): 0.5, (2, 3): 9.0}
    tried = []

    def connect(first, second):
        tried.append((first, second))
        return heights[min(first, second), max(first, second)]

    matrix = band.explored(losses, connect, 0)
    assert tried == [(1, 2), (1, 0), (1, 3)]  # from the lowest minimum, the lower ones first
    assert band.spanning_tree(matrix) == [(1, 2), (1, 3), (0, 1)]
    tried.clear()
    matrix = band.explored(losses, connect, 10)
    # Around (0, 1), which is the highest, then around (0, 2), then around (1, 3).
    assert tried[3:] == [(0, 2), (0, 3), (2, 3)]
    assert np.isnan(np.diag(matrix)).all()
    assert not np.isnan(matrix[~np.eye(4, dtype=bool)]).any()
    assert sorted(band.spanning_tree(matrix)) == [(0, 3), (1, 2), (1, 3)]
    assert band.saddles(matrix)[0, 1] == 2.0


def test_saddles_are_an_ultrametric_and_the_best_of_all_ways():
    heights = RANDOM.uniform(1, 2, (6, 6))
    heights = np.triu(heights, 1) + np.triu(heights, 1).T
    heights[np.diag_indices(6)] = np.nan
    heights[0, 3] = heights[3, 0] = np.nan
    lowest = band.saddles(heights)
    for a, b, c in itertools.permutations(range(6), 3):
        assert lowest[a, c] <= max(lowest[a, b], lowest[b, c])
    for a, b in itertools.combinations(range(6), 2):
        ways = [(a, *way, b) for size in range(5) for way in itertools.permutations(set(range(6)) - {a, b}, size)]
        over = [np.max([heights[edge] for edge in itertools.pairwise(way)]) for way in ways]
        assert lowest[a, b] == np.nanmin(over)
    assert np.isinf(band.saddles(np.full((2, 2), np.nan))[0, 1])

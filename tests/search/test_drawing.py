"""The pictures of a search show its numbers; what a history does not have is not drawn."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from kerascnn.search import History, Proposal, Result, Trial, drawing, spaces

SPACE = spaces.Choices({"a": (0, 1, 2, 3), "b": ("conv_3x3", "identity")})


def trial(number, value, macs=None, parent=None, status="ok"):
    cost = {} if macs is None else {"macs": macs}
    proposal = Proposal(number, (number % 4, number // 4), parent=parent)
    return Trial(proposal, Result(value, cost=cost, status=status), False, number + 1, 2.0 * number + 1)


HISTORY = History(SPACE, [trial(0, 0.5, 10), trial(1, 0.0, status="crashed"), trial(2, 0.7, 100, 0),
                          trial(3, 0.6, 50, 0), trial(4, 0.9, 400, 2)])  # fmt: skip


def test_the_best_so_far_by_trials_and_by_seconds():
    first, second = drawing.history_figure(HISTORY).axes
    for axes, places in ((first, [1, 2, 3, 4, 5]), (second, [1, 3, 5, 7, 9])):
        points, line = axes.lines
        assert line.get_xdata().tolist() == places and line.get_ydata().tolist() == [0.5, 0.5, 0.7, 0.7, 0.9]
        assert points.get_ydata().tolist() == [0.5, 0.7, 0.6, 0.9]
    assert (first.get_xlabel(), second.get_xlabel()) == ("trials", "seconds")


def test_the_front_of_value_and_cost():
    history = History(SPACE, [*HISTORY.trials, trial(5, 0.4, 60)])
    points, front = drawing.front_figure(history).axes[0].lines
    assert len(points.get_xdata()) == 5
    assert front.get_xdata().tolist() == [10, 50, 100, 400] and front.get_ydata().tolist() == [0.5, 0.6, 0.7, 0.9]
    assert drawing.cost_of(history) == "macs"
    assert drawing.cost_of(History(SPACE, [*HISTORY.trials, trial(5, 0.4)])) is None
    assert drawing.front_figure(History(SPACE, [trial(0, 1.0)])) is None


def test_the_genealogy():
    axes = drawing.genealogy_figure(HISTORY).axes[0]
    (lines,) = (each for each in axes.collections if isinstance(each, LineCollection))
    segments = [np.round(each, 6).tolist() for each in lines.get_segments()]
    assert segments == [[[1, 0.5], [2, 0.7]], [[1, 0.5], [3, 0.6]], [[2, 0.7], [4, 0.9]]]
    assert axes.lines[-1].get_ydata().tolist() == [0.5, 0.7, 0.9]  # the best, and what it comes from
    assert drawing.genealogy_figure(History(SPACE, [trial(0, 1.0), trial(1, 2.0)])) is None


def test_all_pictures_are_written(tmp_path):
    written = drawing.draw(HISTORY, tmp_path, "a $title$")
    assert [path.name for path in written] == ["history.png", "front.png", "genealogy.png", "best.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    plain = drawing.draw(History(SPACE, [trial(0, 0.5), trial(1, 0.6)]), tmp_path / "plain")
    assert [path.name for path in plain] == ["history.png", "best.png"]
    assert drawing.draw(History(SPACE, [trial(1, 0.0, status="failed")]), tmp_path / "none") == []


@pytest.mark.parametrize(
    "space, headings, count",
    [
        (SPACE, ["field", "value"], 2),
        (spaces.nas(3), ["layer", "height", "width", "filters", "skips"], 3),
        (spaces.hierarchical(), ["from", "to", "operation"], None),
        (spaces.pnas(2), ["cell", "is"], 3),
        (spaces.darts(2), ["cell", "is"], 6),
    ],
)
def test_every_candidate_has_a_table_and_a_picture(space, headings, count, tmp_path):
    candidate = space.decode(space.sample(np.random.default_rng(0)))
    found, rows = drawing.layers_of(candidate)
    assert found == headings and all(len(row) == len(headings) for row in rows)
    assert len(rows) == (len(candidate.flat()) if count is None else count)
    drawing.plot_candidate(candidate, tmp_path / "best.png")
    assert (tmp_path / "best.png").stat().st_size > 2000

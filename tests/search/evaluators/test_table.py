"""A table gives what was recorded: one of the trainings by the seed, or their mean."""

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.search import run, spaces
from kerascnn.search.evaluators import Table
from kerascnn.search.strategies import RandomSearch

SPACE = spaces.Choices({"a": (1, 2), "b": (1, 2, 3)})
ROWS = {tokens: (sum(tokens), sum(tokens) + 0.5) for tokens in SPACE.enumerate()}


def test_one_training_or_the_mean():
    table, candidate = Table.of(SPACE, ROWS), SPACE.decode((1, 2))
    found = [table(candidate, None, seed).value for seed in range(200)]
    assert set(found) == {3.0, 3.5} and 70 < found.count(3.0) < 130
    assert found == [table(candidate, None, seed).value for seed in range(200)]
    assert table.mean(candidate) == table.best() == 3.25
    assert Table.of(SPACE, ROWS, noisy=False)(candidate, None, 0).value == 3.25


def test_networks_that_are_the_same_stand_together():
    cells = spaces.Blocks(("identity", "conv_3x3"), 1, shared=True)
    one, same = (0, 0, 1, 1), (1, 1, 0, 0)
    assert cells.canonical(one) == cells.canonical(same)
    table = Table.of(cells, {one: (1.0,), same: (2.0,)}, noisy=False)
    assert len(table) == 1 and table(cells.decode(same), None, 0).value == 1.5
    with pytest.raises(InputError, match="must be in the table"):
        table(cells.decode((0, 0, 0, 0)), None, 0)


def test_a_search_finds_the_best():
    history = run(SPACE, RandomSearch(), Table.of(SPACE, ROWS, noisy=False), budget=60, workers=0)
    assert history.best()[0].value == 3.25 and np.isfinite(history.curve()).all()


@pytest.mark.parametrize("rows", [{}, {(0, 0): ()}, {(0, 0): (float("nan"),)}])
def test_what_is_no_table_is_refused(rows):
    with pytest.raises(InputError, match="values must be"):
        Table.of(SPACE, rows)

"""The example's strategy, without its trainings."""

import runpy
from pathlib import Path

import numpy as np

from kerascnn.search import run
from kerascnn.search.strategies import RandomSearch

EXAMPLE = Path(__file__).parents[2] / "examples" / "search_own_strategy.py"


def test_it_finds_what_is_good_sooner_than_random_search():
    names = runpy.run_path(str(EXAMPLE), run_name="example")
    space, means = names["SPACE"], {}
    for make in (names["Additive"], RandomSearch):
        found = []
        for seed in range(10):
            history = run(space, make(), additive, budget=20, workers=0, seed=seed)
            found.append(history.curve()[-1])
        means[make.__name__] = np.mean(found)
    assert means["Additive"] > means["RandomSearch"] + 0.01


def additive(row, budget, seed):
    """Better with more filters and larger kernels, and best with two layers."""
    return 0.6 + row["filters"] / 200 + row["kernel"] / 50 - abs(row["layers"] - 2) / 20 + row["rate"]

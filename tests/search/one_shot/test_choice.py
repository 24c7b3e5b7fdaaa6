"""From architecture weights to cells."""

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.cells import Cell
from kerascnn.search import spaces
from kerascnn.search.one_shot import choice


def test_the_edges_are_in_the_order_of_nodes_and_sources():
    assert choice.edges(2) == [(1, "c2"), (1, "c1"), (2, "c2"), (2, "c1"), (2, "n1")]
    assert len(choice.edges(4)) == 14


def test_a_cell_by_hand():
    operations = ("zero", "sep_3x3", "identity")
    weights = [
        [0.8, 0.15, 0.05],  # n1: c2 by its best other than zero
        [0.1, 0.3, 0.6],
        [0.0, 0.5, 0.5],  # n2: of equal operations the first, the strongest edge
        [0.9, 0.05, 0.05],  # zero does not make it strong
        [0.6, 0.1, 0.3],
    ]
    assert choice.derive_cell(weights, operations, 2) == Cell(
        ["sep_3x3(c2) + identity(c1)", "sep_3x3(c2) + identity(n1)"], "n1 n2"
    )


def test_derived_genotypes_are_of_the_space():
    space, rng = spaces.darts(), np.random.default_rng(0)
    for _ in range(20):
        alphas = {kind: rng.normal(size=(14, 7)) for kind in choice.KINDS}
        genotype = choice.derive(alphas, space.operations, 4)
        assert space.decode(space.encode(genotype)).normal == genotype.normal


def test_entropy_and_skips():
    assert choice.entropy(np.zeros((3, 4))) == pytest.approx(np.log(4))
    assert choice.entropy(np.array([[0.0, 1000.0]])) == pytest.approx(0.0, abs=1e-9)
    assert choice.skips(Cell(["identity(c1) + sep_3x3(c2)", "identity(n1) + identity(c1)"])) == 3


def test_what_cannot_be_used_is_refused():
    with pytest.raises(InputError, match="weights must be an array"):
        choice.derive_cell(np.zeros((3, 2)), ("zero", "identity"), 1)
    with pytest.raises(InputError, match="such that one is not zero"):
        choice.derive_cell(np.zeros((2, 1)), ("zero",), 1)
    with pytest.raises(InputError, match="space must be an Edges space with concat_all"):
        choice.edges_of(spaces.enas_micro())

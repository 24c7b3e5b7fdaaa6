"""Cells: counts of the papers, genotypes there and back, and candidates that are the same network."""

import itertools
import math

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.cells import Genotype
from kerascnn.search.spaces import Blocks, Edges, darts, enas_micro, nasnet, pnas


def test_the_counts_are_those_of_the_papers():
    assert darts().size() == (1 * 3 * 6 * 10 * 7**8) ** 2 and 1 * 3 * 6 * 10 * 7**8 == 1_037_664_180
    levels = [pnas(nodes).size() // (pnas(nodes - 1).size() if nodes > 1 else 1) for nodes in range(1, 6)]
    assert levels == [256, 576, 1024, 1600, 2304] and f"{pnas().size():.2e}" == "5.57e+14"
    assert enas_micro().size() == (5**10 * math.factorial(6) ** 2) ** 2
    assert f"{math.isqrt(enas_micro().size()):.2e}" == "5.06e+12"
    assert math.isqrt(nasnet().size()) == math.factorial(6) ** 2 * 13**10


def test_of_pnas_first_blocks_136_are_different():
    space = pnas(1)
    assert len({space.canonical(tokens) for tokens in space.enumerate()}) == 136 == 16 * 17 // 2


@pytest.mark.parametrize("space", [nasnet(), pnas(), enas_micro(), darts(), darts(2)], ids=lambda space: space.name)
def test_genotypes_there_and_back(space):
    rng = np.random.default_rng(0)
    for _ in range(30):
        tokens = space.sample(rng)
        genotype = space.decode(tokens)
        assert isinstance(genotype, Genotype) and Genotype.from_json(genotype.to_json()) == genotype
        assert (genotype.normal == genotype.reduce) or not space.shared
        again = space.encode(genotype)
        assert space.decode(again) == genotype or isinstance(space, Edges)
        assert space.canonical(again) == space.canonical(tokens)
    if not isinstance(space, Edges):
        assert again == tokens


def test_what_tokens_mean():
    space = Blocks(("identity", "sep_3x3"), 2, shared=True)
    assert space.sizes == (2, 2, 2, 2, 3, 2, 3, 2)
    genotype = space.decode((0, 0, 1, 1, 2, 1, 1, 0))
    assert str(genotype.normal) == "n1 = identity(c2) + sep_3x3(c1)\nn2 = sep_3x3(n1) + identity(c1)\nconcat n2"
    pair = Edges(("max_3x3", "sep_3x3"), 2, shared=True, concat_all=True).decode((0, 0, 1, 2, 1, 0))
    assert str(pair.normal) == "n1 = max_3x3(c2) + sep_3x3(c1)\nn2 = sep_3x3(c1) + max_3x3(n1)\nconcat n1 n2"


def test_edges_are_read_in_any_order():
    space = Edges(("max_3x3", "sep_3x3"), 1, shared=True, concat_all=True)
    swapped = Genotype("x", *[_cell("sep_3x3(c1) + max_3x3(c2)")] * 2)
    assert space.encode(swapped) == (0, 0, 1)


def _cell(*nodes):
    from kerascnn.cells import Cell

    return Cell(list(nodes))


def test_the_same_network_by_brute_force():
    """Two candidates have equal hashes exactly where renaming nodes and exchanging terms makes one the other."""
    space = Blocks(("identity", "sep_3x3"), 3, shared=True)
    rng = np.random.default_rng(0)
    candidates = [space.sample(rng) for _ in range(400)]
    assert len({_smallest(space, tokens) for tokens in candidates}) < 400
    pairs = {(space.canonical(tokens), _smallest(space, tokens)) for tokens in candidates}
    assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)


def _smallest(space, tokens):
    (nodes,) = space.graphs(tokens)
    outputs = space._outputs(nodes)
    found = []
    for order in itertools.permutations(range(len(nodes))):
        names = {"c1": "c1", "c2": "c2", **{f"n{old + 1}": f"n{new + 1}" for new, old in enumerate(order)}}
        rows = tuple(tuple(sorted((done, names[source]) for done, source in nodes[old])) for old in order)
        early = all(s[0] == "c" or int(s[1:]) <= place for place, row in enumerate(rows) for _, s in row)
        if early:
            found.append((rows, tuple(sorted(names[output] for output in outputs))))
    return min(found)


def test_trees_alone_do_not_tell():
    """Each of two alike nodes read by one sum, or each by both: not the same network, though all paths are alike."""
    space = Blocks(("sep_3x3",), 4, shared=True)
    twins = (0, 0, 1, 0, 0, 0, 1, 0)
    own, mixed = (*twins, 2, 0, 2, 0, 3, 0, 3, 0), (*twins, 2, 0, 3, 0, 2, 0, 3, 0)
    assert space.canonical(own) != space.canonical(mixed)
    other = (*twins, 3, 0, 3, 0, 2, 0, 2, 0)
    assert space.canonical(own) == space.canonical(other)


def test_mutation_draws_inputs_as_often_as_operations():
    space, rng = nasnet(), np.random.default_rng(0)
    tokens = space.sample(rng)
    moved = [[a != b for a, b in zip(tokens, space.mutate(tokens, rng), strict=True)].index(True) for _ in range(2000)]
    assert abs(sum(place % 2 == 0 for place in moved) - 1000) < 4 * 500**0.5
    assert {place // 20 for place in moved} == {0, 1}


def test_genotypes_of_other_spaces_are_refused():
    rng = np.random.default_rng(0)
    for genotype in (enas_micro().decode(enas_micro().sample(rng)), darts(3).decode(darts(3).sample(rng)), None):
        with pytest.raises(InputError, match="description must be a genotype of this space: 4 sums of two of max_3x3"):
            darts().encode(genotype)
    same = Genotype("x", *[_cell("sep_3x3(c1) + max_3x3(c1)")] * 2)
    with pytest.raises(InputError, match="a genotype of this space"):
        darts(1).encode(same)  # twice the same input
    with pytest.raises(InputError, match="nodes must be a whole number from 1 to 16"):
        darts(0)
    with pytest.raises(InputError, match="operations must be"):
        Blocks((), 2)

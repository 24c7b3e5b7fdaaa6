"""Motifs of motifs: counted, taken apart, and computed both ways."""

import itertools
import math

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search.spaces import Hierarchical, hierarchical

SMALL = Hierarchical(("identity", "double"), ((2, 3), (1, 3)))
SMALLER = Hierarchical(("double",), ((2, 3), (1, 3)))
OPERATIONS = {"identity": lambda x: x, "double": lambda x: 2 * x, "square": lambda x: x * x + 0.5}


def test_the_papers_space():
    space = hierarchical()
    assert space.levels == ((6, 4), (1, 5)) and space.sizes == (7,) * (6 * 6 + 10)
    assert 7.4e38 < space.size() < math.prod(space.sizes)


def test_the_count_is_that_of_all_that_connect():
    tokens = list(SMALLER.enumerate())
    assert SMALLER.size() == len(tokens) < math.prod(SMALLER.sizes) == 2**6 * 3**3
    restricted = SMALLER.where(lambda candidate: None if len(candidate.flat()) < 3 else "too many edges")
    assert 0 < restricted.size() < SMALLER.size()
    forms = [SMALLER._forms(tokens)[0] for tokens in itertools.product(*map(range, SMALLER.sizes))]
    assert sum(form is not None for form in forms) == len(tokens)


def recursive(candidate, level, motif, x):
    """Computes a motif by computing those below it; None where nothing arrives."""
    if level < 0:
        return OPERATIONS[candidate.primitives[motif]](x)
    values = [x] + [None] * (candidate.nodes[level] - 1)
    for start, end, used in sorted(candidate.levels[level][motif], key=lambda edge: edge[1]):
        arrived = None if values[start] is None else recursive(candidate, level - 1, used, values[start])
        if arrived is not None:
            values[end] = arrived if values[end] is None else values[end] + arrived
    return values[-1]


def flat(candidate, x):
    """Computes the assembled graph, each node once."""
    edges, values = candidate.flat(), {0: x}

    def value(node):
        if node not in values:
            arrived = [(value(start), name) for start, end, name in edges if end == node]
            terms = [OPERATIONS[name](y) for y, name in arrived if y is not None]
            values[node] = sum(terms) if terms else None
        return values[node]

    return value(1)


def test_the_assembled_graph_computes_what_the_motifs_do():
    space = Hierarchical(tuple(OPERATIONS), ((3, 4), (2, 3), (1, 4)))
    rng = np.random.default_rng(0)
    answers = set()
    for _ in range(100):
        candidate = space.decode(space.sample(rng))
        expected = recursive(candidate, 2, 0, 0.25)
        assert expected is not None and flat(candidate, 0.25) == pytest.approx(expected, rel=1e-12)
        answers.add(round(expected, 9))
    assert len(answers) > 20


def test_the_trivial_candidate_is_the_identity():
    for space in (SMALL, hierarchical(), Hierarchical(tuple(OPERATIONS), ((3, 4), (2, 3), (1, 4)))):
        candidate = space.decode(space.trivial())
        assert {name for _, _, name in candidate.flat()} == {"identity"}
        assert recursive(candidate, len(candidate.levels) - 1, 0, 7.5) == 7.5
        assert space.wrong(space.trivial()) is None
    with pytest.raises(InputError, match="One primitive must be called identity. Received: conv"):
        Hierarchical(("conv",), ((1, 3),)).trivial()


def test_candidates_there_and_back():
    rng = np.random.default_rng(0)
    for space in (SMALL, hierarchical()):
        tokens = space.sample(rng)
        assert space.encode(space.decode(tokens)) == tokens
    with pytest.raises(InputError, match="description must be a hierarchy of levels"):
        hierarchical().encode(SMALL.decode(SMALL.sample(rng)))


def test_a_mutation_touches_one_edge_of_one_motif_and_levels_alike():
    space, rng, levels = hierarchical(), np.random.default_rng(0), [0, 0]
    tokens = space.sample(rng)
    for _ in range(1000):
        changed = [i for i, (a, b) in enumerate(zip(tokens, space.mutate(tokens, rng), strict=True)) if a != b]
        assert len(changed) == 1
        levels[changed[0] >= 36] += 1
    assert min(levels) > 350  # mutations that cut the cell off are drawn again


def test_the_same_network():
    tokens = list(SMALL.sample(np.random.default_rng(3)))
    space = SMALL
    exchanged = [*tokens[3:6], *tokens[:3], *({0: 0, 1: 2, 2: 1}[token] for token in tokens[6:])]
    assert space.canonical(tokens) == space.canonical(exchanged)
    # edges 0-1, 0-2, 1-2 of each motif: the second motif is used by nothing
    once, other = (1, 0, 2, 0, 0, 0, 1, 0, 1), (1, 0, 2, 2, 2, 2, 1, 0, 1)
    assert space.canonical(once) == space.canonical(other) != space.canonical((2, 0, 1, 0, 0, 0, 1, 0, 1))
    assert space.wrong((0,) * 9) == "nothing leads from the input to the output"
    assert space.wrong((1, 0, 0, 0, 0, 0, 1, 0, 1)) is not None  # motif 1 leads nowhere


def test_equal_hashes_compute_the_same():
    """Over all candidates of a small space: one hash, one answer."""
    found = {}
    for tokens in SMALLER.enumerate():
        found.setdefault(SMALLER.canonical(tokens), set()).add(recursive(SMALLER.decode(tokens), 1, 0, 1.0))
    assert all(len(answers) == 1 for answers in found.values()) and 10 < len(found) < SMALLER.size() / 10


@pytest.mark.parametrize("levels", [(), ((2, 3),), ((1, 1),), ((0, 3), (1, 3)), ((1, 3, 2),), None, (3,)])
def test_bad_levels(levels):
    with pytest.raises(InputError, match="must be"):
        Hierarchical(("identity",), levels)

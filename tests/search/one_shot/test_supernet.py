"""The supernet of cells: what is cut out of it computes the same, and nothing but what was drawn is touched."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.cells import DARTS, NASNET, Cell, Genotype
from kerascnn.search import spaces
from kerascnn.search.one_shot import Supernet, choice
from kerascnn.search.one_shot.child import drawn_gradients

EDGES = spaces.Edges(("sep_3x3", "max_3x3", "identity"), 2, concat_all=True)
BLOCKS = spaces.Blocks(("sep_3x3", "avg_3x3", "identity"), 2)
IMAGES = np.random.default_rng(0).normal(size=(6, 9, 8, 1)).astype("float32")
LABELS = np.arange(6) % 3
SMALL = {"stages": (1, 2), "filters": 4, "input_shape": (9, 8, 1), "classes": 3}


@pytest.fixture(scope="module")
def supernets():
    return {space: Supernet.of(space, **SMALL) for space in (EDGES, BLOCKS)}


@pytest.mark.parametrize("space", [EDGES, BLOCKS], ids=["edges", "blocks"])
def test_a_network_that_is_cut_out_computes_the_same(supernets, space):
    supernet, rng = supernets[space], np.random.default_rng(1)
    for _ in range(4):
        genotype = space.decode(space.sample(rng))
        supernet.activate(genotype)
        expected = supernet(IMAGES).numpy()
        network = supernet.cut(genotype)
        np.testing.assert_allclose(network(IMAGES, training=True), expected, rtol=1e-4, atol=1e-5)
        assert np.ptp(expected) > 0.01
        assert supernet.parameters(genotype) == sum(int(np.prod(w.shape)) for w in network.trainable_weights)


def test_unread_nodes_alone_are_put_out(supernets):
    """One loose node, two loose nodes: the kernels that read the cell use the rows of what there is, in its order."""
    supernet = supernets[BLOCKS]
    chained = Cell(["sep_3x3(c1) + sep_3x3(c2)", "avg_3x3(n1) + sep_3x3(n1)"])
    loose = Cell(["sep_3x3(c1) + sep_3x3(c1)", "avg_3x3(c2) + sep_3x3(c1)"], "n2 n1")
    assert (chained.concat, loose.concat) == (("n2",), ("n2", "n1"))
    for genotype in (Genotype("one", chained, loose), Genotype("two", loose, chained)):
        supernet.activate(genotype)
        np.testing.assert_allclose(
            supernet.cut(genotype)(IMAGES, training=True), supernet(IMAGES), rtol=1e-4, atol=1e-5
        )


def test_drawn_operations_are_those_with_all_the_weight(supernets):
    supernet, genotype = supernets[EDGES], EDGES.decode(EDGES.sample(np.random.default_rng(5)))
    mix = {}
    for kind in choice.KINDS:
        rows = {(n, t.source): t.operation for n, node in enumerate(getattr(genotype, kind).nodes, 1) for t in node}
        mix[kind] = tf.constant(
            [[float(rows.get(edge) == name) for name in EDGES.operations] for edge in choice.edges(2)]
        )
    np.testing.assert_allclose(supernet.logits(IMAGES, mix), supernet.logits(IMAGES, genotype), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("space", [EDGES, BLOCKS], ids=["edges", "blocks"])
def test_gradients_reach_the_drawn_operations_alone(supernets, space):
    supernet, genotype = supernets[space], space.decode(space.sample(np.random.default_rng(2)))
    with tf.GradientTape() as tape:
        logits = supernet.logits(IMAGES, genotype)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits))
    gradients = tape.gradient(loss, supernet.weights_of())
    reached = {id(w) for w, g in zip(supernet.weights_of(), gradients, strict=True) if g is not None}
    found, variables, drawn = drawn_gradients(supernet, genotype, IMAGES, LABELS)
    assert reached == {id(variable) for variable in variables}
    assert 0 < len(reached) < len(gradients)
    assert float(found) == pytest.approx(float(loss), rel=1e-5)
    assert all(g.shape == v.shape for g, v in zip(drawn, variables, strict=True))
    for place in supernet.places:
        kind = "reduce" if place.startswith("stage2_cell1") else "normal"
        if "_n" in place:
            name, source, operation = place.split("_", 2)[2].split("_", 2)
            term = [
                t for i, t in enumerate(getattr(genotype, kind).nodes[int(name[1]) - 1]) if name[2:] in ("", "ab"[i])
            ]
            expected = any((t.source, t.operation) == (source, operation) for t in term)
            assert ({id(w) for w in supernet.weights_of([place])} <= reached) == expected, place


def test_weights_can_be_given(supernets):
    supernet = supernets[EDGES]
    genotype = EDGES.decode(EDGES.sample(np.random.default_rng(3)))
    other = [weight + 0.1 for weight in supernet.weights_of()]
    before = supernet.logits(IMAGES, genotype).numpy()
    moved = supernet.logits(IMAGES, genotype, supernet.packed(other)).numpy()
    assert np.abs(moved - before).max() > 0.01
    np.testing.assert_array_equal(supernet.logits(IMAGES, genotype), before)


def test_the_seed_decides_and_places_differ():
    first, again, other = (Supernet.of(EDGES, **SMALL, seed=seed).weights_of() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    net = Supernet.of(EDGES, **SMALL)
    one, two = (net.weights_of([f"stage2_cell2_n2_{source}_sep_3x3"])[0] for source in ("c1", "c2"))
    assert one.shape == two.shape and not np.array_equal(one, two)


def test_what_cannot_be_used_is_refused(supernets):
    supernet = supernets[BLOCKS]
    with pytest.raises(InputError, match="an operation must be one of"):
        Supernet(("sep_9x9",), 2)
    with pytest.raises(InputError, match="such that one is not zero"):
        Supernet(("zero",), 2)
    with pytest.raises(InputError, match="style must be one with match_always"):
        Supernet(("identity",), 2, style=NASNET)
    with pytest.raises(InputError, match="activated before"):
        Supernet(("identity",), 1, **SMALL, style=DARTS)(IMAGES)
    with pytest.raises(InputError, match="without sides"):
        supernet.logits(IMAGES, {"normal": [], "reduce": []})
    cell = Cell(["identity(c1) + identity(c2)", "conv_3x3(n1) + identity(c1)"])
    with pytest.raises(InputError, match="an operation of the genotype must be one of"):
        supernet.logits(IMAGES, Genotype("g", cell, cell))
    short = Cell(["identity(c1) + identity(c2)"])
    with pytest.raises(InputError, match="a genotype with 2 nodes"):
        supernet.logits(IMAGES, Genotype("g", short, short))
    raw = Cell(["identity(c1) + identity(c2)", "identity(n1) + identity(c2)"], "c1 n2")
    with pytest.raises(InputError, match="put out nodes alone"):
        supernet.logits(IMAGES, Genotype("g", raw, raw))

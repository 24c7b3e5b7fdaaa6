"""Networks that share one graph: each is the network that its genotype says, and training makes it better."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError, data
from kerascnn.cells import Cell, Genotype
from kerascnn.search import spaces
from kerascnn.search.evaluators import OneGraph

SPACE = spaces.Blocks(("identity", "conv_3x3", "max_3x3"), 2, shared=True)


def genotype(*nodes):
    cell = Cell(nodes)
    return Genotype("one", cell, cell)


CONVOLVED = genotype("conv_3x3(c1) + max_3x3(c2)", "conv_3x3(n1) + identity(c2)")


@pytest.fixture(scope="module")
def evaluator():
    return OneGraph(filters=4, epochs=1)


def by_hand(graph, flat, images):
    """What the network of `CONVOLVED` puts out, written down once more."""
    w = {name: flat[a:b].reshape(shape) for (name, shape), a, b in
         zip(graph.shapes, graph.ends, graph.ends[1:], strict=False)}  # fmt: skip

    def conv(x, name):
        return tf.nn.relu(tf.nn.conv2d(x, w[name], 1, "SAME") + w[f"{name}_bias"])

    def cell(number, c2, c1):
        one = conv(c1, f"{number}_0_conv_3x3") + tf.nn.max_pool2d(c2, 3, 1, "SAME")
        two = conv(one, f"{number}_2_conv_3x3") + c2
        x = conv(tf.concat([tf.zeros_like(one), two], -1), f"{number}_join").numpy()
        return (x - x.mean((1, 2, 3), keepdims=True)) / np.sqrt(x.var((1, 2, 3), keepdims=True) + 1e-5)

    stem = conv(images, "stem")
    x = cell(1, *(tf.nn.max_pool2d(each, 2, 2, "SAME") for each in (stem, cell(0, stem, stem))))
    return x.reshape(len(x), -1) @ w["head"] + w["head_bias"]


def test_the_graph_computes_the_network_that_is_chosen(evaluator):
    evaluator(CONVOLVED, None, 0)
    graph, (choices, used) = evaluator._graph, evaluator.encode(CONVOLVED)
    assert choices.tolist() == [1 * 3 + 1, 0 * 3 + 2, 2 * 3 + 1, 0 * 3 + 0] and used.tolist() == [0, 1]
    flat = graph.initial(used, 3)
    images = graph.images[1][0][:7].numpy()
    found = graph.logits(images, tf.constant(flat), tf.constant(choices), tf.constant(used))
    assert np.allclose(found, by_hand(graph, flat, images), atol=1e-4)


def test_it_sees_no_test_image_and_holds_out_the_validation_part(evaluator):
    evaluator(CONVOLVED, None, 0)
    source = data.load("digits")
    held = len(evaluator._graph.images[1][1])
    assert evaluator._graph.count + held == source.sizes["train"] + source.sizes["validation"]
    draws = [data.parts.draw(name, "validation") for name in source.split("validation").names]
    assert max(draws) < 0.5 and source.sizes["validation"] < held


def test_training_makes_it_better_and_follows_from_its_seed(evaluator):
    one, again, other = (evaluator(CONVOLVED, epochs, seed) for epochs, seed in ((6, 1), (6, 1), (1, 1)))
    assert one.value == again.value and one.metrics["loss"] < other.metrics["loss"]
    assert one.value > 0.6 and evaluator(CONVOLVED, 6, 2).metrics["loss"] != one.metrics["loss"]


def test_parameters_are_those_of_what_is_chosen(evaluator):
    stem, head = 9 * 4 + 4, 16 * 4 * 10 + 10
    assert evaluator.parameters(CONVOLVED) == stem + head + 2 * (2 * (9 * 16 + 4) + 16 + 4)
    assert evaluator.parameters(genotype("identity(c1) + max_3x3(c2)")) == stem + head + 2 * (16 + 4)


def test_other_genotypes_are_refused(evaluator):
    for other in (genotype("sep_3x3(c1) + identity(c2)"), genotype(*["identity(c1) + identity(c2)"] * 3), None):
        with pytest.raises(InputError, match="candidate must be a genotype of at most 2 sums"):
            evaluator(other, None, 0)

"""Filters for a number of parameters."""

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import spaces
from kerascnn.search.one_shot import filters_for, macro_network, network
from kerascnn.search.one_shot.sizes import parameters


def test_the_nearest_number_of_filters():
    space, rng = spaces.Edges(("sep_3x3", "max_3x3", "identity"), 1, concat_all=True), np.random.default_rng(0)
    genotype = space.decode(space.sample(rng))

    def build(filters):
        return network(genotype, stages=(1, 1), filters=filters, input_shape=(8, 8, 1), classes=3)

    counts = {filters: build(filters).count_params() for filters in (2, 7)}
    own = {filters: parameters(lambda filters=filters: build(filters)) for filters in (2, 6, 7, 8)}
    assert own[7] < counts[7], "moving averages are not learned"
    for filters in (6, 7, 8):
        assert filters_for(build, own[filters]) == filters
    assert filters_for(build, (own[6] + 2 * own[7]) // 3) == 7
    assert filters_for(build, 1) == 2
    with pytest.raises(InputError, match="target must be"):
        filters_for(build, 0)


def test_chains_too():
    space = spaces.Chain(3, {"operation": ("conv_3x3", "conv_5x5", "sep_3x3")})
    layers = space.decode(space.sample(np.random.default_rng(1)))

    def build(filters):
        return macro_network(layers, filters=filters, input_shape=(8, 8, 1), classes=3)

    assert filters_for(build, parameters(lambda: build(11))) == 11

"""Chains with skips."""

import json

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search.spaces import Chain, Layer, Row, enas_macro, nas


def test_the_counts_are_those_of_the_papers():
    assert nas().size() == (4 * 4 * 4) ** 15 * 2**105 and f"{nas().size():.0e}" == "5e+58"
    assert enas_macro().size() == 6**12 * 2**66 and f"{enas_macro().size():.1e}" == "1.6e+29"


def test_layers_there_and_back():
    space = Chain(3, {"size": (1, 3), "filters": (8, 16)})
    assert space.sizes == (2, 2, 2, 2, 2, 2, 2, 2, 2)
    layers = space.decode((1, 0, 0, 1, 1, 1, 1, 0, 1))
    assert layers == (
        Layer(Row({"size": 3, "filters": 8})),
        Layer(Row({"size": 1, "filters": 16}), (0,)),
        Layer(Row({"size": 3, "filters": 16}), (1,)),
    )
    rng = np.random.default_rng(0)
    for _ in range(20):
        tokens = space.sample(rng)
        assert space.encode(space.decode(tokens)) == tokens
        assert space.from_json(json.loads(json.dumps(space.to_json(tokens)))) == tokens
    assert Chain(3, {"size": (1, 3)}, skips=False).decode((0, 1, 1))[2] == Layer(Row({"size": 3}))


def test_bad_layers():
    space = Chain(2, {"size": (1, 3)})
    one, two = Layer(Row({"size": 1})), Layer(Row({"size": 3}), (0,))
    assert space.encode([one, two]) == (0, 1, 1)
    for layers in ([one], [two, one], [one, Layer(Row({"size": 3}), (1,))], [one, Layer(Row({"size": 5}))], None):
        with pytest.raises(InputError, match="must be"):
            space.encode(layers)
    for record in ({}, [1], [{"size": 1}], [{"size": 1, "skips": 0}, {"size": 1, "skips": []}]):
        with pytest.raises(InputError, match="must be"):
            space.from_json(record)
    with pytest.raises(InputError, match="layers must be a whole number from 1 to 1000"):
        Chain(0, {"size": (1,)})

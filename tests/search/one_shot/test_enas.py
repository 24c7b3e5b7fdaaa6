"""ENAS from end to end, on supernets of seconds."""

import dataclasses
import json

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.cells import Genotype
from kerascnn.search import one_shot, spaces

BLOCKS = spaces.Blocks(("sep_3x3", "identity"), 1)
CHAIN = spaces.Chain(3, {"operation": ("conv_3x3", "max_3x3")})
CONFIG = one_shot.EnasConfig(
    epochs=2, batch_size=16, stages=(1, 1), filters=2, controller_steps=3, controller_samples=4, units=8, finals=5,
    augment="none", share=0.6,
)  # fmt: skip


class Stop(Exception):
    pass


def stop(row):
    raise Stop


def told(result):
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in result.history]


def check_files(space, result):
    rows = json.loads((result.folder / "search.json").read_text())["rows"]
    finals = rows[-1]["finals"]
    assert [accuracy for accuracy, _ in finals] == sorted((accuracy for accuracy, _ in finals), reverse=True)
    assert space.decode(space.from_json(finals[0][1])) == result.genotype
    assert "finals" not in rows[0] and 0 <= rows[0]["reward"] <= 1
    assert result.supernet.cut(result.genotype).count_params() > result.supernet.parameters(result.genotype) > 0


@pytest.mark.after
def test_a_search_of_cells_and_the_same_after_a_stop(source, tmp_path):
    whole = one_shot.enas(BLOCKS, source, CONFIG, tmp_path / "whole", seed=1)
    with pytest.raises(Stop):
        one_shot.enas(BLOCKS, source, CONFIG, tmp_path / "parts", seed=1, after=stop)
    parts = one_shot.enas(BLOCKS, source, CONFIG, tmp_path / "parts", seed=1)
    assert told(parts) == told(whole) and parts.genotype == whole.genotype
    for one, two in zip(parts.supernet.weights_of(), whole.supernet.weights_of(), strict=True):
        np.testing.assert_array_equal(one, two)
    check_files(BLOCKS, whole)
    assert Genotype.load(whole.folder / "genotype.json") == whole.genotype
    with pytest.raises(InputError, match="holds another search"):
        one_shot.enas(BLOCKS, source, CONFIG, tmp_path / "whole", seed=2)


def test_a_search_of_layers(source, tmp_path):
    check_files(CHAIN, one_shot.enas(CHAIN, source, CONFIG, tmp_path))


def test_the_rate_falls_and_begins_anew():
    config = one_shot.EnasConfig(rate=1.0, last_rate=0.0, period=2)
    rates = [config.rate_at(epoch) for epoch in (0, 1, 1.999, 2, 4, 6)]
    np.testing.assert_allclose(rates, [1.0, 0.5, 0.0, 1.0, 0.5, 1.0], atol=1e-5)


@pytest.mark.after
def test_shared_weights_learn_and_the_controller_decides(source):
    config = dataclasses.replace(CONFIG, epochs=15, filters=4, controller_steps=20, controller_rate=0.02, tanh=2.5)
    result = one_shot.enas(spaces.Blocks(("sep_3x3", "max_3x3", "identity"), 2), source, config)
    assert result.history[-1]["loss"] < result.history[0]["loss"] - 0.2
    assert result.history[-1]["reward"] > result.history[0]["reward"] + 0.1
    assert result.history[-1]["entropy"] < result.history[0]["entropy"]


def test_what_cannot_be_used_is_refused(source):
    with pytest.raises(InputError, match="a Blocks or a Chain space"):
        one_shot.enas(spaces.darts(), source, CONFIG)
    with pytest.raises(InputError, match="baseline must be"):
        one_shot.EnasConfig(baseline=1.0)

"""NAO with shared weights from end to end, on supernets of seconds."""

import json

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.cells import Genotype
from kerascnn.search import one_shot, spaces
from kerascnn.search.one_shot.nao_ws import _Search, drawn

BLOCKS = spaces.Blocks(("sep_3x3", "identity"), 1)
CHAIN = spaces.Chain(3, {"operation": ("conv_3x3", "max_3x3")})
CONFIG = one_shot.NaoConfig(
    epochs=2, batch_size=16, stages=(1, 1), filters=2, every=1, pool=10, seeds=4, renewed=4, fresh=2, units=8,
    embedding=4, layers=1, hidden=8, steps=40, final_batches=1, finals=5, augment="none", share=0.6, longest=20.0,
)  # fmt: skip


class Stop(Exception):
    pass


def stop(row):
    raise Stop


def told(result):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]


def check(space, result):
    rows = json.loads((result.folder / "search.json").read_text())["rows"]
    finals = rows[-1]["finals"]
    assert len(finals) == 5 and [a for a, _ in finals] == sorted((a for a, _ in finals), reverse=True)
    assert space.decode(space.from_json(finals[0][1])) == result.genotype and "finals" not in rows[0]
    assert 0 <= rows[0]["decoded"] <= 4 and 0 <= rows[0]["pool_accuracy"] <= 1 and "decoded" not in rows[1]


def test_a_search_of_cells_and_the_same_after_a_stop(source, tmp_path):
    whole = one_shot.nao_ws(BLOCKS, source, CONFIG, tmp_path / "whole", seed=1)
    with pytest.raises(Stop):
        one_shot.nao_ws(BLOCKS, source, CONFIG, tmp_path / "parts", seed=1, after=stop)
    parts = one_shot.nao_ws(BLOCKS, source, CONFIG, tmp_path / "parts", seed=1)
    assert told(parts) == told(whole) and parts.genotype == whole.genotype
    for one, two in zip(parts.supernet.weights_of(), whole.supernet.weights_of(), strict=True):
        np.testing.assert_array_equal(one, two)
    check(BLOCKS, whole)
    assert Genotype.load(whole.folder / "genotype.json") == whole.genotype
    with pytest.raises(InputError, match="holds another search"):
        one_shot.nao_ws(BLOCKS, source, CONFIG, tmp_path / "whole", seed=2)


def test_a_search_of_layers(source, tmp_path):
    check(CHAIN, one_shot.nao_ws(CHAIN, source, CONFIG, tmp_path))


def test_the_best_stay_and_the_worst_leave(source):
    search = _Search(BLOCKS, source, CONFIG, 0)
    before = search.architectures()
    assert len({BLOCKS.canonical(tokens) for tokens in before}) == len(before) == 10
    ranked = [(1.0 - 0.1 * place, tokens) for place, tokens in enumerate(before)]
    row = search.renew(ranked, 0)
    after = search.architectures()
    assert after[:4] == before[:4] and len(after) == 10
    assert not set(after[4:]) & set(before)
    assert row["pool_accuracy"] == pytest.approx(0.55) and 0 <= row["reconstructed"] <= 1


def test_what_is_drawn_is_new_while_there_is_something_new():
    space, rng = spaces.Choices({"a": (0, 1, 2)}), np.random.default_rng(0)
    assert sorted(drawn(space, 2, {space.canonical((1,))}, rng)) == [(0,), (2,)]
    assert len(drawn(space, 5, set(), rng)) == 5


def test_what_cannot_be_used_is_refused(source):
    with pytest.raises(InputError, match="a space of cells"):
        one_shot.nao_ws(spaces.hierarchical(), source, CONFIG)
    with pytest.raises(InputError, match="pool must be a whole number, at least 550"):
        one_shot.NaoConfig(pool=500)

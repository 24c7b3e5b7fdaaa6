"""The best candidate of a search, written and read again."""

import json

import pytest

from kerascnn import InputError, search
from kerascnn.search import History, Proposal, Result, Trial, catalogue


def history(described, tokens, value=0.5):
    space = catalogue.space(described)
    return History(
        space, [Trial(Proposal(0, tokens), Result(value, {"accuracy": value}, {"macs": 3.0}), False, 1, 1.0)]
    )


@pytest.mark.parametrize("described, tokens", [
    ("small_cells(1)", (0, 1, 1, 2)), ("darts(1)", (0, 1, 2) * 2), ({"a": ["conv_3x3", "identity"]}, (1,)),
    ("macro(3)", (0, 1, 2)), ("enas_macro(2)", (1, 2, 0)),
])  # fmt: skip
def test_what_is_written_is_read_and_built(described, tokens, tmp_path):
    path = search.save_best(history(described, tokens), tmp_path, described, {"filters": 2})
    best = search.load_best(tmp_path)
    assert path == tmp_path / "best.json" and best.tokens == tokens and best.value == 0.5
    assert best.candidate == catalogue.space(described).decode(tokens)
    model = best.build((8, 8, 1), 4)
    assert model.output_shape == (None, 4)
    assert model.count_params() == search.Networks(filters=2)(best.candidate, (8, 8, 1), 4).count_params()


def test_nothing_is_written_of_a_search_without_results(tmp_path):
    assert search.save_best(History(catalogue.space("macro"), []), tmp_path, "macro", {}) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change, says", [
    ({"format": "other"}, 'must have "format"'), ({"version": 2}, 'must have "format"'),
    ({"more": 1}, "must have the keys"), ({"space": "no"}, "space must be one of"), ({"candidate": {}}, "must be"),
    ({"networks": {"depth": 3}}, "networks must"), ({"value": "high"}, "value must be a finite number"),
])  # fmt: skip
def test_a_damaged_file_is_refused(change, says, tmp_path):
    path = search.save_best(history("macro(2)", (0, 1)), tmp_path, "macro(2)", {})
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=says):
        search.load_best(path)


def test_the_fields_of_a_row_from_a_file(tmp_path):
    path = tmp_path / "fields.json"
    path.write_text(json.dumps({"layers": [1, 2], "kernel": [3]}))
    described = catalogue.describe(str(path))
    assert catalogue.space(described).size() == 2
    for text in ('{"layers": 3}', "[]", "{", "{}"):
        path.write_text(text)
        with pytest.raises(InputError):
            catalogue.describe(str(path))

"""The journal of a search: written whole, read again, and refused where it is another's."""

import json

import pytest

from kerascnn._errors import InputError
from kerascnn.search import Journal

SETTINGS = {"model": "a", "training": {"epochs": 1, "milestones": (0.5, 0.75)}}


def test_rows_come_back(tmp_path):
    path = tmp_path / "search.json"
    journal = Journal(path, SETTINGS)
    assert path.exists() and journal.rows == []
    journal.add({"alpha": 1.0, "accuracy": 0.5})
    journal.add({"alpha": 1.2, "accuracy": 0.25})
    again = Journal(path, SETTINGS)
    assert again.rows == journal.rows
    assert again.find(alpha=1.2) == {"alpha": 1.2, "accuracy": 0.25} and again.find(alpha=1.3) is None
    assert [file.name for file in tmp_path.iterdir()] == ["search.json"]


def test_another_search_is_refused_with_what_differs(tmp_path):
    Journal(tmp_path / "search.json", SETTINGS)
    with pytest.raises(InputError, match='model was "a", now "b"; training.epochs was 1, now 2. Use the same'):
        Journal(tmp_path / "search.json", {**SETTINGS, "model": "b", "training": {**SETTINGS["training"], "epochs": 2}})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"settings": 1, "rows": []}', b'{"rows": []}', b"\xff\xfe",
                                     b"[" * 100_000, b'{"settings": {}, "rows": [1]}',
                                     b'{"settings": {}, "rows": [{}]}',
                                     b'{"settings": {}, "rows": [{"macs": NaN}]}'])  # fmt: skip
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "search.json").write_bytes(content)
    with pytest.raises(InputError, match="^The journal of a search (is damaged|must h).*Received: ") as caught:
        Journal(tmp_path / "search.json", SETTINGS, ["macs"])
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "search.json", SETTINGS)
    journal.add({"alpha": 1.0})
    before = (tmp_path / "search.json").read_text()

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(OSError, match="No space"):
        journal.add({"alpha": 2.0})
    assert (tmp_path / "search.json").read_text() == before

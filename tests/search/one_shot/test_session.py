"""The journal and the state of a one-shot search."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.search.one_shot.session import JOURNAL, STATE, Session


def begin(out, rows=0):
    variables = [tf.Variable([0.0, 0.0]), tf.Variable(7)]
    session = Session(out, {"seed": 1}, variables)
    for epoch in range(1, rows + 1):
        variables[0].assign([epoch, -epoch])
        session.end_epoch({"epoch": epoch, "seconds": 0.5})
    return session, variables


def test_it_goes_on_where_it_ended(tmp_path):
    begin(tmp_path, 3)
    session, variables = begin(tmp_path)
    assert session.epochs == 3 and session.rows[-1] == {"epoch": 3, "seconds": 0.5}
    np.testing.assert_array_equal(variables[0], [3.0, -3.0])
    assert int(variables[1]) == 7


def test_a_kill_between_the_two_files_is_mended(tmp_path):
    begin(tmp_path, 1)
    journal = (tmp_path / JOURNAL).read_bytes()
    session, _ = begin(tmp_path)
    session.end_epoch({"epoch": 2, "seconds": 0.5})
    (tmp_path / JOURNAL).write_bytes(journal)
    (tmp_path / ".tmp-999999999-state.npz").write_bytes(b"half")
    assert begin(tmp_path)[0].epochs == 2
    assert begin(tmp_path)[0].epochs == 2, "the row was written"
    assert not list(tmp_path.glob(".tmp-*"))


def test_what_cannot_be_used_is_refused(tmp_path):
    begin(tmp_path, 2)
    with pytest.raises(InputError, match="holds another search: seed was 1, now 2"):
        Session(tmp_path, {"seed": 2}, [])
    with pytest.raises(InputError, match="must be that of its journal"):
        Session(tmp_path, {"seed": 1}, [tf.Variable([0.0])])
    (tmp_path / STATE).write_bytes(b"PK damaged")
    with pytest.raises(InputError, match="state of a search must be whole"):
        begin(tmp_path)
    (tmp_path / STATE).unlink()
    with pytest.raises(InputError, match="must be there"):
        begin(tmp_path)


def test_nothing_is_kept_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert begin(None, 2)[0].epochs == 2 and not list(tmp_path.iterdir())

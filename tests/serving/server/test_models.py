"""Versions that come and go, with loaders that need no TensorFlow."""

import threading

import pytest
from server.plain_versions import Loaded, put, states

from kerascnn._errors import InputError
from kerascnn.serving.server.model import Model, State
from kerascnn.serving.server.models import Models
from kerascnn.serving.server.status import Refusal


@pytest.fixture
def folder(tmp_path):
    put(tmp_path, 1)
    return tmp_path


def test_the_highest_version_answers_and_the_one_before_goes(folder):
    models = Models([Model("m", folder)], Loaded)
    assert not models.ready()
    models.poll()
    assert models.ready() and states(models) == [(1, "AVAILABLE", "OK")]
    with models.lease("m") as lease:
        first = lease.servable
        assert (lease.number, first.warm) == (1, 1)
        put(folder, 3)
        put(folder, "notes")
        models.poll()
        assert states(models) == [(3, "AVAILABLE", "OK"), (1, "UNLOADING", "OK")]
        with models.lease("m") as newer:
            assert newer.number == 3
        with pytest.raises(Refusal, match=r"Servable not found for request: Specific\(m, 1\)"):
            with models.lease("m", 1):
                pass
        assert not first.closed and lease.servable is first  # a request is on it
        models.poll()
        assert states(models)[1] == (1, "UNLOADING", "OK")
    assert first.closed and states(models) == [(3, "AVAILABLE", "OK"), (1, "END", "OK")]
    (folder / "3" / "saved_model.pb").unlink()
    (folder / "3").rmdir()
    models.poll()  # back to the one before
    assert states(models) == [(3, "END", "OK"), (1, "AVAILABLE", "OK")]


@pytest.mark.parametrize(
    "text, code, message",
    [
        ("bad", "DATA_LOSS", "it is bad"),
        ("cold", "INVALID_ARGUMENT", "its warm-up fails"),
        ("fault", "INTERNAL", "RuntimeError: a fault of ours"),
    ],
)
def test_a_bad_version_is_reported_and_skipped_until_its_files_change(folder, text, code, message):
    calls = []

    def load(path):
        calls.append(path.name)
        return Loaded(path)

    models = Models([Model("m", folder)], load)
    models.poll()
    put(folder, 2, text)
    models.poll()
    models.poll()
    assert states(models) == [(2, "END", code), (1, "AVAILABLE", "OK")]
    assert models.states("m", 2)[0].message == message
    assert calls == ["1", "2"]  # not tried again and again
    put(folder, 2, "better")
    models.poll()
    assert states(models) == [(2, "AVAILABLE", "OK"), (1, "END", "OK")]


def test_a_bad_version_at_the_start_leaves_the_one_below(folder):
    put(folder, "007", "bad")
    models = Models([Model("m", folder)], Loaded)
    models.poll()
    assert states(models) == [(7, "END", "DATA_LOSS"), (1, "AVAILABLE", "OK")]


def test_several_models_labels_and_the_latest_two(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in (1, 2, 3, 4):
            put(tmp_path / name, number, f"{name}{number}")
    models = Models(
        [Model("a", tmp_path / "a", latest=2), Model("b", tmp_path / "b", labels={"stable": 2, "canary": 4})], Loaded
    )
    models.poll()
    assert models.names == ["a", "b"]
    assert [row[:2] for row in states(models, "a")] == [(4, "AVAILABLE"), (3, "AVAILABLE")]
    assert [row[:2] for row in states(models, "b")] == [(4, "AVAILABLE"), (2, "AVAILABLE")]
    with models.lease("b", label="stable") as lease:
        assert lease.servable.text == "b2"
    with models.lease("a", 3) as lease:
        assert lease.servable.text == "a3"
    for arguments, code, message in (
        (("c",), "NOT_FOUND", r"Servable not found for request: Latest\(c\)"),
        (("b", 3), "NOT_FOUND", r"Servable not found for request: Specific\(b, 3\)"),
        (("b", None, "x"), "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
        (("b", 2, "x"), "INVALID_ARGUMENT", r"Both model version \(2\) and model version label \(x\)"),
    ):
        with pytest.raises(Refusal, match=message) as caught:
            with models.lease(*arguments):
                pass
        assert caught.value.code == code
    with pytest.raises(Refusal, match="Could not find version 9 of model a"):
        models.states("a", 9)
    with pytest.raises(Refusal, match="Could not find any versions of model c"):
        models.states("c")
    assert [version.number for version in models.states("b", label="canary")] == [4]


def test_what_the_start_refuses(folder):
    put(folder, "")
    for make, message in (
        (lambda: Model("m", folder), "folder must be the folder above the numbered versions"),
        (lambda: Model("m", folder / "none"), "folder must be an existing folder with numbered versions"),
        (lambda: Model("a/b", folder), "name must be the name of a model, without / and :"),
        (lambda: Model("m", folder / "1" / ".."), "folder above"),
        (lambda: Models([], Loaded), "models must be at least one"),
    ):
        with pytest.raises(InputError, match=message):
            make()
    (folder / "saved_model.pb").unlink()
    with pytest.raises(InputError, match="a name of its own"):
        Models([Model("m", folder), Model("m", folder)], Loaded)
    with pytest.raises(InputError, match="latest must be a whole number, at least 1"):
        Model("m", folder, latest=0)
    with pytest.raises(InputError, match="labels"):
        Model("m", folder, labels={"stable": -1})


def test_a_folder_that_empties_or_goes(folder):
    models = Models([Model("m", folder)], Loaded)
    models.poll()
    (folder / "1" / "saved_model.pb").unlink()
    (folder / "1").rmdir()
    folder.rename(folder.with_name("elsewhere"))
    models.poll()
    assert models.ready()  # it may be a disk that is away: what is loaded stays
    folder.mkdir()
    models.poll()
    assert not models.ready() and states(models) == [(1, "END", "OK")]


def test_leases_from_many_threads_while_versions_change(folder):
    models = Models([Model("m", folder)], Loaded, interval=0.001)
    models.poll()
    failed, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            with models.lease("m") as lease:
                servable = lease.servable
                if servable is None or servable.closed or lease.state is State.END:
                    failed.append(lease.number)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(2, 30):
        put(folder, number)
        models.poll()
    stop.set()
    for thread in threads:
        thread.join()
    models.poll()
    assert not failed
    assert [row for row in states(models) if row[1] != "END"] == [(29, "AVAILABLE", "OK")]
    assert all(version.leases == 0 for version in models.states("m"))

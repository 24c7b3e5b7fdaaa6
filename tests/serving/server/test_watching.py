"""The thread that watches the folders of a server's models."""

import threading

import pytest
from server.plain_versions import Loaded, put, states

from kerascnn.serving.server.model import Model, State
from kerascnn.serving.server.models import Models


@pytest.fixture
def folder(tmp_path):
    put(tmp_path, 1)
    return tmp_path


def until(condition):
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come")


def test_a_version_is_found(folder):
    models = Models([Model("m", folder)], Loaded, interval=0.01)
    models.start()
    try:
        until(models.ready)
        put(folder, 2)
        until(lambda: states(models)[0] == (2, "AVAILABLE", "OK"))
    finally:
        assert models.stop(20)


def test_a_fault_does_not_end_the_watch(folder, monkeypatch, caplog):
    models = Models([Model("m", folder)], Loaded, interval=0.01)
    seen = threading.Event()

    def poll(real=models.poll):
        if not seen.is_set():
            seen.set()
            raise RuntimeError("a fault of ours")
        real()

    monkeypatch.setattr(models, "poll", poll)
    models.start()
    try:
        until(models.ready)
        assert "a fault of ours" in caplog.text
    finally:
        assert models.stop(20)


def test_stopping_while_a_version_is_loaded(folder):
    begun, go = threading.Event(), threading.Event()

    def load(path):
        begun.set()
        assert go.wait(20)
        return Loaded(path)

    models = Models([Model("m", folder)], load)
    models.start()
    assert begun.wait(20) and models.states("m")[0].state is State.LOADING
    assert not models.stop(0.01)
    go.set()
    assert models.stop(20)

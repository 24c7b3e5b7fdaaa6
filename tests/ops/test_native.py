"""Loading the library: modes, fall-backs that speak once, refusals, and the question whether XLA is tracing."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tensorflow as tf

import kerascnn
from kerascnn._errors import InputError
from kerascnn.ops import _native, build_info, native

PACKAGE = Path(kerascnn.__file__).parent
SCRIPT = """
import os, warnings, tensorflow as tf
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from kerascnn import ops
    x = tf.ones((2, 3, 3, 4))
    for _ in range(3):
        y = ops.local_response_normalization(x)
        z = ops.conv2d(x, tf.ones((3, 3, 2, 4)), groups=2)
    print(len([w for w in caught if "kerascnn" in str(w.message)]), *{str(w.message) for w in caught})
print(z.shape, "available:", ops.build_info()["available"])
os.environ["KERASCNN_NATIVE"] = "require"
try:
    ops.local_response_normalization(x)
except ValueError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def state():
    """The module's state, restored afterwards."""
    before = _native._State.loaded, _native._State.warned, list(_native._State.overrides)
    _native._State.loaded, _native._State.warned, _native._State.overrides = None, False, []
    yield _native._State
    _native._State.loaded, _native._State.warned, _native._State.overrides = before


def run(folder, script=SCRIPT, **environment):
    """A fresh process that imports the package from `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, cwd=folder)


def copy_without_binaries(folder):
    """The parts of the package that the ops and layers need, without what was compiled."""
    (folder / "kerascnn" / "ops").mkdir(parents=True)
    for name in ("__init__.py", "_errors.py", "layers", "ops"):
        source = PACKAGE / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / "kerascnn" / name, **({"dirs_exist_ok": True} if source.is_dir() else {}))
    return folder


def test_a_missing_library_is_told_once(tmp_path):
    done = run(copy_without_binaries(tmp_path), KERASCNN_NATIVE="auto")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 kerascnn runs without its compiled ops")
    assert "never built" in done.stdout and "available: False" in done.stdout
    assert "InputError: Native ops are required, but there is no usable library" in done.stdout


def test_another_tensorflow_is_told_once_and_never_loaded(tmp_path):
    copy_without_binaries(tmp_path)
    (tmp_path / "kerascnn" / "_ops.so").write_bytes(b"loading this would fail otherwise")
    (tmp_path / "kerascnn" / "_build_info.json").write_text(json.dumps({"tensorflow": "2.3.0"}))
    done = run(tmp_path, KERASCNN_NATIVE="auto")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 kerascnn runs") and f"2.3.0, this is {tf.__version__}" in done.stdout


def test_a_broken_library_falls_back(state, monkeypatch, tmp_path):
    (tmp_path / "_ops.so").write_bytes(b"not a library")
    (tmp_path / "_build_info.json").write_text(json.dumps({"tensorflow": tf.__version__}))
    monkeypatch.setattr(_native, "_LIBRARY", tmp_path / "_ops.so")
    monkeypatch.setattr(_native, "_RECORD", tmp_path / "_build_info.json")
    monkeypatch.setenv("KERASCNN_NATIVE", "auto")
    with pytest.warns(RuntimeWarning, match="could not be loaded"):
        assert not _native.usable()
    assert not _native.usable()  # and no second warning, which would be an error here


def test_a_wrong_mode_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("KERASCNN_NATIVE", "perhaps")
    with pytest.raises(InputError, match="KERASCNN_NATIVE must be one of auto, require, off. Received: perhaps"):
        _native.usable()


def test_off_is_silent(state, monkeypatch, tmp_path):
    monkeypatch.setattr(_native, "_LIBRARY", tmp_path / "_ops.so")
    monkeypatch.setenv("KERASCNN_NATIVE", "off")
    assert not _native.usable()


@pytest.mark.skipif(not build_info()["available"], reason="native library: " + build_info()["reason"])
def test_require_works_in_a_fresh_process():
    done = run(PACKAGE.parent, KERASCNN_NATIVE="require")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0") and done.stdout.rstrip().endswith("available: True")


@pytest.mark.skipif(not build_info()["available"], reason="native library: " + build_info()["reason"])
def test_an_op_that_an_old_library_lacks_is_named():
    with pytest.raises(InputError, match="older than the Python code: it has no op kerascnn_new_op. Compile it"):
        _native.loaded().kerascnn_new_op(x=1)
    assert not hasattr(_native.loaded(), "__wrapped__")  # what inspection asks of anything


def test_modes_nest_and_survive_errors(state, monkeypatch):
    monkeypatch.setenv("KERASCNN_NATIVE", "auto")
    with pytest.raises(KeyError), native("off"):
        assert _native.mode() == "off"
        with native("auto"):
            assert _native.mode() == "auto"
        assert _native.mode() == "off"
        raise KeyError
    assert _native.mode() == "auto"
    with pytest.raises(InputError, match="mode must be one of auto, require, off. Received: on"):
        with native("on"):
            pass


def test_require_fails_on_entry_where_nothing_is_built(state, monkeypatch, tmp_path):
    monkeypatch.setattr(_native, "_LIBRARY", tmp_path / "_ops.so")
    monkeypatch.setattr(_native, "_RECORD", tmp_path / "_build_info.json")
    (tmp_path / "_build_info.json").write_text(json.dumps({"absent": {"ops": "g++: No such file"}}))
    with pytest.raises(InputError, match="no usable library: g.*No such file"), native("require"):
        pass
    assert state.overrides == []
    info = build_info()
    assert info["available"] is False and info["reason"] == "g++: No such file"
    with pytest.raises(InputError, match="This model holds native ops"):
        _native.loaded()


def test_the_library_is_loaded_once_by_many_threads(state, monkeypatch):
    calls = []
    monkeypatch.setattr(_native, "_load", lambda: (calls.append(1), (None, "for this test"))[1])
    monkeypatch.setenv("KERASCNN_NATIVE", "auto")
    with pytest.warns(RuntimeWarning, match="for this test") as caught:
        threads = [threading.Thread(target=_native.library) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(calls) == 1 and len(caught) == 1


def test_build_info_is_complete():
    info = build_info()
    assert set(info) >= {"available", "reason", "mode", "library", "tensorflow", "compiler", "cpu_levels", "cuda"}
    assert info["available"] == (not info["reason"])


def test_tracing_for_xla_is_recognized():
    seen = []

    def ask(x):
        seen.append(_native.tracing_for_xla())
        return x + 1

    ask(tf.ones(1))
    tf.function(ask)(tf.ones(1))
    assert seen == [False, False]

    @tf.function(jit_compile=True)
    def compiled(x):
        return ask(tf.cond(x[0] > 0, lambda: ask(x), lambda: x)) + tf.function(ask)(x)

    compiled(tf.ones(1))
    assert len(seen) == 5 and all(seen[2:])


def test_a_gpu_without_kernels_for_it_runs_plain_tensorflow(monkeypatch):
    monkeypatch.setattr(_native, "has_gpu", lambda: True)
    monkeypatch.setattr(_native, "library", lambda: object())
    monkeypatch.setattr(_native, "cuda_problem", lambda: "")
    assert not _native.usable()
    assert _native.usable(gpu=True)
    monkeypatch.setattr(_native, "cuda_problem", lambda: "the driver is too old")
    assert not _native.usable(gpu=True)


@pytest.mark.parametrize(("module", "kept"), [("kerascnn.inference.predictor", True), ("somebody.elses", False)])
def test_graphs_of_predictors_keep_our_ops_and_those_that_may_be_exported_do_not(module, kept):
    if not build_info()["available"]:
        pytest.skip("the ops are not compiled here")
    own = {"__name__": module}
    exec("def trace(function): return function.get_concrete_function().graph.get_operations()", own)
    x, kernel = tf.zeros([2, 6, 6, 4]), tf.zeros([3, 3, 2, 4])
    function = tf.function(lambda: kerascnn.ops.conv2d(x, kernel, groups=2), autograph=False)
    assert any(operation.type.startswith("Kerascnn>") for operation in own["trace"](function)) is kept

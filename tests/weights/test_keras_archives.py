"""`.keras` archives whose configs name code: `weights=` reads the arrays alone; whole models with code are refused."""

import base64
import json
import marshal
import zipfile

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.inference.checkpoint import load


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A LeNet-5 and the bytes of its members."""
    path = tmp_path_factory.mktemp("archive") / "lenet.keras"
    model = kerascnn.create_model("lenet5", classes=3)
    model.save(path)
    with zipfile.ZipFile(path) as file:
        return model, {name: file.read(name) for name in file.namelist()}


def code(folder):
    """A function as Keras stores those of Lambda layers, which would leave a file."""
    made = compile(f"open({str(folder / 'ran')!r}, 'w').close()", "x", "exec")
    return base64.b64encode(marshal.dumps(made)).decode()


def layer(class_name, config=None, module="keras.layers", registered=None):
    return {"module": module, "class_name": class_name, "config": config or {}, "registered_name": registered}


CONFIGS = {
    "lambda": lambda f: layer("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": code(f)}}}),
    "lambda of old": lambda f: layer("Lambda", {"function": [code(f), None, None], "function_type": "lambda"}),
    "os": lambda f: layer("system", {"command": f"touch {f / 'ran'}"}, "os"),
    "subprocess": lambda f: layer("Popen", {"args": ["touch", str(f / "ran")]}, "subprocess"),
    "builtins": lambda f: layer("exec", {"source": f"open({str(f / 'ran')!r}, 'w')"}, "builtins"),
    "unknown class": lambda f: layer("Evil", {}, "evil", "evil>Evil"),
    "unknown of ours": lambda f: layer("Evil", {}, "kerascnn.layers", "kerascnn>Evil"),
    "a file to import": lambda f: layer("Evil", {}, "../../evil", None),
    "get_file": lambda f: layer("get_file", {"fname": "x", "origin": f"file://{f}/x"}, "keras.utils"),
    "saved model": lambda f: layer("TFSMLayer", {"filepath": str(f)}, "keras.layers"),
    "torch": lambda f: layer("TorchModuleWrapper", {"module": code(f)}, "keras.layers"),
    "no class": lambda f: {"config": {"name": "lenet5"}},
    "a list": lambda f: [1, 2, 3],
    "a name that is none": lambda f: {"config": {"name": {"a": ["\x1b[31m"]}}},
    "nested without end": lambda f: None,
    "no JSON": lambda f: b"\x80\x04}q\x00.",
}


def written(members, name, folder):
    """The archive with another config.json."""
    made = CONFIGS[name](folder)
    text = b"[" * 100_000 if made is None else made if isinstance(made, bytes) else None
    if text is None and isinstance(made, dict) and "class_name" in made:
        inner = {"layers": [{**made, "name": "evil", "inbound_nodes": []}], "name": "evil", "input_layers": []}
        text = json.dumps(layer("Functional", inner, "keras.src.models.functional")).encode()
    with zipfile.ZipFile(folder / "evil.keras", "w") as file:
        for member, content in members.items():
            file.writestr(member, (text or json.dumps(made).encode()) if member == "config.json" else content)
    return folder / "evil.keras"


@pytest.mark.parametrize("name", CONFIGS)
def test_arrays_are_read_and_no_model_is_built(name, archive, tmp_path, monkeypatch):
    model, members = archive
    path = written(members, name, tmp_path)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    monkeypatch.setattr(keras.Model, "from_config", lambda *_, **__: pytest.fail("a model was built"))
    again = kerascnn.create_model("lenet5", classes=3, weights=path)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", CONFIGS)
def test_whole_models_that_name_code_are_refused(name, archive, tmp_path):
    _, members = archive
    record = {
        "model": {"name": "lenet5", "input_shape": [32, 32, 1]},
        "class_names": list("abc"),
        "preprocessing": CIFAR.for_channels(1).to_dict(),
        "data": {"name": "digits"},
        "training": {},
    }
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="Keras cannot load the checkpoint") as refused:
        load(written(members, name, tmp_path))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 700
    assert not (tmp_path / "ran").exists()

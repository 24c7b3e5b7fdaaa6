"""Weights in several files with an index: of the hub, of PyTorch, of Keras; and indices made to do harm."""

import json
import shutil

import h5py
import keras
import numpy as np
import pth_by_hand
import pytest
from safetensors.numpy import save_file

import kerascnn
from kerascnn._errors import InputError
from kerascnn.weights.files import format_of, read
from kerascnn.weights.shards import read_keras_shards, read_shards

L = keras.layers
STATE = {"a.weight": np.arange(6, dtype="f4").reshape(2, 3), "a.bias": np.ones(2, "f4"), "b.weight": np.zeros(4, "f4")}
MAP = {"a.weight": "model-1.safetensors", "a.bias": "model-1.safetensors", "b.weight": "model-2.safetensors"}


def write(folder, names=MAP, name="model.safetensors.index.json", state=STATE):
    """Two files and their index."""
    for file in ("model-1.safetensors", "model-2.safetensors"):
        save_file({key: state[key] for key, own in MAP.items() if own == file and key in state}, folder / file)
    (folder / name).write_text(json.dumps({"metadata": {"total_size": 48}, "weight_map": names}))
    return folder / name


def refused(path, match, reader=read):
    with pytest.raises(InputError, match=match) as caught:
        reader(path)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 700


def test_a_state_dict_in_two_files(tmp_path):
    kind, found = read(write(tmp_path))
    assert kind.holds == "state" and found.keys() == STATE.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(found[name], array)


def test_files_of_pytorch(tmp_path):
    state = pth_by_hand.expected("zip.pth")
    shutil.copy(pth_by_hand.FILES / "zip.pth", tmp_path / "pytorch_model-1.bin")
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(state, "pytorch_model-1.bin")}))
    found = read_shards(index)
    assert found.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(found[name], array)


def model(name="net"):
    x = image = keras.Input((6,), name="image")
    x = L.BatchNormalization(name="bn")(L.Dense(300, name="first")(x))
    return keras.Model(image, L.Dense(2, name="last")(L.Dropout(0.5, name="drop")(x)), name=name)


@pytest.fixture
def keras_shards(tmp_path):
    """A model of Keras whose first layer lies in two files."""
    net = model()
    for layer in net.layers:
        layer.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in layer.get_weights()])
    net.save_weights(tmp_path / "net.weights.json", max_shard_size=7300 / 1024**3)
    index = json.loads((tmp_path / "net.weights.json").read_text())["weight_map"]
    assert any(isinstance(files, list) and len(files) > 1 for files in index.values())
    return tmp_path / "net.weights.json", net


def test_a_model_of_keras(keras_shards):
    path, net = keras_shards
    found = read_keras_shards(path)
    assert format_of(path).holds == "layers" and sorted(found) == ["bn", "first", "last"]
    for name, arrays in found.items():
        for ours, theirs in zip(arrays, net.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_weights_takes_an_index(tmp_path):
    lenet = kerascnn.create_model("lenet5")
    lenet.save_weights(tmp_path / "lenet.weights.json", max_shard_size=200_000 / 1024**3)
    assert len(list(tmp_path.glob("*.h5"))) > 1
    again = kerascnn.create_model("lenet5", weights=tmp_path / "lenet.weights.json")
    for a, b in zip(again.get_weights(), lenet.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_hubs_cache_links_to_its_blobs(tmp_path):
    """An index that is a link itself may have files where it is linked to."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    write(tmp_path / "blobs")
    for i, name in enumerate(("model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors")):
        (tmp_path / "blobs" / name).rename(tmp_path / "blobs" / str(i))
        (tmp_path / "snapshot" / name).symlink_to(f"../blobs/{i}")
    assert read_shards(tmp_path / "snapshot" / "model.safetensors.index.json").keys() == STATE.keys()


# What the index says and what the files hold


@pytest.mark.parametrize(
    "names, match",
    [
        ({**MAP, "c": "model-2.safetensors"}, r"c is not in model-2.safetensors"),
        ({k: v for k, v in MAP.items() if k != "a.bias"}, r"a.bias is unexpected in model-1.safetensors"),
        ({**MAP, "a.bias": "model-2.safetensors"}, r"a.bias is unexpected in model-1|a.bias is not in model-2"),
        ({**MAP, "b.weight": "model-3.safetensors"}, "no such weights file. Received: .*model-3"),
        ({"b.weight": "model-1.safetensors"}, "b.weight is not in"),
    ],
)
def test_the_index_and_the_files_must_agree(names, match, tmp_path):
    refused(write(tmp_path, names), match)


def test_keras_index_and_files_must_agree(keras_shards):
    path, _ = keras_shards
    index = json.loads(path.read_text())
    names = index["weight_map"]
    group = next(iter(names))
    file = names[group][0] if isinstance(names[group], list) else names[group]
    for wrong in (
        {key: own for key, own in names.items() if key != group},
        {**names, "/layers/none/vars": file},
        {**names, group: "other.weights.h5"},
    ):
        path.write_text(json.dumps({"weight_map": wrong}))
        refused(path, "is not in|is unexpected in|no such weights file", read_keras_shards)


# Names that lead elsewhere


OUTSIDE = [
    "../secret.safetensors", "/etc/secret.safetensors", "a/model.safetensors", "..", ".", "", "a\\model.safetensors",
    "C:model.safetensors", "model\n.safetensors", "model\0.safetensors", "./model-1.safetensors", "x" * 400,
    "../../../../dev/zero", "folder/../model-1.safetensors", "~/model.safetensors", "file:///etc/passwd",
    "https://example.org/model.safetensors", "\u202emodel.safetensors", "\\\\host\\share\\model.safetensors",
]  # fmt: skip


@pytest.mark.parametrize("file", OUTSIDE)
@pytest.mark.parametrize("ending", ["model.safetensors.index.json", "net.weights.json"])
def test_files_elsewhere(file, ending, tmp_path):
    (tmp_path / "inside").mkdir()
    save_file(STATE, tmp_path / "secret.safetensors")
    refused(write(tmp_path / "inside", dict.fromkeys(STATE, file), ending), "not safe to read")


@pytest.mark.parametrize("target", ["../secret.safetensors", "/dev/zero", "/etc/passwd", "model-1.safetensors"])
def test_links_elsewhere(target, tmp_path):
    (tmp_path / "inside").mkdir()
    save_file(STATE, tmp_path / "secret.safetensors")
    path = write(tmp_path / "inside")
    (tmp_path / "inside" / "model-1.safetensors").unlink()
    (tmp_path / "inside" / "model-1.safetensors").symlink_to(target)
    refused(path, "not safe to read|cannot be read|no such weights file")


def test_folders_and_pipes_for_files(tmp_path):
    path = write(tmp_path)
    (tmp_path / "model-1.safetensors").unlink()
    (tmp_path / "model-1.safetensors").mkdir()
    refused(path, "this is a folder")


INDICES = [
    (b"", "cannot be read"),
    (b"[]", "cannot be read"),
    (b"{}", "no weight_map"),
    (b'{"weight_map": []}', "no weight_map"),
    (b'{"weight_map": {}}', "no weight_map"),
    (b'{"weight_map": "model-1.safetensors"}', "no weight_map"),
    (b'{"weight_map": {"a": 1}}', "something else than names"),
    (b'{"weight_map": {"a": null}}', "something else than names"),
    (b'{"weight_map": {"a": {"b": "c"}}}', "something else than names"),
    (b'{"weight_map": {"a": [["b"]]}}', "something else than names"),
    (b'{"weight_map": {"a": [1]}}', "something else than names"),
    (b'{"weight_map": {"a": "model-1.safetensors", "a": "model-2.safetensors"}}', "occurs twice"),
    (b'{"weight_map": {}, "weight_map": {"a": "b"}}', "occurs twice"),
    (b'{"weight_map": ' + b"[" * 200_000, "without end|cannot be read"),
    (b'{"weight_map": {"a": ' + b'{"b": ' * 50_000, "without end|cannot be read"),
    (b'{"weight_map": {"": "model-1.safetensors"}}', "empty"),
    (b'{"weight_map": {"a\\nb": "model-1.safetensors"}}', "does not print"),
    (b'{"weight_map": {"' + b"a" * 5000 + b'": "model-1.safetensors"}}', "longer than"),
    (b'{"weight_map": {"a": "model.exe"}}', "files that are n"),
    (b'{"weight_map": {"a": "model-1.safetensors", "b": "model.pth"}}', "files that are n"),
    (b'{"weight_map": {"a": "model.index.json"}}', "files that are n"),
    (b'{"weight_map": {"a": NaN}}', "something else than names"),
    (b"\xff\xfe\x00", "cannot be read"),
    (b"\x80\x04}q\x00.", "cannot be read"),
    (b"<!DOCTYPE html><html></html>", "cannot be read"),
]


@pytest.mark.parametrize("content, match", INDICES)
@pytest.mark.parametrize("name", ["model.safetensors.index.json", "net.weights.json"])
def test_indices_made_to_do_harm(content, match, name, tmp_path):
    path = write(tmp_path)
    (tmp_path / name).write_bytes(content)
    refused(path.with_name(name), match)


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "net.weights.json"])
def test_an_index_that_promises_ten_gigabytes(name, tmp_path):
    with open(tmp_path / name, "wb") as file:
        file.truncate(10 * 2**30)
    refused(tmp_path / name, "an index of more than")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files(keep, tmp_path, keras_shards):
    path = write(tmp_path)
    for file, index in ((tmp_path / "model-2.safetensors", path), (tmp_path / "net_00000.weights.h5", keras_shards[0])):
        whole = file.read_bytes()
        file.write_bytes(whole[: int(keep * len(whole))])
        refused(index, "cannot be read")


@pytest.mark.parametrize("harm", ["external link", "soft link", "twice", "two names", "huge", "no layers"])
def test_shards_of_keras_made_to_do_harm(harm, keras_shards):
    path, _ = keras_shards
    names = json.loads(path.read_text())["weight_map"]
    first, second = path.with_name("net_00000.weights.h5"), path.with_name("net_00001.weights.h5")
    with h5py.File(first, "r+") as a, h5py.File(second, "r+") as b:
        group = next(key for key, files in names.items() if len(files) > 1)
        if harm == "external link":
            del b[group]
            b[group] = h5py.ExternalLink(str(first), group)
        elif harm == "soft link":
            b["layers/more"] = h5py.SoftLink("/layers")
        elif harm == "twice":
            key = next(iter(a[group]))
            b[group].create_dataset(key, data=a[group][key][()])
        elif harm == "two names":
            b[group].attrs["name"] = "other"
        elif harm == "huge":
            key = next(iter(b[group]))
            del b[group][key]
            b[group].create_dataset(key, (10**7, 10**6), "f4", chunks=(100, 100))
        else:
            del b["layers"]
    refused(path, "link|there twice|of two names|arrays of|is not in", read_keras_shards)


def test_names_of_indices(tmp_path):
    (tmp_path / "index.json").write_text("{}")
    refused(tmp_path / "index.json", "Weights are read from")
    refused(tmp_path / "net.weights.json", "no such weights file")
    for reader in (read_shards, read_keras_shards):
        refused(tmp_path / "index.json", "name of the index", reader)
        refused(tmp_path, "a folder", reader)

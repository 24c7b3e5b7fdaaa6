"""Files of PyTorch without PyTorch: those that torch has written, what is chosen in a checkpoint, and into networks."""

import logging
import mmap

import numpy as np
import pytest
from pth_by_hand import (
    FILES,
    NUMBERS,
    STATE,
    call,
    dictionary,
    expected,
    group,
    legacy,
    name,
    plain,
    storage,
    tensor,
    zipped,
)  # fmt: skip

import kerascnn
from kerascnn import weights
from kerascnn._errors import InputError
from kerascnn.weights.files import read

SOUND = sorted(path.name for path in FILES.iterdir() if "refused" not in path.name and path.suffix != ".json")


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, "absl")
    return caplog


def same(found, wanted):
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        assert isinstance(found[key], np.ndarray) and found[key].dtype == value.dtype, key
        np.testing.assert_array_equal(found[key], value, strict=True)


@pytest.mark.parametrize("file", SOUND)
def test_what_torch_has_written(file):
    same(weights.read_pth(FILES / file), expected(file))


def test_the_table_knows_every_file():
    assert len(SOUND) == 8
    for file in SOUND:
        kind, found = read(FILES / file)
        assert kind.holds == "state" and found


@pytest.mark.parametrize(
    "file, match",
    [
        ("refused_module.pth", r"state_dict.* Received: torch\.nn\.modules\.container\.Sequential in"),
        ("refused_script.pt", "Received: a TorchScript program in"),
        ("refused_quantized.pth", "Received: torch._utils._rebuild_qtensor in"),
        ("refused_sparse.pth", "Received: torch._utils._rebuild_sparse_tensor in"),
        ("refused_negative_bit.pth", "Received: a tensor with a conjugate or negative bit in"),
        ("refused_complex.pth", r"other types \(complex64: w\)"),
        ("refused_float8.pth", r"other types \(float8_e4m3fn: w\)"),
        ("refused_list.pth", "must hold a state dict, .* Received: a list in"),
    ],
)  # fmt: skip
def test_what_torch_has_written_and_no_weights_are(file, match):
    with pytest.raises(InputError, match=match) as caught:
        weights.read_pth(FILES / file)
    assert "\n" not in str(caught.value)


def test_arrays_are_views_of_the_file():
    """So that peak memory is the file's size at most, and shared storages stay shared."""
    found = weights.read_pth(FILES / "zip.pth")
    whole, shared = found["whole.weight"], found["shared.weight"]
    assert np.shares_memory(whole, shared) and not whole.flags.writeable
    owner = whole
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert isinstance(owner.obj if isinstance(owner, memoryview) else owner, mmap.mmap)


@pytest.mark.parametrize("write", [zipped, legacy])
def test_files_by_hand_are_read(write, tmp_path):
    same(weights.read_pth(write(tmp_path / "a.pth", STATE)), {"fc.weight": NUMBERS.reshape(2, 3)})


def test_views_as_the_oldest_files_have_them(tmp_path):
    """A storage of three elements that begins at the second of six."""
    part = storage("0", None, 6, group(plain("7"), plain(1), plain(3)))
    body = dictionary({"w": tensor(part, 1, (2,), (1,), name("torch._utils", "_rebuild_tensor"))})
    same(weights.read_pth(legacy(tmp_path / "a.pth", body)), {"w": NUMBERS[2:4]})


def test_pickles_of_python_2(tmp_path):
    """An ordered dictionary with its pairs as arguments, and byte strings as names."""
    pair = b"](U\x01w" + tensor() + b"e"
    body = name("collections", "OrderedDict") + b"(](" + pair + b"etR"
    same(weights.read_pth(legacy(tmp_path / "a.pth", body)), {"w": NUMBERS.reshape(2, 3)})


def test_numbers_of_the_other_byte_order(tmp_path):
    halves = np.array([1, -2], ">f4").view(">u2")[::2].copy()
    body = dictionary({"w": tensor(), "b": tensor(storage("1", name("torch", "BFloat16Storage"), 2), 0, (2,), (1,))})
    stored = {"0": NUMBERS.astype(">f4").tobytes(), "1": halves.tobytes()}
    found = weights.read_pth(zipped(tmp_path / "a.pth", body, stored, byteorder=b"big"))
    same(found, {"w": NUMBERS.reshape(2, 3), "b": np.array([1, -2], "f4")})


def test_a_file_without_an_order_of_bytes_or_checksums(tmp_path):
    """Before PyTorch 2.1 none was written, and torch can be told to leave checksums out: they are zero."""
    path = zipped(tmp_path / "a.pth", STATE)
    content = bytearray(path.read_bytes().replace(b"archive/byteorder", b"archive/something"))
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 16 : place + 20] = bytes(4)
        place = content.find(b"PK\x01\x02", place + 4)
    path.write_bytes(content)
    same(weights.read_pth(path), {"fc.weight": NUMBERS.reshape(2, 3)})
    path.write_bytes(zipped(path, STATE).read_bytes().replace(NUMBERS.tobytes(), NUMBERS[::-1].tobytes()))
    with pytest.raises(InputError, match="another checksum"):
        weights.read_pth(path)


def test_a_tensor_with_attributes(tmp_path):
    inner = group(storage(), plain(0), plain((6,)), plain((1,)), plain(False), plain({}))
    function, kind = name("torch._utils", "_rebuild_tensor_v2"), name("torch.nn.parameter", "Parameter")
    made = call(name("torch._tensor", "_rebuild_from_type_v2"), function, kind, inner, plain({"tag": 1}))
    same(weights.read_pth(zipped(tmp_path / "a.pth", dictionary({"w": made}))), {"w": NUMBERS})


ONE, TWO = (dictionary({"w": tensor(offset=first, shape=(1,), strides=(1,))}) for first in (1, 2))
EMPTY = plain({})


@pytest.mark.parametrize(
    "content, chosen",
    [
        ({"state_dict": ONE, "epoch": plain(3)}, 1),
        ({"model": ONE, "optimizer": TWO}, 1),
        ({"model_state": ONE}, 1),
        ({"net": ONE, "acc": plain(0.5)}, 1),
        ({"model": dictionary({"state_dict": ONE})}, 1),
        ({"ema": dictionary({"module": ONE})}, 1),
        ({"model": ONE, "model_ema": TWO}, 2),
        ({"model_ema": ONE, "state_dict_ema": TWO, "state_dict": ONE}, 2),
        ({"state_dict": ONE, "ema": plain({"decay": 0.9})}, 1),
        ({"state_dict": ONE, "model_ema": EMPTY}, 1),
        ({"state_dict": ONE, "model": plain("resnet18")}, 1),
        ({"w": tensor(offset=1, shape=(1,), strides=(1,)), "model": EMPTY}, 1),
    ],
)
def test_the_state_dict_in_a_checkpoint(content, chosen, tmp_path, said):
    found = weights.read_pth(zipped(tmp_path / "a.pth", dictionary(content)))
    assert found["w"].tolist() == [chosen] and len(found) == 1
    assert len(said.records) == 1 and "\n" not in said.text.strip()


def test_the_log_says_what_was_taken_and_what_was_left(said):
    weights.read_pth(FILES / "averaged.pth")
    assert "are those under model_ema, averages over the steps of training; beside it: model, epoch." in said.text
    assert "that are no weights are left out: n_averaged." in said.text
    said.clear()
    weights.read_pth(FILES / "zip.pth")
    assert not said.records


@pytest.mark.parametrize(
    "body, what",
    [
        (dictionary({"teacher": ONE, "student": TWO}), "the entries teacher, student"),
        (plain({"epoch": 3, 5: 1}), "the entries epoch, int"),
        (tensor(), "a tensor"),
        (plain(3), "a number"),
        (plain(None), "a value"),
        (b"}", "the entries nothing"),
    ],
)
def test_without_a_state_dict(body, what, tmp_path):
    with pytest.raises(InputError, match=f"must hold a state dict, .* Received: {what} in"):
        weights.read_pth(zipped(tmp_path / "a.pth", body))


def torch_names(model):
    """Our ResNet's values under torchvision's names and in PyTorch's layouts, as opcodes and storages."""
    entries, stored = {}, {}
    variables = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
    for layer in model.layers:
        module = layer.name.replace("stem_conv", "conv1").replace("stem_bn", "bn1").replace("head", "fc")
        module = module.replace("shortcut_conv", "downsample.0").replace("shortcut_bn", "downsample.1")
        if "_block" in module:
            stage, block, rest = module.split("_", 2)
            module = f"layer{stage[5:]}.{int(block[5:]) - 1}.{rest}"
        for variable in layer.weights:
            value = np.asarray(variable)
            value = np.ascontiguousarray(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T)
            key = str(len(stored))
            stored[key] = (value.size, value.tobytes())
            strides = tuple(step // 4 for step in value.strides)
            entry = {**variables, "moving_variance": "running_var"}.get(variable.name, variable.name)
            entries[f"module.{module}.{entry}"] = tensor(storage(key, None, value.size), 0, value.shape, strides)
    return dictionary({"arch": plain("resnet18"), "state_dict": dictionary(entries)}), stored


def test_into_a_network(tmp_path, said):
    model = kerascnn.create_model("resnet18", input_shape=(32, 32, 3), classes=5)
    weights.initialize(model, "he", seed=3)
    body, stored = torch_names(model)
    contents = {key: content for key, (_, content) in stored.items()}
    for path in (
        zipped(tmp_path / "a.pth", body, contents),
        legacy(tmp_path / "model_best.pth.tar", body, stored),
        zipped(tmp_path / "pytorch_model.bin", body, contents),
    ):
        said.clear()
        again = kerascnn.create_model("resnet18", input_shape=(32, 32, 3), classes=5, weights=path)
        for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert "under state_dict; beside it: arch" in said.text and "begin with 'module.'" in said.text


@pytest.mark.parametrize("file", ["model.pth", "model.pt", "last.ckpt", "model_best.pth.tar", "pytorch_model.bin"])
def test_a_file_that_is_not_there(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"no such weights file. Received: {file}"):
        kerascnn.create_model("resnet20", weights=file)
    with pytest.raises(InputError, match=r"\.safetensors, \.pth, \.pt, \.pth\.tar, \.bin, \.ckpt, .*\) or a tag"):
        kerascnn.create_model("resnet20", weights="model")


def test_other_endings(tmp_path):
    with pytest.raises(InputError, match="must end in"):
        weights.read_pth(FILES / "expected.json")

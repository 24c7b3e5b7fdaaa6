"""Files that are broken, of other kinds, or made to do harm: one line each, bounded memory, no other file is read."""

import json
import os
import resource
import struct
import zipfile
import zlib

import h5py
import keras
import numpy as np
import pytest

from kerascnn import weights
from kerascnn._errors import InputError
from kerascnn.weights.files import format_of, read

L = keras.layers


def refused(path, match, reader=read):
    with pytest.raises(InputError, match=match) as caught:
        reader(path)
    message = str(caught.value)
    assert "\n" not in message and message.isprintable() and len(message) < 600
    return message


# HDF5


def h5_with(path, write):
    """A weights file whose only array is what `write(group of variables)` puts there."""
    with h5py.File(path, "w") as file:
        own = file.create_group("layers/first/vars")
        own.attrs["name"] = "first"
        write(own)
    return path


def named(file):
    group = file.create_group("layers/first/vars")
    group.attrs["name"] = "first"
    return group


def external(group):
    secret = os.path.join(os.path.dirname(group.file.filename), "secret")
    with open(secret, "wb") as file:
        file.write(b"\x01" * 64)
    group.create_dataset("0", (16,), "f4", external=[(secret, 0, 64)])


def soft_link(group):
    group["0"] = h5py.SoftLink("/layers/second")
    group.file["layers/second"] = np.zeros(3, "f4")


def external_link(group):
    other = os.path.join(os.path.dirname(group.file.filename), "other.h5")
    with h5py.File(other, "w") as file:
        file["x"] = np.zeros(3, "f4")
    group["0"] = h5py.ExternalLink(other, "/x")


def virtual(group):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(group.file.filename, "elsewhere", (4,))
    group.create_virtual_dataset("0", layout)


def endless(group):
    group.create_dataset("0", (10**7, 10**6), "f4", chunks=(100, 100))


def bomb(group):
    group.create_dataset("0", data=np.zeros(2**26, "f4"), chunks=(2**20,), compression="gzip", compression_opts=9)


def many_views(group):
    group.create_dataset("0", data=np.zeros(2**22, "f4"), chunks=(2**20,), compression="gzip")
    for index in range(1, 40):
        group[str(index)] = group["0"]


UNSAFE = [
    (external, "data lie in another file"),
    (soft_link, "a soft or external link"),
    (external_link, "a soft or external link"),
    (virtual, "view of other files"),
    (endless, "arrays of .* bytes"),
    (bomb, "arrays of .* bytes"),
    (many_views, "arrays of .* bytes"),
    (lambda group: group.create_dataset("0", data=np.zeros(3, "c8")), "an array of complex64"),
    (lambda group: group.create_dataset("0", data=["a"], dtype=h5py.string_dtype()), "an array of object"),
    (lambda group: group.create_dataset("0", data=np.zeros(2, [("a", "f4")])), "which weights are not"),
    (lambda group: group.attrs.__setitem__("name", "a\nb") or group.create_dataset("0", data=[1.0]), "does not print"),
    (lambda group: group.attrs.__setitem__("name", "x" * 5000) or group.create_dataset("0", data=[1.0]), "longer than"),
]  # fmt: skip


@pytest.mark.parametrize("write, match", UNSAFE)
@pytest.mark.parametrize("archive", [False, True])
def test_hdf5(write, match, archive, tmp_path):
    path = h5_with(tmp_path / "model.weights.h5", write)
    if archive:
        with zipfile.ZipFile(tmp_path / "model.keras", "w") as file:
            file.write(path, "model.weights.h5")
        path = tmp_path / "model.keras"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, match)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kB


@pytest.mark.parametrize("write, match", UNSAFE[:7])
def test_a_checkpoint_is_checked_before_keras_opens_it(write, match, tmp_path):
    refused(h5_with(tmp_path / "model.weights.h5", write), match, weights.check_keras_file)


def test_groups_inside_themselves(tmp_path):
    def write(group):
        deep = group.file.create_group("layers/first/block")
        deep["again"] = deep
        deep["more"] = deep

    path = h5_with(tmp_path / "model.weights.h5", write)
    refused(path, "a group inside itself")
    refused(path, "a group inside itself", weights.check_keras_file)


@pytest.mark.parametrize(
    "write",
    [
        lambda file: file.create_dataset("layers", data=[1.0]),
        lambda file: file.create_dataset("layers/first", data=[1.0]),
        lambda file: file.create_dataset("layers/first/vars", data=[1.0]),
        lambda file: file.create_group("layers/first/vars/0").parent.attrs.__setitem__("name", "first"),
        lambda file: file.create_group("layers/first/vars").attrs.__setitem__("name", [1, 2]),
        lambda file: file.create_group("other"),
        lambda file: named(file).create_dataset("zero", data=[1.0]),
        lambda file: named(file).create_dataset("0", data=h5py.Empty("f4")),
    ],
)  # fmt: skip
def test_hdf5_of_other_shapes(write, tmp_path):
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        write(file)
    refused(tmp_path / "model.weights.h5", "cannot be read")


def test_what_keras_writes_is_safe(tmp_path):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2), L.Dropout(0.5), L.Dense(2, dtype="bfloat16")])
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 3)), np.zeros((2, 2)), verbose=0)
    for name in ("model.keras", "model.weights.h5"):
        model.save(tmp_path / name) if name.endswith(".keras") else model.save_weights(tmp_path / name)
        weights.check_keras_file(tmp_path / name)
        found = weights.read_keras_file(tmp_path / name)
        for layer in (model.layers[0], model.layers[2]):
            for ours, theirs in zip(found[layer.name], layer.get_weights(), strict=True):
                np.testing.assert_array_equal(ours.astype("float32"), theirs.astype("float32"))


# Archives


def test_an_archive_that_unpacks_to_more_than_it_holds(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("model.weights.h5", "w") as member:
        for _ in range(80):
            member.write(bytes(2**20))
    refused(path, "promises")
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):  # a header that tells another size
        place = content.find(signature)
        content[place + at : place + at + 4] = struct.pack("<I", 100)
    path.write_bytes(content)
    refused(path, "cannot be read")


def test_names_in_an_archive_lead_nowhere(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../model.weights.h5", b"x")
        file.writestr("/model.weights.h5", b"x")
    refused(path, "cannot be read")
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("model.weights.h5", b"x")
        file.writestr("model.weights.h5", b"y")
    refused(path, "twice")


# Safetensors


def safetensors(path, header, content=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + content)
    return path


def entry(kind="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": kind, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "header, content, match",
    [
        ({"a": entry("F8_E4M3", (8,))}, 8, r"other types \(F8_E4M3: a\)"),
        ({"a": entry("F8_E5M2", (8,))}, 8, "F8_E5M2"),
        ({"a": entry("C64", (1,))}, 8, "C64"),
        ({"a": entry("F4", (16,))}, 8, "F4"),
        ({"a": entry("\n<script>", (8,))}, 8, "other types"),
        ({"a": entry(), "b": entry()}, 8, "overlap"),
        ({"a": entry(), "b": entry(offsets=(12, 20))}, 20, "gaps"),
        ({"a": entry(offsets=(0, 80), shape=(20,))}, 8, "outside of the file"),
        ({"a": entry(offsets=(8, 0))}, 8, "outside of the file"),
        ({"a": entry(offsets=(-8, 0))}, 8, "than an array has"),
        ({"a": entry(shape=(3,))}, 8, "another size"),
        ({"a": entry(shape=(2**62, 2**62))}, 8, "another size"),
        ({"a": entry(shape=(-2,))}, 8, "than an array has"),
        ({"a": entry(shape=(True, 2))}, 8, "than an array has"),
        ({"a": entry(shape=(1,) * 200)}, 8, "than an array has"),
        ({"a": entry(kind=3)}, 8, "than an array has"),
        ({"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}, 8, "than an array has"),
        ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, 8, "lacks"),
        ({"a": [1, 2]}, 8, "lacks"),
        ({"a": entry()}, 9, "do not fill"),
        ({"a\0b": entry()}, 8, "does not print"),
        ({"": entry()}, 8, "does not print"),
        ({"x" * 1000: entry()}, 8, "does not print"),
        ([1, 2], 0, "no object"),
        (b'{"a":1,"a":2}', 0, "occurs twice"),
        (b"\xff\xfe\xfd", 0, "cannot be read"),
        (b"[" * 100_000, 0, "without end|cannot be read"),
        (b'{"a":{"dtype":"F32","shape":[' + b"9" * 6000 + b'],"data_offsets":[0,8]}}', 8, "cannot be read"),
        (b'{"a":NaN}', 0, "lacks"),
    ],
)
def test_safetensors(header, content, match, tmp_path):
    refused(safetensors(tmp_path / "model.safetensors", header, bytes(content)), match)


@pytest.mark.parametrize("length", [0, 1, 2**63, 2**64 - 1, 200_000_000, 10**6])
def test_lengths_of_headers(length, tmp_path):
    refused(safetensors(tmp_path / "model.safetensors", {"a": entry()}, bytes(8), length), "cannot be read")


def test_sound_safetensors(tmp_path):
    header = {
        "__metadata__": {"format": "pt"},
        "a.b": entry(),
        "c": entry("BF16", (), (8, 10)),
        "d": entry("I8", (0,), (10, 10)),
    }
    found = weights.read_safetensors(
        safetensors(tmp_path / "model.safetensors", header, np.array([1, -2], "f4").tobytes() + b"\x80\x3f")
    )
    assert (
        found["a.b"].tolist() == [1, -2] and found["c"].dtype == "float32" and found["c"] == 1 and found["d"].size == 0
    )


# Files that are none


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5", "model.safetensors", "model.pth"])
def test_what_is_no_file(name, tmp_path):
    refused(tmp_path / name, "no such weights file")
    refused(tmp_path / f"a\0{name}", "no such weights file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).mkdir()
    refused(tmp_path / "folder" / name, "this is a folder")
    os.mkfifo(tmp_path / f"pipe.{name}")
    refused(tmp_path / f"pipe.{name}", "a pipe, socket or device")
    (tmp_path / f"zero.{name}").symlink_to("/dev/zero")
    refused(tmp_path / f"zero.{name}", "a pipe, socket or device")
    for content in (b"", b"\0", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", zlib.compress(bytes(99)), b"\x80\x04}q\x00."):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "cannot be read")


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5", "model.safetensors"])
def test_damage_anywhere_is_one_line(name, tmp_path):
    """Half of the bytes of a block are changed, at many places: a line, or arrays (the formats have few checksums)."""
    model = keras.Sequential([keras.Input((3,)), L.Dense(40, name="first"), L.Dense(2, name="second")])
    path = tmp_path / name
    if name.endswith(".safetensors"):
        safetensors(path, {"a": entry(), "b": entry(offsets=(8, 16))}, bytes(16))
    else:
        model.save(path) if name.endswith(".keras") else model.save_weights(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for start in np.linspace(0, len(whole) - 1, 60).astype(int):
        content = bytearray(whole)
        for place in range(start, min(start + 16, len(whole)), 2):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            read(path)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "name, match",
    [
        ("model.onnx", r"Weights are read from .*\.keras, .*\.pth, .* files\. Received: model\.onnx"),
        ("model", "Weights are read from"),
        (b"model.keras", "must be text"),
    ],
)
def test_other_formats(name, match):
    refused(name, match, format_of)


def test_every_reader_is_in_the_table():
    kinds = [ending for kind in weights.FORMATS for ending in kind.endings]
    assert len(kinds) == len(set(kinds))
    assert {kind.holds for kind in weights.FORMATS} == {"layers", "state", "variables"}

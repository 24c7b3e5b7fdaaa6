"""Files in the HDF5 form of Keras 1 and 2 made to do harm: one line each, bounded memory, no other file is read."""

import resource
from pathlib import Path

import h5py
import keras_by_hand
import numpy as np
import pytest

from kerascnn import weights
from kerascnn._errors import InputError


def lists(layers=(b"a",), arrays=(b"a/kernel:0",), **attributes):
    """Writes the lists of a file with one layer; its array is added by others."""

    def write(file):
        file.attrs["layer_names"] = layers
        group = file.create_group("a")
        group.attrs["weight_names"] = arrays
        for key, value in attributes.items():
            group.attrs[key] = value
        return group

    return write


def with_array(write, **lists_of):
    def both(file):
        write(lists(**lists_of)(file))

    return both


def external(group):
    secret = Path(group.file.filename).with_name("secret")
    secret.write_bytes(b"\x01" * 64)
    group.create_dataset("a/kernel:0", (16,), "f4", external=[(str(secret), 0, 64)])


def external_link(group):
    other = Path(group.file.filename).with_name("other.h5")
    with h5py.File(other, "w") as file:
        file["x"] = np.zeros(3, "f4")
    group["a/kernel:0"] = h5py.ExternalLink(str(other), "/x")


def link_to_group(group):
    group.file["b/kernel:0"] = np.zeros(3, "f4")
    group["a"] = h5py.SoftLink("/b")


def virtual(group):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(group.file.filename, "elsewhere", (4,))
    group.create_virtual_dataset("a/kernel:0", layout)


def sized(shape, kind="f4", **options):
    return lambda group: group.create_dataset("a/kernel:0", shape, kind, **options)


def data(value, **options):
    return lambda group: group.create_dataset("a/kernel:0", data=value, **options)


def shared(group):
    """One array under many names."""
    group["a/kernel:0"] = np.zeros(2**22, "f4")
    names = [f"a/kernel_{i}:0" for i in range(600)]
    for name in names:
        group[name] = group["a/kernel:0"]
    group.attrs["weight_names"] = [name.encode() for name in names]


def layer(make):
    """A file that names a layer, and what stands there."""

    def write(file):
        file.attrs["layer_names"] = [b"a"]
        make(file)

    return write


SAFE = data(np.zeros(3, "f4"))
HARM = {
    "external data": (with_array(external), "data lie in another file"),
    "external link": (with_array(external_link), "soft or external link"),
    "soft link": (with_array(lambda g: g.__setitem__("a/kernel:0", h5py.SoftLink("/x"))), "soft or external link"),
    "link to a group": (with_array(link_to_group), "soft or external link"),
    "layer is a link": (layer(lambda f: f.__setitem__("a", h5py.SoftLink("/"))), "link"),
    "layer is an external link": (layer(lambda f: f.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/"))), "link"),
    "the model is a link": (lambda f: f.__setitem__("model_weights", h5py.ExternalLink("other.h5", "/")), "link"),
    "virtual": (with_array(virtual), "view of other files"),
    "huge": (with_array(sized((10**7, 10**6), chunks=(100, 100))), "arrays of"),
    "huge chunks": (with_array(sized((2**40,), chunks=(2**28,))), "arrays of"),
    "bomb": (with_array(data(np.zeros(2**25, "f4"), chunks=(2**20,), compression="gzip")), "arrays of"),
    "many views": (with_array(shared), "arrays of"),
    "complex": (with_array(data(np.zeros(3, "c8"))), "an array of complex64"),
    "text": (with_array(data(["a"], dtype=h5py.string_dtype())), "an array of object"),
    "records": (with_array(data(np.zeros(2, [("a", "f4")]))), "which weights are not"),
    "references": (with_array(sized((2,), kind=h5py.ref_dtype)), "cannot be read|which weights are not"),
    "no shape": (with_array(data(h5py.Empty("f4"))), "cannot be read"),
    "opaque": (with_array(data(np.zeros(2, "V8"))), "which weights are not"),
    "twice": (with_array(SAFE, arrays=(b"a/kernel:0", b"a/kernel:0")), "a name twice"),
    "layers twice": (with_array(SAFE, layers=(b"a", b"a")), "a name twice"),
    "not there": (with_array(SAFE, arrays=(b"a/kernel:0", b"a/bias:0")), "is named and not there"),
    "layer not there": (with_array(SAFE, layers=(b"a", b"b")), "is named and not there"),
    "an array for a layer": (layer(lambda f: f.__setitem__("a", [1.0])), "a group must be"),
    "a group for an array": (with_array(lambda g: g.create_group("a/kernel:0")), "an array must be"),
    "an array on the way": (with_array(data([1.0]), arrays=(b"a/kernel:0/x",)), "a group must be"),
    "no list of weights": (layer(lambda f: f.create_group("a")), "without weight_names"),
    "numbers for names": (with_array(SAFE, arrays=[1, 2]), "has no text"),
    "numbers for layers": (with_array(SAFE, layers=[1.5, 2.5]), "has no text"),
    "a table of names": (with_array(SAFE, layers=np.array([[b"a"]])), "is no list"),
    "one name, no list": (with_array(SAFE, layers=b"a"), "is no list"),
    "no names": (with_array(SAFE, layers=h5py.Empty("S1")), "is no list"),
    "bytes that are no text": (with_array(SAFE, layers=(b"\xff\xfe",)), "does not print|cannot be read"),
    "long names": (with_array(SAFE, layers=(b"a" * 5000,)), "longer than"),
    "lines": (with_array(SAFE, layers=(b"a\nb",)), "does not print"),
    "no name": (with_array(SAFE, layers=(b"",)), "empty"),
    "a million names": (with_array(SAFE, layers=np.full(2**20, b"ab")), "a list of"),
    "nothing": (lambda file: None, "no list layer_names"),
    "an array for the model": (lambda f: f.__setitem__("model_weights", [1.0]), "no list layer_names"),
}  # fmt: skip
OUTSIDE = ("/a", "../a", "..", ".", "a/../a", "a//b", "/", "a/", "./a", "/".join("a" * 60), "a/../../secret")


def refused(path, match):
    with pytest.raises(InputError, match=match) as caught:
        weights.read_keras_file(path)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 600


@pytest.mark.parametrize("name", HARM)
@pytest.mark.parametrize("file", ["model.h5", "model.weights.h5"])
def test_harm(name, file, tmp_path):
    write, match = HARM[name]
    with h5py.File(tmp_path / file, "w", libver="latest") as h5:
        write(h5)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(tmp_path / file, match)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("place", ["layers", "arrays"])
def test_names_that_lead_elsewhere(name, place, tmp_path):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["secret"] = np.zeros(3, "f4")
        with_array(SAFE, **{place: (name.encode(),)})(file)
    refused(tmp_path / "model.h5", "leads out of its group")


@pytest.mark.parametrize("seed", range(40))
def test_damage_anywhere_is_one_line(seed, tmp_path):
    """Bytes are changed or cut off at many places: a line, or arrays, but nothing else."""
    rng = np.random.default_rng(seed)
    layers = {f"layer_{i}": {f"layer_{i}/kernel:0": rng.normal(size=(3, 3)), "b": np.zeros(2)} for i in range(6)}
    path = keras_by_hand.write(tmp_path / "a.h5", layers, text=str if seed % 2 else bytes)
    whole = bytearray(path.read_bytes())
    if seed % 4 == 0:
        whole = whole[: rng.integers(len(whole))]
    else:
        start = rng.integers(len(whole))
        for place in range(start, min(start + 24, len(whole)), 1 + seed % 3):
            whole[place] = rng.integers(256)
    path.write_bytes(whole)
    try:
        weights.read_keras_file(path)
    except InputError as error:
        assert "\n" not in str(error)

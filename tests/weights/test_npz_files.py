"""Archives of NumPy: read without unpickling, and made to do harm."""

import zipfile

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.weights.files import read

rng = np.random.default_rng(0)


def refused(path, match):
    with pytest.raises(InputError, match=match) as caught:
        read(path)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 700


def npz(path, content, name="a/kernel.npy", **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr(name, content)
    return path


def npy(header, content=b"", version=b"\x01\x00"):
    text = header if isinstance(header, bytes) else (repr(header) + "\n").encode()
    size = len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + size + text + content


def described(kind="<f4", shape=(2,), order=False):
    return {"descr": kind, "fortran_order": order, "shape": shape}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_npz(order, write, tmp_path):
    values = {"a/kernel": np.asarray(rng.normal(size=(3, 4)), order=order), "b": np.float32(2), "c": np.zeros((0, 2))}
    write(tmp_path / "a.npz", **values)
    kind, found = read(tmp_path / "a.npz")
    assert kind.holds == "variables" and found.keys() == values.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, values[name])


@pytest.mark.parametrize(
    "content, match",
    [
        (npy(described("|O"), b"\x80\x04cos\nsystem\n."), "which weights are not"),
        (npy(described("<c8"), bytes(16)), "which weights are not"),
        (npy(described("<U2"), bytes(16)), "which weights are not"),
        (npy(described([("a", "<f4")]), bytes(8)), "which weights are not"),
        (npy(described(shape=(3,)), bytes(8)), "another size"),
        (npy(described(shape=(2**40, 2**20)), bytes(8)), "another size"),
        (npy(described(shape=(-2, -1)), bytes(8)), "another size"),
        (npy(described(shape="ab"), bytes(8)), "cannot be read"),
        (npy(described(kind="__import__('os').system('id')"), bytes(8)), "cannot be read"),
        (npy(b"__import__('os').system('id')\n"), "cannot be read"),
        (npy(b"(" * 5000 + b"\n"), "cannot be read"),
        (npy(b" " * 20_000 + b"\n", version=b"\x02\x00"), "cannot be read"),
        (npy(described(), bytes(8), b"\x09\x00"), "another version"),
        (b"\x80\x04cos\nsystem\n.", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_npz_made_to_do_harm(content, match, tmp_path):
    refused(npz(tmp_path / "a.npz", content), match)


def test_npz_archives_made_to_do_harm(tmp_path):
    whole = npy(described(), bytes(8))
    refused(npz(tmp_path / "a.npz", whole, name="x" * 500 + ".npy"), "longer than")
    refused(npz(tmp_path / "a.npz", whole, name="a\nb.npy"), "does not print")
    bomb = npy(described(shape=(2**25,)), bytes(2**27))
    refused(npz(tmp_path / "a.npz", bomb, compression=zipfile.ZIP_DEFLATED), "promises")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("a.npy", whole)
        file.writestr("a.npy", whole)
    refused(tmp_path / "b.npz", "occurs twice")
    for content in (b"", b"PK\x03\x04", whole, (tmp_path / "a.npz").read_bytes()[:200]):
        (tmp_path / "c.npz").write_bytes(content)
        refused(tmp_path / "c.npz", "cannot be read")

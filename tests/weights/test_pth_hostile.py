"""PyTorch files whose storages, shapes, archives or bytes are broken: one line each, and bounded memory."""

import pickle
import random
import stat
import struct
import zipfile

import pytest
from pth_by_hand import (
    FILES,
    HOOKS,
    MAGIC,
    REBUILD,
    STATE,
    call,
    dictionary,
    group,
    legacy,
    name,
    peak,
    plain,
    refused,
    storage,
    tensor,
    zipped,
)  # fmt: skip

from kerascnn._errors import InputError
from kerascnn.weights import read_pth

# Storages, shapes, strides and offsets that lie

HUGE = 2**63
FLOATS = name("torch", "FloatStorage")
LIES = {
    "offset beyond": tensor(offset=1),
    "far offset": tensor(offset=10**30),
    "negative offset": tensor(offset=-1),
    "offset of a text": tensor(offset="1"),
    "offset of a boolean": tensor(offset=True, shape=(1,), strides=(1,)),
    "offset of a float": tensor(offset=0.0),
    "offset of an empty view": tensor(offset=2**70, shape=(0,), strides=(1,)),
    "shape beyond": tensor(shape=(3, 3)),
    "huge shape": tensor(shape=(HUGE, HUGE)),
    "shape that overflows": tensor(shape=(2**32, 2**32, 2**32), strides=(0, 0, 0)),
    "negative shape": tensor(shape=(-2, 3)),
    "both negative": tensor(shape=(-2, -3), strides=(-3, -1)),
    "shape of a list": tensor(shape=[2, 3]),
    "shape of texts": tensor(shape=("2", 3)),
    "shape of floats": tensor(shape=(2.0, 3)),
    "shape of nothing": tensor(shape=None),
    "shape of a number": tensor(shape=6),
    "too many axes": tensor(shape=(1,) * 64, strides=(1,) * 64),
    "strides beyond": tensor(strides=(3, 2)),
    "huge strides": tensor(strides=(2**62, 1)),
    "strides that overflow to zero": tensor(strides=(2**64, 1)),
    "negative strides": tensor(offset=5, strides=(-3, -1)),
    "fewer strides": tensor(strides=(1,)),
    "no strides": tensor(strides=()),
    "strides of texts": tensor(strides=("3", "1")),
    "an expanded view of terabytes": tensor(shape=(2**40,), strides=(0,)),
    "an expanded view of exabytes": tensor(shape=(2**30, 2**30), strides=(0, 0)),
    "empty and huge": tensor(shape=(0, 2**61, 2**61), strides=(1, 1, 1)),
    "no storage": tensor(plain(None)),
    "a number for a storage": tensor(plain(6)),
    "a tensor for a storage": tensor(tensor()),
    "few arguments": call(REBUILD, storage()),
    "no arguments": call(REBUILD),
    "many arguments": call(name("torch._utils", "_rebuild_tensor"), storage(), *map(plain, (0, (6,), (1,), 1))),
    "a parameter of nothing": call(name("torch._utils", "_rebuild_parameter")),
    "a parameter of a list": call(name("torch._utils", "_rebuild_parameter"), b"]", plain(True), HOOKS),
    "a type that is none": call(
        name("torch._utils", "_rebuild_tensor_v3"), storage(), *map(plain, (0, (6,), (1,), False, {}, "float32"))
    ),
    "another type": call(
        name("torch._utils", "_rebuild_tensor_v3"),
        storage(),
        *map(plain, (0, (6,), (1,), False, {})),
        name("torch", "float64"),
    ),
    "no type": tensor(storage("0", name("torch.storage", "UntypedStorage"), 24)),
    "untyped and beyond": call(
        name("torch._utils", "_rebuild_tensor_v3"),
        storage("0", name("torch.storage", "UntypedStorage"), 24),
        *map(plain, (0, (7,), (1,), False, {})),
        name("torch", "float32"),
    ),
    "more numbers than bytes": tensor(storage("0", None, 7), shape=(7,), strides=(1,)),
    "fewer numbers than bytes": tensor(storage("0", None, 5), shape=(5,), strides=(1,)),
    "numbers of a larger type": tensor(storage("0", name("torch", "DoubleStorage"))),
    "two types of one storage": tensor() + plain("b") + tensor(storage("0", name("torch", "IntStorage"))),
    "two sizes of one storage": tensor() + plain("b") + tensor(storage("0", None, 3), shape=(3,), strides=(1,)),
    "an absent storage": tensor(storage("9")),
    "a storage elsewhere": tensor(storage("../data.pkl")),
    "a storage at /": tensor(storage("/etc/passwd")),
    "a negative count": tensor(storage("0", None, -6)),
    "a huge count": tensor(storage("0", None, 2**70)),
    "a count of a text": tensor(storage("0", None, "6")),
    "a key that is none": tensor(storage(0)),
    "a storage type that is none": tensor(storage("0", plain("FloatStorage"))),
    "a type as a storage type": tensor(storage("0", name("torch", "float32"))),
    "a persistent id of another form": tensor(plain(("module", "x")) + b"Q"),
    "a persistent id that is a text": tensor(plain("storage") + b"Q"),
    "a short persistent id": tensor(group(plain("storage"), FLOATS) + b"Q"),
    "a view beyond": tensor(storage("0", None, 6, group(plain("v"), plain(4), plain(3)))),
    "a view before": tensor(storage("0", None, 6, group(plain("v"), plain(-1), plain(3)))),
    "a view of nothing": tensor(storage("0", None, 6, group(plain("v")))),
    "a tensor beyond its view": tensor(storage("0", None, 6, group(plain("v"), plain(1), plain(3)))),
}


@pytest.mark.parametrize("write", [zipped, legacy])
def test_lies(write, tmp_path):
    for body in LIES.values():
        refused(write(tmp_path / "a.pth", dictionary({"w": body})))


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 5000, "a\0", "\u202e", 5, None, 2.5, b"w"])
def test_names_of_parameters(key, tmp_path):
    for write in (zipped, legacy):
        refused(write(tmp_path / "a.pth", b"}" + plain(key) + tensor() + b"s"))


def test_memory_of_lies(tmp_path):
    for what, body in LIES.items():
        assert peak(zipped(tmp_path / "a.pth", dictionary({"w": body}))) < 2e6, what


def test_many_views_of_one_storage(tmp_path):
    """A few kilobytes that promise more than a hundred times as much."""
    body = dictionary({f"w{index}": tensor(shape=(2**20,), strides=(0,)) for index in range(40)})
    refused(zipped(tmp_path / "a.pth", body), "far more memory")


# Archives


def patched(path, central=(), local=()):
    """Overwrites bytes of every header: (offset, bytes) in the directory and before the members."""
    content = bytearray(path.read_bytes())
    for signature, changes in ((b"PK\x01\x02", central), (b"PK\x03\x04", local)):
        place = content.find(signature)
        while place >= 0:
            for offset, new in changes:
                content[place + offset : place + offset + len(new)] = new
            place = content.find(signature, place + 4)
    path.write_bytes(content)
    return path


def with_members(path, *members):
    """The sound file and more: (name or ZipInfo, content)."""
    zipped(path, STATE)
    with zipfile.ZipFile(path, "a") as file:
        for member, content in members:
            file.writestr(member, content)
    return path


def link():
    member = zipfile.ZipInfo("archive/data/1")
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return member, "/etc/passwd"


def compressed(path, member):
    zipped(path, STATE)
    other = path.with_name("other.pth")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for info in old.infolist():
            kind = zipfile.ZIP_DEFLATED if member in info.filename else zipfile.ZIP_STORED
            new.writestr(info.filename, old.read(info), kind)
    return other


UINT16 = struct.Struct("<H").pack
UINT32 = struct.Struct("<I").pack
NAMES = ["/archive/x", "../x", "archive/../../x", "archive\\..\\x", "..", "a\nb", "archive/\u202ex", "C:\\x"]


@pytest.mark.parametrize("path_name", NAMES)
def test_members_that_lead_out(path_name, tmp_path):
    refused(with_members(tmp_path / "a.pth", (path_name, "x")), "lead out of it")


ARCHIVES = {
    "a link": (lambda path: with_members(path, link()), "a link in the archive"),
    "encrypted": (lambda path: patched(zipped(path, STATE), [(8, UINT16(1))], [(6, UINT16(1))]), "encrypted"),
    "encrypted inside": (lambda path: patched(zipped(path, STATE), (), [(6, UINT16(1))]), "headers differ"),
    "compressed inside": (lambda path: patched(zipped(path, STATE), (), [(8, UINT16(8))]), "headers differ"),
    "another name inside": (lambda path: patched(zipped(path, STATE), (), [(30, b"X")]), "headers differ"),
    "no signature": (lambda path: patched(zipped(path, STATE), (), [(0, b"PK\x07\x08")]), "headers differ"),
    "a name without end": (lambda path: patched(zipped(path, STATE), (), [(26, UINT16(65535))]), "headers differ"),
    "extra without end": (lambda path: patched(zipped(path, STATE), (), [(28, UINT16(65535))]), "cannot be read"),
    "compressed": (lambda path: compressed(path, "data"), "compressed member"),
    "compressed weights": (lambda path: compressed(path, "data/0"), "compressed member"),
    "compressed in words": (lambda path: patched(zipped(path, STATE), [(10, UINT16(8))]), "compressed member"),
    "an unknown method": (lambda path: patched(zipped(path, STATE), [(10, UINT16(99))]), "compressed member"),
    "larger than it is": (lambda path: patched(zipped(path, STATE), [(24, UINT32(2**31))]), "compressed member"),
    "both larger": (lambda path: patched(zipped(path, STATE), [(20, UINT32(2**31) * 2)]), "ends after the file"),
    "zip64 without sizes": (lambda path: patched(zipped(path, STATE), [(20, b"\xff" * 8)]), "cannot be read"),
    "shorter": (lambda path: patched(zipped(path, STATE), [(20, UINT32(3) * 2)]), "cannot be read"),
    "members elsewhere": (lambda path: patched(zipped(path, STATE), [(42, UINT32(7))]), "differ|cannot"),
    "members after the end": (lambda path: patched(zipped(path, STATE), [(42, UINT32(2**31))]), "cannot be read"),
    "another checksum": (lambda path: patched(zipped(path, STATE), [(16, UINT32(1))]), "another checksum"),
    "two objects": (lambda path: with_members(path, ("other/data.pkl", b"\x80\x02}.")), "without data.pkl"),
    "a program": (lambda path: with_members(path, ("archive/code/x.py", "import os")), "a TorchScript program"),
    "constants": (lambda path: with_members(path, ("archive/constants.pkl", b"\x80\x02).")), "a TorchScript program"),
    "no object": (lambda path: zipped(path, STATE, folder="a/b"), "without data.pkl"),
    "another byte order": (lambda path: zipped(path, STATE, byteorder=b"middle"), "neither little nor big"),
    "no storage": (lambda path: zipped(path, STATE, {}), "lacks 'data/0"),
    "a short storage": (lambda path: zipped(path, STATE, {"0": bytes(20)}), "another size"),
    "a long storage": (lambda path: zipped(path, STATE, {"0": bytes(28)}), "another size"),
    "an empty storage": (lambda path: zipped(path, STATE, {"0": b""}), "another size"),
}  # fmt: skip


@pytest.mark.parametrize("what", ARCHIVES)
def test_archives(what, tmp_path):
    write, match = ARCHIVES[what]
    refused(write(tmp_path / "a.pth"), match)


@pytest.mark.parametrize("member", ["archive/data/0", "archive/data.pkl", "archive/version"])
def test_two_members_of_one_name(member, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        with_members(tmp_path / "a.pth", (member, b"x"))
    refused(tmp_path / "a.pth", "two members of one name")


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    zipped(tmp_path / "a.pth", STATE)
    with zipfile.ZipFile(tmp_path / "a.pth", "a", zipfile.ZIP_DEFLATED) as file, file.open("archive/x", "w") as member:
        for _ in range(64):
            member.write(bytes(2**20))
    read_pth(tmp_path / "a.pth")  # what no tensor needs is not looked at
    body = dictionary({"w": tensor(storage("1", None, 2**24), shape=(2**24,), strides=(1,))})
    zipped(tmp_path / "b.pth", body)
    with zipfile.ZipFile(tmp_path / "b.pth", "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data/1", bytes(2**26))
    assert peak(tmp_path / "b.pth") < 2e6


# Files of other kinds, and damage anywhere

OTHERS = {
    "": "it is empty", "\x89HDF\r\n\x1a\n": "HDF5", "\x1f\x8b\x08": "a gzip archive", "<!DOCTYPE html>": "a web page",
    "version https://git-lfs.github.com/spec/v1": "pointer of Git LFS", "GGUF\3": "neither an archive nor a pickle",
    "\x10\0\0\0\0\0\0\0{": "neither an archive nor a pickle", "PK\5\6": "cannot be read", "PK": "cannot be read",
    "\0": "neither", "\x80": "cannot be read", "\x80\2}.": "none that torch.save has written",
    "\x80\2K\1.": "none that torch.save has written", "L5\n.": "none that torch.save has written", "Lxyz": "cannot be",
}  # fmt: skip


@pytest.mark.parametrize("start", OTHERS)
def test_other_kinds(start, tmp_path):
    for padding in (b"", bytes(1000)) if start else (b"",):
        (tmp_path / "pytorch_model.bin").write_bytes(start.encode("latin1") + padding)
        refused(tmp_path / "pytorch_model.bin", None if padding else OTHERS[start])


def test_legacy_files_of_other_kinds(tmp_path):
    rest = pickle.dumps({}, 2) + b"\x80\x02" + STATE + b"."
    ends = {
        "another protocol": pickle.dumps(1002, 2) + rest,
        "no list of storages": pickle.dumps(1001, 2) + rest + pickle.dumps({"0": 1}, 2),
        "no list of storages ": pickle.dumps(1001, 2) + rest + pickle.dumps([0], 2),
        "occurs twice": pickle.dumps(1001, 2) + rest + pickle.dumps(["0", "0"], 2),
        "no tensor has": pickle.dumps(1001, 2) + rest + pickle.dumps(["0", "1"], 2),
        "a storage is missing": pickle.dumps(1001, 2) + rest + pickle.dumps([], 2),
        "another size": pickle.dumps(1001, 2) + rest + pickle.dumps(["0"], 2) + struct.pack("<q", -6),
        "ends after the file": pickle.dumps(1001, 2) + rest + pickle.dumps(["0"], 2) + struct.pack("<q", 6) + b"x",
    }
    for match, end in ends.items():
        (tmp_path / "a.pth").write_bytes(MAGIC + end)
        refused(tmp_path / "a.pth", match.strip())


def read_or_refused(path):
    """Damage that no format can notice may be read; never another exception than a line."""
    try:
        read_pth(path)
    except InputError as error:
        assert "\n" not in str(error) and str(error).isprintable()


SOUND = ("zip.pth", "legacy.pth", "checkpoint.pth.tar", "protocol4.pt")


@pytest.mark.parametrize("file", SOUND)
def test_truncated_anywhere(file, tmp_path):
    content = (FILES / file).read_bytes()
    path = tmp_path / file
    for length in [*range(0, len(content) - 1, 97), len(content) - 1]:
        path.write_bytes(content[:length])
        refused(path)


@pytest.mark.parametrize("file", SOUND)
@pytest.mark.parametrize("seed", range(3))
def test_damaged_anywhere(file, seed, tmp_path):
    """Bytes are changed, removed, doubled: a line, or arrays."""
    content, chance = (FILES / file).read_bytes(), random.Random(seed)
    path = tmp_path / file
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 8, 64))):
            place = chance.randrange(len(changed))
            kind = chance.randrange(4)
            if kind == 0:
                changed[place] = chance.randrange(256)
            elif kind == 1:
                changed[place] ^= 1 << chance.randrange(8)
            elif kind == 2:
                del changed[place : place + chance.randrange(1, 9)]
            else:
                changed[place:place] = changed[place : place + chance.randrange(1, 9)]
        path.write_bytes(changed)
        read_or_refused(path)


def test_every_opcode_at_every_place(tmp_path):
    """The pickle of a small file, with each of its first bytes replaced by each kind of opcode."""
    body = b"\x80\x02" + STATE + b"."
    opcodes = b"(.012FIJKLMNPQRSTUVXabcdeghijlopqrstu}])\x80\x81\x82\x83\x84\x85\x8a\x8b\x91\x92\x93\x94\x95\x97"
    for place in range(2, len(body), 3):
        for opcode in opcodes[place % 5 :: 5]:
            changed = body[:place] + bytes([opcode]) + body[place + 1 :]
            read_or_refused(zipped(tmp_path / "a.pth", b"", **{"data.pkl": changed}))

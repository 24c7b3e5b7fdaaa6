"""Checkpoints of TensorFlow 1: both forms, moving averages, and files made to do harm."""

import struct

import checkpoints_by_hand
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.weights.files import format_of, read
from kerascnn.weights.tables import MAGIC, entries, fields
from kerascnn.weights.tensorflow_checkpoints import is_checkpoint, read_checkpoint

rng = np.random.default_rng(0)
VALUES = {
    "net/conv/weights": rng.normal(size=(3, 3, 2, 4)).astype("f4"),
    "net/conv/BatchNorm/beta": rng.normal(size=4).astype("f4"),
    "net/conv/weights/RMSProp_1": np.zeros((3, 3, 2, 4), "f4"),
    "net/conv/weights/Momentum": np.zeros((3, 3, 2, 4), "f4"),
    "net/large": rng.normal(size=(300, 400)).astype("f4"),
    "net/scalar": np.float32(3),
    "net/empty": np.zeros((0, 3), "f4"),
    "global_step": np.int64(7),
    "beta1_power": np.float32(0.9),
}
KEPT = [name for name in VALUES if name.startswith("net") and "RMSProp" not in name and "Momentum" not in name]


@pytest.fixture(scope="module", params=[2, 1])
def checkpoint(request, tmp_path_factory):
    values = {name: value for name, value in VALUES.items() if request.param == 2 or np.size(value)}
    return checkpoints_by_hand.save(tmp_path_factory.mktemp("checkpoint") / "model.ckpt-7", values, request.param)


def test_both_forms(checkpoint):
    assert is_checkpoint(checkpoint) and format_of(checkpoint).holds == "variables"
    found = read_checkpoint(checkpoint)
    assert sorted(found) == sorted(name for name in KEPT if name in found)
    assert len(found) >= len(KEPT) - 1
    for name, array in found.items():
        np.testing.assert_array_equal(array, VALUES[name])
        assert array.shape == VALUES[name].shape


def test_the_index_is_a_name_too(checkpoint):
    index = checkpoint.with_name(f"{checkpoint.name}.index")
    if index.exists():
        assert read(index)[1].keys() == read(checkpoint)[1].keys()


def test_moving_averages_are_taken_and_said(tmp_path, caplog):
    values = {f"{name}/ExponentialMovingAverage": VALUES[name] + 1 for name in ("net/conv/weights", "net/large")}
    path = checkpoints_by_hand.save(tmp_path / "model.ckpt", {**VALUES, **values})
    found = read_checkpoint(path)
    assert sorted(found) == sorted(KEPT)
    np.testing.assert_array_equal(found["net/large"], VALUES["net/large"] + 1)
    np.testing.assert_array_equal(found["net/conv/BatchNorm/beta"], VALUES["net/conv/BatchNorm/beta"])
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and said[0].endswith("the moving averages of 2 weights are taken.")


@pytest.mark.parametrize("kind", ["f8", "f2", "i4", "i8", "u1", "bfloat16"])
def test_types(kind, tmp_path):
    value = np.arange(6).reshape(2, 3).astype(kind)
    found = read_checkpoint(checkpoints_by_hand.save(tmp_path / "a.ckpt", {"a/b": value}))["a/b"]
    np.testing.assert_array_equal(found.astype("f4"), value.astype("f4"))


# Files made to do harm


def refused(path, match, reader=read):
    with pytest.raises(InputError, match=match) as caught:
        reader(path)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 700


def varint(number):
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def crc(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def block(pairs, compression=0, restarts=1):
    data = b"".join(varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in pairs)
    data += struct.pack("<I", 0) * restarts + struct.pack("<I", restarts)
    return data + bytes([compression]) + struct.pack("<I", crc(data + bytes([compression])))


def table(pairs, **options):
    first = block(pairs, **options)
    index = block([(b"z", varint(0) + varint(len(first) - 5))])
    footer = varint(0) + varint(0) + varint(len(first)) + varint(len(index) - 5)
    return first + index + footer.ljust(40, b"\0") + MAGIC


def entry(kind=1, shape=(2,), shard=0, offset=0, size=8, **more):
    sizes = b"".join(field(2, field(1, n)) for n in shape)
    found = field(1, kind) + field(2, sizes) + field(3, shard) + field(4, offset) + field(5, size)
    return found + b"".join(field(int(key[1:]), value) for key, value in more.items())


HEADER = (b"", field(1, 1))


def write(folder, *pairs, header=HEADER, data=bytes(64), **options):
    pairs = [*([header] if header else []), *pairs]
    (folder / "m.ckpt.index").write_bytes(table(pairs, **options))
    (folder / "m.ckpt.data-00000-of-00001").write_bytes(data)
    return folder / "m.ckpt"


def test_by_hand(tmp_path):
    path = write(
        tmp_path, (b"a/b", entry()), (b"a/c", entry(offset=8, shape=(1, 2))), data=np.arange(16, dtype="f4").tobytes()
    )
    found = read_checkpoint(path)
    assert found["a/b"].tolist() == [0, 1] and found["a/c"].tolist() == [[2, 3]]


HARM = {
    "outside": ([(b"a", entry(offset=60))], "outside of its file"),
    "far outside": ([(b"a", entry(offset=2**62))], "outside of its file"),
    "a negative place": ([(b"a", entry(offset=2**64 - 8))], "outside of its file"),
    "another file": ([(b"a", entry(shard=1))], "outside of its file"),
    "a far file": ([(b"a", entry(shard=2**40))], "outside of its file|cannot be read"),
    "overlap": ([(b"a", entry()), (b"b", entry(offset=4))], "overlap"),
    "one array many times": ([(f"a{i}".encode(), entry()) for i in range(50)], "overlap"),
    "a shape that lies": ([(b"a", entry(shape=(3,)))], "another size"),
    "a huge shape": ([(b"a", entry(shape=(2**40, 2**20)))], "another size"),
    "a shape without end": ([(b"a", entry(shape=(2**62,)))], "a shape that no array has"),
    "a negative shape": ([(b"a", entry(shape=(2**64 - 1,)))], "a shape that no array has"),
    "many axes": ([(b"a", entry(shape=(1,) * 40, size=4))], "a shape that no array has"),
    "complex": ([(b"a", entry(kind=8))], "another type"),
    "a resource": ([(b"a", entry(kind=20))], "another type"),
    "a type that is none": ([(b"a", entry(kind=999))], "another type"),
    "slices": ([(b"a", entry(f7=b"\x0a\x00"))], "in slices"),
    "a name in lines": ([(b"a\nb", entry())], "does not print"),
    "a long name": ([(b"a" * 400, entry())], "longer than"),
    "a name that is no text": ([(b"\xff\xfe", entry())], "cannot be read"),
    "a message cut off": ([(b"a", entry()[:-3])], "cannot be read|another size"),
    "a message of groups": ([(b"a", b"\x0b\x0c")], "cannot be read"),
    "a number without end": ([(b"a", b"\x08" + b"\xff" * 20)], "cannot be read"),
    "text for a number": ([(b"a", field(1, 1) + field(4, b"xyz") + field(5, 4))], "cannot be read"),
    "a number for a shape": ([(b"a", field(1, 1) + field(2, 5) + field(5, 4))], "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", HARM)
def test_harm(name, tmp_path):
    pairs, match = HARM[name]
    refused(write(tmp_path, *pairs), match)


@pytest.mark.parametrize(
    "header, match",
    [
        (None, "no header"),
        ((b"", field(1, 0)), "an unlikely number"),
        ((b"", field(1, 2**40)), "an unlikely number"),
        ((b"", field(1, 1) + field(2, 1)), "another byte order"),
        ((b"", field(1, 2)), "no such weights file"),
        ((b"", b"\xff\xff"), "cannot be read"),
    ],
)
def test_headers(header, match, tmp_path):
    refused(write(tmp_path, (b"a", entry()), header=header), match)


def test_blocks(tmp_path):
    refused(write(tmp_path, (b"a", entry()), compression=1), "compressed")
    path = write(tmp_path, (b"a", entry()))
    index = path.with_name("m.ckpt.index")
    whole = index.read_bytes()
    index.write_bytes(whole[:3] + b"\x7f" + whole[4:])
    refused(path, "a checksum differs|cannot be read")
    index.write_bytes(whole[:-48] + (varint(0) * 2 + varint(2**60) + varint(2**60)).ljust(40, b"\0") + MAGIC)
    refused(path, "outside of the file")
    index.write_bytes(whole[:-48] + b"\xff" * 40 + MAGIC)
    refused(path, "cannot be read")


@pytest.mark.parametrize("file", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("what", ["absent", "folder", "empty", "half", "html", "zeros"])
def test_files(file, what, tmp_path):
    path = write(tmp_path, *((f"a{i}".encode(), entry(offset=8 * i)) for i in range(8)))
    place = path.with_name(f"m.ckpt.{file}")
    whole = place.read_bytes()
    place.unlink()
    if what == "folder":
        place.mkdir()
    elif what != "absent":
        contents = {"empty": b"", "half": whole[: len(whole) // 2], "html": b"<html></html>", "zeros": bytes(40)}
        place.write_bytes(contents[what])
    refused(path.with_name("m.ckpt.index"), "cannot be read|no such weights file|a folder")


@pytest.mark.parametrize("seed", range(30))
def test_damage_anywhere_is_one_line(seed, checkpoint, tmp_path):
    """Bytes are changed at many places: a line, or arrays, but nothing else."""
    generator = np.random.default_rng(seed)
    for file in checkpoint.parent.glob(f"{checkpoint.name}*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    place = min(tmp_path.glob(f"{checkpoint.name}*"), key=lambda file: file.name.endswith("00001"))
    whole = bytearray(place.read_bytes())
    if seed % 3 == 0:
        whole = whole[: generator.integers(len(whole))]
    else:
        start = generator.integers(len(whole) - 48) if seed % 3 == 1 else len(whole) - 1 - generator.integers(200)
        for at in range(start, min(start + 8, len(whole))):
            whole[at] = generator.integers(256)
    place.write_bytes(whole)
    try:
        read_checkpoint(tmp_path / checkpoint.name)
    except InputError as error:
        assert "\n" not in str(error)


def test_messages():
    assert list(fields(memoryview(field(3, 300) + field(1, b"ab")))) == [(3, 300), (1, b"ab")]
    assert [(key, bytes(value)) for key, value in entries(memoryview(table([(b"a", b"1"), (b"b", b"2")])))] == [
        (b"a", b"1"), (b"b", b"2")
    ]  # fmt: skip

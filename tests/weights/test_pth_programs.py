"""Pickles that name programs, make objects or never end: one line each, nothing is run, memory is bounded."""

import os
import pickle
import struct

import pytest
from pth_by_hand import (
    MAGIC,
    NUMBERS,
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

from kerascnn.weights.pth import pickles

CANARY = "canary"  # made in the working folder by every program here, if one runs
SHELL = plain(f"touch {CANARY}")


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not os.path.exists(CANARY)


# Names and calls

PROGRAMS = {
    "os": ("system", "popen", "execv", "remove"), "posix": ("system", "execve"), "nt": ("system",),
    "subprocess": ("Popen", "run", "check_output", "getoutput"), "builtins": ("eval", "exec", "getattr", "open",
    "__import__", "compile", "print", "object", "type", "map", "apply", "dict", "int"),
    "__builtin__": ("eval", "file", "getattr"), "shutil": ("rmtree",), "pty": ("spawn",), "socket": ("socket",),
    "urllib.request": ("urlopen",), "ctypes": ("CDLL",), "importlib": ("import_module",), "runpy": ("run_path",),
    "code": ("interact",), "pickle": ("loads",), "_pickle": ("loads",), "pip": ("main",), "sys": ("exit",),
    "webbrowser": ("open",), "operator": ("attrgetter", "methodcaller"), "functools": ("partial",),
    "copyreg": ("_reconstructor", "__newobj__"), "copy_reg": ("_reconstructor",), "types": ("FunctionType", "CodeType"),
    "marshal": ("loads",), "tempfile": ("mktemp",), "multiprocessing.util": ("spawnv_passfds",), "bdb": ("Bdb",),
    "numpy": ("load", "fromfile", "memmap"), "numpy.testing._private.utils": ("runstring",), "keras.saving":
    ("load_model",), "kerascnn.weights": ("read_pth",), "kerascnn.weights.pth.pickles": ("interpret",),
    "torch": ("load", "save", "jit", "FloatTensor", "QInt8Storage"), "torch.hub": ("load",), "torch.jit": ("load",),
    "torch._utils": ("_rebuild_sparse_tensor", "_rebuild_qtensor", "_import_dotted_name"),
    "torch.nn.modules.linear": ("Linear",), "torch.storage": ("_load_from_bytes",), "torch.serialization": ("load",),
    "__main__": ("Net",), "": ("", "system"), "collections": ("namedtuple", "deque"), "argparse": ("FileType",),
    "models.yolo": ("Model",), "torchvision.models.resnet": ("ResNet",),
}  # fmt: skip
GLOBALS = [(module, attribute) for module, attributes in PROGRAMS.items() for attribute in attributes]


def ways(module, attribute):
    """How a pickle can name and call something."""
    named = name(module, attribute)
    text = b"\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(attribute)]) + attribute.encode()
    return {
        "global": named,
        "stack_global": text + b"\x93",
        "reduce": call(named, SHELL),
        "newobj": named + group(SHELL) + b"\x81",
        "newobj_ex": named + group(SHELL) + b"}\x92",
        "inst": b"(" + SHELL + f"i{module}\n{attribute}\n".encode(),
        "obj": b"(" + named + SHELL + b"o",
        "build": named + dictionary({"x": SHELL}) + b"b",
        "in a state dict": dictionary({"w": tensor(), "x": call(named, SHELL)}),
    }


@pytest.mark.parametrize("module", PROGRAMS)
def test_programs(module, tmp_path):
    for attribute in PROGRAMS[module]:
        for way, body in ways(module, attribute).items():
            for write in (zipped, legacy):
                what = "the opcode" if way == "inst" else f"{module}.{attribute} in"
                assert f"Received: {what}" in refused(write(tmp_path / "a.pth", body), "nothing that names code")


def test_programs_in_every_pickle_of_a_legacy_file(tmp_path):
    program = b"\x80\x02" + call(name("os", "system"), SHELL) + b"."
    parts = [MAGIC, pickle.dumps(1001, 2), pickle.dumps({}, 2), b"\x80\x02" + STATE + b".", pickle.dumps(["0"], 2)]
    for place in range(len(parts)):
        changed = [*parts[:place], program, *parts[place + 1 :]]
        (tmp_path / "a.pth").write_bytes(b"".join(changed) + struct.pack("<q", 6) + NUMBERS.tobytes())
        refused(tmp_path / "a.pth", "Received: os.system in")


ORDERED, NAMESPACE = name("collections", "OrderedDict"), name("argparse", "Namespace")
FLOATS = name("torch", "FloatStorage")
STATES = {  # what a state set by BUILD could reach, through names that are known
    "function": REBUILD + group(plain(None), dictionary({"__defaults__": group(SHELL)})) + b"b",
    "class": ORDERED + dictionary({"__init__": name("torch", "Size")}) + b"b",
    "storage type": FLOATS + plain({"dtype": "x"}) + b"b",
    "tensor": tensor() + plain({"__class__": "x"}) + b"b",
    "list": b"]" + plain({"append": 1}) + b"b",
    "number": plain(3) + plain({"real": 1}) + b"b",
    "storage": storage() + plain({"key": "../../x"}) + b"b",
}
CALLS = {
    "a number": call(plain(3), SHELL),
    "a text": call(plain("os.system"), SHELL),
    "a list": call(b"]", SHELL),
    "a dictionary": call(b"}", SHELL),
    "a tensor": call(tensor(), SHELL),
    "an inert value": call(call(NAMESPACE), SHELL),
    "a storage type": call(FLOATS, SHELL),
    "a type": call(name("torch", "float32"), SHELL),
    "a class of tensors": call(name("torch", "Tensor"), storage()),
    "an array": call(name("numpy", "ndarray"), plain((1,))),
    "no tuple": REBUILD + b"]R",
    "a class inside": call(name("torch._tensor", "_rebuild_from_type_v2"), REBUILD, FLOATS, group(), plain({})),
    "a function inside": call(
        name("torch._tensor", "_rebuild_from_type_v2"), NAMESPACE, name("torch", "Tensor"), group(), plain({})
    ),
}
OPCODES = {
    "EXT1": b"\x82\x01", "EXT2": b"\x83\x01\x00", "EXT4": b"\x84\x01\x00\x00\x00", "PERSID": b"Pstorage\n",
    "DUP": b"}2", "FROZENSET": b"(\x91", "BYTEARRAY8": b"\x96" + struct.pack("<Q", 1) + b"x", "NEXT_BUFFER": b"\x97",
    "READONLY_BUFFER": b"\x98", "POP": b"}0", "POP_MARK": b"(}1",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["STATES", "CALLS", "OPCODES"])
def test_what_makes_objects(kind, tmp_path):
    for what, body in globals()[kind].items():
        for write in (zipped, legacy):
            message = refused(write(tmp_path / "a.pth", body))
            assert "nothing that names code" in message, what
            assert kind != "OPCODES" or f"the opcode {what} " in message


# Streams that are no sound pickles

STREAMS = {
    "empty": b"",
    "no end": b"\x80\x02" + STATE,
    "two values": b"\x80\x02}}.",
    "a mark": b"\x80\x02(.",
    "no mark": b"\x80\x02}u.",
    "pops nothing": b"\x80\x02\x85.",
    "pops a mark": b"\x80\x02(\x85.",
    "reduces a mark": b"\x80\x02(R.",
    "entries of a number": b"\x80\x02K\x01K\x02K\x03s.",
    "entries of a tensor": b"\x80\x02" + tensor() + b"K\x02K\x03s.",
    "an odd number of entries": b"\x80\x02}(K\x01u.",
    "an odd dictionary": b"\x80\x02(K\x01d.",
    "items of a dictionary": b"\x80\x02}K\x01a.",
    "items of a tuple": b"\x80\x02)K\x01a.",
    "an unknown opcode": b"\x80\x02\xff.",
    "a later protocol": b"\x80\xff\xff.",
    "a list as a key": b"\x80\x02}]K\x01s.",
    "a tuple as a key": b"\x80\x02}K\x01\x85K\x01s.",
    "a dictionary as a key": b"\x80\x02}}K\x01s.",
    "a name as a key": b"\x80\x02}" + FLOATS + b"K\x01s.",
    "a number with a chosen hash": b"\x80\x02}" + plain(2**61 - 1) + b"K\x01s.",
    "a memo that is empty": b"\x80\x02h\x01.",
    "a memo far away": b"\x80\x02j\xff\xff\xff\xff.",
    "a negative memo": b"\x80\x02p-1\ng-2\n.",
    "a memo that is no number": b"\x80\x02}pxyz\n.",
    "a number that is none": b"\x80\x02I1e\n.",
    "a long that is none": b"\x80\x02L\xe2\x80\x99\n.",
    "a float that is none": b"\x80\x02Fabc\n.",
    "a text that is none": b"\x80\x02X\x02\x00\x00\x00\xff\xff.",
    "a string that is none": b"\x80\x02S'abc\n.",
    "a name that is none": b"\x80\x02c\xff\n\xfe\n.",
    "a name of two words": b"\x80\x02cos system\n x\n.",
    "a name of numbers": b"\x80\x02K\x01K\x02\x93.",
    "digits without end": b"\x80\x02L" + b"9" * 10**6 + b"\n.",
    "a line without end": b"\x80\x02c" + b"a" * 10**6,
    "a frame that lies": b"\x80\x04\x95" + b"\xff" * 8 + b"}.",
    "an inert ordered dictionary": b"\x80\x02" + call(ORDERED, plain([1, 2])) + b".",
    "an ordered dictionary of lists": b"\x80\x02" + call(ORDERED, plain([([], 2)])) + b".",
}
for _opcode, _width in ((b"\x8b", 4), (b"T", 4), (b"X", 4), (b"B", 4), (b"\x8d", 8), (b"\x8e", 8), (b"\x96", 8)):
    for _length in (2**31 - 1, 2**31, 2**32 - 1) if _width == 4 else (2**40, 2**63 - 1, 2**63, 2**64 - 1):
        STREAMS[f"{_opcode!r} of {_length} bytes"] = b"\x80\x02" + _opcode + _length.to_bytes(_width, "little") + b"x."


def test_broken_streams(tmp_path):
    for stream in STREAMS.values():
        refused(zipped(tmp_path / "a.pth", b"", **{"data.pkl": stream}))
        (tmp_path / "b.pth").write_bytes(MAGIC + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + stream)
        refused(tmp_path / "b.pth")
        (tmp_path / "c.pth").write_bytes(stream)
        refused(tmp_path / "c.pth")


# Bombs

PUT = b"r" + struct.pack("<I", 2**32 - 1)  # to the memo's last index


def laughs():
    """Each list has the one before ten times: 10^40 values, if they were counted."""
    body = b"]q\x00"
    for index in range(1, 41):
        body += b"](" + (b"h" + bytes([index - 1])) * 10 + b"eq" + bytes([index])
    return b"(" + body + b"t"


def bombs(size):
    return {
        "memo": b"}" + PUT + b"j\xff\xff\xff\xff\x86",
        "nested lists": b"]" * size + b"a" * (size - 1),
        "nested tuples": b")" + b"\x85" * size,
        "a nested tuple as a key": b"}" + b")" + b"\x85" * size + b"K\x01s",
        "nested dictionaries": b"}" + b"X\x05\x00\x00\x00model}" * size + b"s" * size,
        "a list in itself": b"]q\x00h\x00a",
        "a state dict in itself": b"}q\x00X\x0a\x00\x00\x00state_dicth\x00s",
        "wrappers in each other": b"}q\x00("
        + b"".join(plain(key) + b"h\x00" for key in ("model", "ema", "net"))
        + b"u",
        "a thousand million laughs": laughs(),
        "many dictionaries": b"(" + b"}" * size + b"t",
        "many marks": b"(" * size,
        "many pieces of memo": b"}"
        + b"".join(b"r" + struct.pack("<I", index) for index in range(0, 2**32, 2**32 // size)),
        "calls of calls": b"".join(b"ccollections\nOrderedDict\n)R(" for _ in range(1000)),
    }


@pytest.mark.parametrize("what", bombs(10))
def test_bombs(what, tmp_path, monkeypatch):
    assert pickles.MOST_STEPS <= 2**20  # a second or two, and 100 MB of empty dictionaries
    if what.startswith("many"):
        monkeypatch.setattr(pickles, "MOST_STEPS", 2**14)  # the same in less time
    match = "more than 16,384 steps" if what.startswith("many") else None
    assert peak(zipped(tmp_path / "a.pth", bombs(20_000)[what])) < 10e6
    refused(legacy(tmp_path / "b.pth", bombs(100_000)[what]), match)

"""Files of `torch.save` made by hand, opcode by opcode, so that they may also say what torch never would."""

import json
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.weights import read_pth

FILES = Path(__file__).parents[1] / "golden/torch_files"
MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
STOP = b"."


def expected(name):
    """{parameter: array} of a sound file in `FILES`."""
    rows = json.loads((FILES / "expected.json").read_text(encoding="utf-8"))[name]
    return {key: np.array(row["values"], row["dtype"]).reshape(row["shape"]) for key, row in rows.items()}


def plain(value):
    """The opcodes of a number, a text or a container of them."""
    return pickle.dumps(value, 2)[2:-1]


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def group(*parts):
    """A tuple of things that are opcodes already."""
    return b"(" + b"".join(parts) + b"t"


def call(function, *arguments):
    return function + group(*arguments) + b"R"


def dictionary(items):
    return b"}(" + b"".join(plain(key) + value for key, value in items.items()) + b"u"


def storage(key="0", kind=None, count=6, *more):
    kind = name("torch", "FloatStorage") if kind is None else kind
    parts = (plain("storage"), kind, plain(key), plain("cpu"), plain(count), *more)
    return group(*parts) + b"Q"


HOOKS = call(name("collections", "OrderedDict"))
REBUILD = name("torch._utils", "_rebuild_tensor_v2")


def tensor(stored=None, offset=0, shape=(2, 3), strides=(3, 1), function=REBUILD, *more):
    stored = storage() if stored is None else stored
    rest = more or ((plain(False), HOOKS) if function == REBUILD else ())
    return call(function, stored, *(plain(x) for x in (offset, shape, strides)), *rest)


NUMBERS = np.arange(6, dtype="<f4")
STATE = dictionary({"fc.weight": tensor()})


def zipped(path, body, stored=None, folder="archive", **members):
    """A file of the zip form; `members` are further ones, and may replace what is there."""
    content = {"data.pkl": b"\x80\x02" + body + STOP, "byteorder": b"little", "version": b"3\n"}
    content |= {f"data/{key}": value for key, value in ({"0": NUMBERS.tobytes()} if stored is None else stored).items()}
    with zipfile.ZipFile(path, "w") as file:
        for key, value in (content | members).items():
            file.writestr(f"{folder}/{key}", value)
    return path


def legacy(path, body, stored=None):
    """A file of the form before PyTorch 1.6; `stored`: key -> (count, bytes)."""
    stored = {"0": (6, NUMBERS.tobytes())} if stored is None else stored
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    path.write_bytes(
        MAGIC
        + b"".join(pickle.dumps(part, 2) for part in (1001, system))
        + (b"\x80\x02" + body + STOP)
        + pickle.dumps(list(stored), 2)
        + b"".join(struct.pack("<q", count) + content for count, content in stored.values())
    )
    return path


def refused(path, match=None):
    """The file is refused in one line."""
    with pytest.raises(InputError, match=match) as caught:
        read_pth(path)
    message = str(caught.value)
    assert "\n" not in message and message.isprintable() and len(message) < 600
    return message


def peak(path):
    """Bytes that Python and NumPy held at most while the file was refused."""
    tracemalloc.start()
    try:
        refused(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

"""Reads a pickle as data: an interpreter of its opcodes that calls nothing, imports nothing, and knows few names.

Of the pickle machine it has a stack, marks and a memo, and of the values plain containers, numbers and texts. What the
stream names must be in a table of the caller's, which maps each name to a function here; so nothing that a file says
can reach another function, and an object of a class is never made. Subclasses of `pickle.Unpickler` do not give that:
they set attributes of whatever is on the stack, and grow their memo to any index.
"""

import dataclasses
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from kerascnn.weights.guard import Unsafe

MOST_STEPS = 2**20  # opcodes; one tensor takes about 35
_MOST_HASHED = 2**60  # integers below are their own hash, so that no file makes dictionaries slow

Names = Mapping[str, Callable[[tuple], Any] | None]
"""Name, "module.name" -> what stands for a call of it with these arguments; None: it is only mentioned."""


class Refused(Exception):
    """Something that is no plain value, by its name; the message is that name."""


@dataclasses.dataclass(frozen=True)
class Name:
    """What a pickle names; never the thing itself."""

    text: str


class Inert:
    """A value that checkpoints hold and that no weights are made of: settings, devices, NumPy scalars."""


INERT = Inert()


class _Mark:
    """Where a group of values begins on the stack."""


_MARK = _Mark()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list}  # nobody asks a set of a checkpoint anything
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def interpret(stream: BinaryIO, names: Names, storage: Callable[[Any], Any]) -> Any:
    """Reads one pickle, to its end.

    Args:
        stream: stands at the beginning of the pickle, and afterwards behind it.
        names: all names that it may have; `collections.OrderedDict` is always a dictionary.
        storage: gives what stands for a persistent id.

    Returns:
        What was pickled, of dictionaries, lists, tuples, numbers, texts, bytes and what `names` and `storage` returned.

    Raises:
        Refused: it has another name, or an opcode that makes objects.
        Exception: of any kind, where it is damaged.
    """
    machine = _Machine(names, storage)
    for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if step >= MOST_STEPS:
            raise Unsafe(f"a pickle of more than {MOST_STEPS:,} steps")
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    (result,) = machine.stack
    return result


class _Machine:
    def __init__(self, names: Names, storage: Callable[[Any], Any]):
        self.stack: list = []
        self.memo: dict[int, Any] = {}
        self.names, self.storage = names, storage

    def step(self, opcode: str, argument) -> None:
        stack = self.stack
        if opcode in _LITERALS:
            stack.append(argument)
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in _EMPTY:
            stack.append(_EMPTY[opcode]())
        elif opcode in _TUPLES:
            stack.append(tuple(self.pop(_TUPLES[opcode])))
        elif opcode == "MARK":
            stack.append(_MARK)
        elif method := getattr(self, f"do_{opcode.lower()}", None):
            method(argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise Refused(f"the opcode {opcode}")

    def pop(self, count: int) -> list:
        """The last values of the stack, in their order."""
        if count > len(self.stack) or (count and _MARK in self.stack[-count:]):
            raise ValueError("the pickle takes what is not there")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def pop_group(self) -> list:
        """All values after the last mark, and the mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                values = self.stack[place + 1 :]
                del self.stack[place:]
                return values
        raise ValueError("the pickle ends a group that has not begun")

    # Containers

    def do_tuple(self, _) -> None:
        self.stack.append(tuple(self.pop_group()))

    def do_list(self, _) -> None:
        self.stack.append(self.pop_group())

    def do_dict(self, _) -> None:
        values = self.pop_group()
        self.stack.append({})
        self.put(values)

    def do_append(self, _) -> None:
        self.extend(self.pop(1))

    def do_appends(self, _) -> None:
        self.extend(self.pop_group())

    do_additems = do_appends

    def do_setitem(self, _) -> None:
        self.put(self.pop(2))

    def do_setitems(self, _) -> None:
        self.put(self.pop_group())

    def extend(self, values: list) -> None:
        if not isinstance(self.top(), list):
            raise ValueError("the pickle adds values to what is no list")
        self.top().extend(values)

    def put(self, values: list) -> None:
        made = self.top()
        if not isinstance(made, dict) or len(values) % 2:
            raise ValueError("the pickle sets entries of what is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            made[sound_key(key)] = value

    def top(self):
        (value,) = self.pop(1)
        self.stack.append(value)
        return value

    # The memo: a dictionary, so that an index costs nothing

    def do_put(self, index) -> None:
        self.memo[index] = self.top()

    do_binput = do_long_binput = do_put

    def do_memoize(self, _) -> None:
        self.memo[len(self.memo)] = self.top()

    def do_get(self, index) -> None:
        if index not in self.memo:
            raise ValueError("the pickle repeats what it has not remembered")
        self.stack.append(self.memo[index])

    do_binget = do_long_binget = do_get

    # Names, and what is made with them

    def do_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self.known(module, name))

    def do_stack_global(self, _) -> None:
        self.stack.append(self.known(*self.pop(2)))

    def known(self, module, name) -> Name:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("the pickle names something by what is no text")
        found = Name(f"{module}.{name}")
        if found.text not in self.names:
            raise Refused(found.text)
        return found

    def do_reduce(self, _) -> None:
        what, arguments = self.pop(2)
        if not isinstance(what, Name) or not isinstance(arguments, tuple):
            raise Refused("a call of what is no name")
        call = self.names[what.text]
        if call is None:
            raise Refused(f"a call of {what.text}")
        self.stack.append(call(arguments))

    do_newobj = do_reduce

    def do_build(self, _) -> None:
        """Attributes: of an ordered dictionary, whose metadata say nothing of weights; or of what is inert."""
        self.pop(1)
        if not isinstance(self.top(), dict | Inert):
            raise Refused("attributes set on what is no plain value")

    def do_binpersid(self, _) -> None:
        (key,) = self.pop(1)
        self.stack.append(self.storage(key))


def sound_key(key):
    """A key of a dictionary: no tuple, whose hash follows its nesting without end, and no number with a chosen hash."""
    if isinstance(key, str | bytes | float | None) or (isinstance(key, int) and abs(key) < _MOST_HASHED):
        return key
    raise Unsafe("a dictionary whose key is neither a text nor a number")

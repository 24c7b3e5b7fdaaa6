"""One command as data: its row, its flags, and how a line of words is read; found by listing a folder.

The flags are absl's; - and _ are the same in a flag's name. Imports no TensorFlow.
"""

import dataclasses
import difflib
import importlib
import math
import pkgutil
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags
from rich.console import Console

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.cli import commands as folder

Values = dict[str, Any]
_OF_ABSL = ("flagfile", "undefok")


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of a command."""

    name: str  # with _, as the Python argument
    help: str
    kind: type = str  # str, int, float, bool; list: numbers with commas between them
    default: Any = None
    choices: tuple[str, ...] = ()
    low: float | None = None  # the smallest and the largest number that is allowed
    high: float | None = None
    group: str = ""  # the heading in the help
    placeholder: str = ""  # what stands for the value in the help: "FILE"
    unless_given: str = ""  # the default in words, where it is no constant
    repeated: bool = False  # a text that may be given several times; its value is a tuple, empty by default

    def read(self, text: str | bool | list[str] | None) -> Any:
        """The value of what was written, or the default.

        Raises:
            InputError: an empty text, no number of this kind, or one out of its range or of 64 bits.
        """
        if self.repeated:
            return tuple(text or ())
        if text is None or self.kind is bool:
            return self.default if text is None else text
        if text == "":
            raise InputError(f"{self.name} must not be empty. Received: --{self.name}=''")
        if self.choices:
            return _check.one_of(self.name, text, self.choices)
        if self.kind is list:
            return tuple(self._number(part, float) for part in text.split(","))
        return self._number(text, self.kind) if self.kind in (int, float) else text

    def _number(self, text: str, kind: type) -> int | float:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        try:
            number = kind(text)
        except ValueError:  # int() takes 4300 digits, too
            raise _check.refuse(self.name, "a whole number" if kind is int else "a number", text) from None
        if kind is float:
            return _check.real(self.name, number, low, high)
        if not -(2**63) <= number < 2**63:
            raise _check.refuse(self.name, "a whole number of 64 bits", number)
        return _check.whole(self.name, number, *(None if math.isinf(bound) else int(bound) for bound in (low, high)))

    def usage(self) -> str:
        """How it is written: "--[no]table", "--batch_size INT"."""
        if self.kind is bool:
            return f"--[no]{self.name}"
        kind = {str: "TEXT", int: "INT", float: "NUMBER", list: "NUMBERS"}[self.kind]
        return f"--{self.name} {self.placeholder or kind}" if not self.choices else f"--{self.name} NAME"

    def meaning(self, required: bool) -> str:
        """Its help with what is allowed and the default."""
        notes = [f"one of {', '.join(self.choices)}"] if self.choices else []
        if required:
            notes.append("required")
        elif self.default is not None:
            notes.append(f"default: {str(self.default).lower() if self.kind is bool else self.default}")
        elif self.unless_given:
            notes.append(f"default: {self.unless_given}")
        return self.help + (f" ({'; '.join(notes)})" if notes else "")


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the command line."""

    name: str
    arguments: str  # what follows the flags, for the usage line
    summary: str  # one line
    example: str  # complete and working
    flags: tuple[Flag, ...]
    run: Callable[[Values, list[str], Console], int | None]  # the exit status; None: 0
    required: tuple[str, ...] = ()
    positional: tuple[int, int | None] = (0, 0)  # how many arguments at least and at most
    note: str = ""  # the help's last sentences

    def parse(self, argv: Sequence[str]) -> tuple[Values, list[str]]:
        """Reads a command line.

        Args:
            argv: what follows the command's name.

        Returns:
            The value of each flag, None where neither given nor defaulted, and the arguments that are no flags.

        Raises:
            InputError: unknown flag, bad value, or too few or too many arguments.
        """
        before = _before_dashes(argv)
        texts, rest = self._split(before)
        rest += list(argv)[len(before) + 1 :]
        values = {flag.name: flag.read(texts[flag.name]) for flag in self.flags}
        if "" in rest:
            raise InputError(f"kerascnn {self.name} takes no empty words. Received: ''")
        missing = [f"--{name}" for name in self.required if values[name] is None]
        if missing:
            raise InputError(f"kerascnn {self.name} needs {' and '.join(missing)}. Example: {self.example}")
        low, high = self.positional
        if len(rest) < low:
            raise InputError(f"kerascnn {self.name} needs {self.arguments}. Example: {self.example}")
        if high is not None and len(rest) > high:
            raise InputError(f"kerascnn {self.name} takes {self.arguments or 'flags only'}. Received: {rest[high]}")
        return values, rest

    def _split(self, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """Flags and arguments, told apart by absl: what was written for each flag, None where it was not given."""
        parser = flags.FlagValues()  # anew at each call, so that parsing leaves nothing behind
        parser.set_gnu_getopt(True)  # flags and arguments in any order
        for flag in self.flags:
            one = flags.DEFINE_boolean if flag.kind is bool else flags.DEFINE_string
            define = flags.DEFINE_multi_string if flag.repeated else one
            define(flag.name, None, flag.help, flag_values=parser, module_name="kerascnn")
        names = {flag.name for flag in self.flags}
        booleans = {flag.name for flag in self.flags if flag.kind is bool}
        normal = [_normal(word, booleans) for word in words]
        try:
            for word in normal:
                name = word.lstrip("-").partition("=")[0]
                if word.startswith("-") and name in _OF_ABSL:  # it would read any file for flags
                    raise flags.UnrecognizedFlagError(name)
            rest = parser([self.name, *normal])[1:]
        except flags.UnrecognizedFlagError as error:
            near = difflib.get_close_matches(error.flagname, names, n=1)
            hint = f"did you mean --{near[0]}?" if near else f"see kerascnn {self.name} --help."
            raise InputError(
                f"kerascnn {self.name} has no such flag; {hint} Received: --{error.flagname[:200]}"
            ) from error
        except flags.IllegalFlagValueError as error:
            written = str(error).partition(" ")[2].partition(": (")[0]
            raise InputError(f"A flag of yes or no must be true or false. Received: {written[:200]}") from error
        except (flags.Error, ValueError) as error:  # a ValueError: --notable=1
            raise InputError(f"{str(error)[:200]}; see kerascnn {self.name} --help.") from error
        return {name: parser[name].value for name in names}, rest

    def help(self, width: int = 100) -> str:
        """Usage, example, and each flag with its type, meaning, choices and default, in groups."""
        lines = [f"kerascnn {self.name} {self.arguments}".rstrip(), "", f"  {self.summary}", "", "Example:"]
        lines += [f"  {self.example}"]
        for group in dict.fromkeys(flag.group for flag in self.flags):
            lines += ["", f"{group[:1].upper()}{group[1:]}:" if group else "Flags:"]
            for flag in self.flags:
                if flag.group == group:
                    lines += _entry(flag.usage(), flag.meaning(flag.name in self.required), width)
        notes = [self.note] if self.note else []
        return "\n".join([*lines, "", *textwrap.wrap(" ".join(["In a flag, - and _ are the same.", *notes]), width)])


def find() -> dict[str, Command]:
    """All commands by name, alphabetically: the modules of kerascnn/cli/commands."""
    names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__) if not module.name.startswith("_"))
    found = (importlib.import_module(f"{folder.__name__}.{name}").COMMAND for name in names)
    return {command.name: command for command in found}


def _before_dashes(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    return words[: words.index("--")] if "--" in words else words


def _normal(word: str, booleans: set[str]) -> str:
    """--no-some-flag=x -> --nosome_flag=x."""
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    name = name.replace("-", "_")
    if name.startswith("no_") and name[3:] in booleans:
        name = "no" + name[3:]
    return f"--{name}{equals}{value}"


def _entry(usage: str, meaning: str, width: int) -> list[str]:
    """A flag in the help: its meaning beside it, wrapped."""
    column = 28
    lines = textwrap.wrap(meaning, max(30, width - column), break_on_hyphens=False)
    head = f"  {usage}"
    first = [f"{head:{column}}{lines[0]}"] if len(head) < column - 1 else [head, " " * column + lines[0]]
    return first + [" " * column + line for line in lines[1:]]

"""One command as data: its row, its flags, and how a line of words is read; found by listing a folder.

The flags are absl's; - and _ are the same in a flag's name. Imports no TensorFlow.
"""

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags
from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import commands as folder

Values = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of a command."""

    name: str  # with _, as the Python argument
    help: str
    kind: type = str  # str, int, float, bool; list: words with commas between them
    default: Any = None
    choices: tuple[str, ...] = ()

    def define(self, values: flags.FlagValues) -> None:
        """Adds the flag to absl's."""
        options = {"flag_values": values, "module_name": "kerascnn"}
        if self.choices:
            flags.DEFINE_enum(self.name, self.default, self.choices, self.help, **options)
            return
        define = {
            str: flags.DEFINE_string,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            bool: flags.DEFINE_boolean,
            list: flags.DEFINE_list,
        }[self.kind]
        define(self.name, self.default, self.help, **options)


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the command line."""

    name: str
    arguments: str  # what follows the flags, for the usage line
    summary: str  # one line
    example: str  # complete and working
    flags: tuple[Flag, ...]
    run: Callable[[Values, list[str], Console], None]
    required: tuple[str, ...] = ()
    positional: tuple[int, int | None] = (0, 0)  # how many arguments at least and at most

    def parse(self, argv: Sequence[str]) -> tuple[Values, list[str]]:
        """Reads a command line.

        Args:
            argv: what follows the command's name.

        Returns:
            The value of each flag, None where neither given nor defaulted, and the arguments that are no flags.

        Raises:
            InputError: unknown flag, bad value, or too few or too many arguments.
        """
        parser = flags.FlagValues()  # anew at each call, so that parsing leaves nothing behind
        parser.set_gnu_getopt(True)  # flags and arguments in any order
        for flag in self.flags:
            flag.define(parser)
        names = {flag.name for flag in self.flags}
        booleans = {flag.name for flag in self.flags if flag.kind is bool}
        before = _before_dashes(argv)
        try:
            rest = parser([self.name, *(_normal(word, booleans) for word in before)])[1:]
        except flags.UnrecognizedFlagError as error:
            near = difflib.get_close_matches(error.flagname, names, n=1)
            hint = f"; did you mean --{near[0]}?" if near else f"; see kerascnn {self.name} --help"
            raise InputError(f"kerascnn {self.name} has no flag --{error.flagname}{hint}") from error
        except flags.Error as error:
            raise InputError(str(error)) from error
        rest += list(argv)[len(before) + 1 :]
        values = {name: parser[name].value for name in names}
        missing = [f"--{name}" for name in self.required if values[name] is None]
        if missing:
            raise InputError(f"kerascnn {self.name} needs {' and '.join(missing)}. Example: {self.example}")
        low, high = self.positional
        if len(rest) < low:
            raise InputError(f"kerascnn {self.name} needs {self.arguments}. Example: {self.example}")
        if high is not None and len(rest) > high:
            raise InputError(f"kerascnn {self.name} takes {self.arguments or 'flags only'}. Received: {rest[high]}")
        return values, rest

    def help(self) -> str:
        """Usage, example, and each flag with its meaning and default."""
        lines = [f"kerascnn {self.name} {self.arguments}".rstrip(), "", f"  {self.summary}", "", "Example:"]
        lines += [f"  {self.example}", "", "Flags (- and _ are the same):"]
        for flag in sorted(self.flags, key=lambda flag: flag.name):
            shown = f"--[no]{flag.name}" if flag.kind is bool else f"--{flag.name}"
            choices = f"<{'|'.join(flag.choices)}>: " if flag.choices else ""
            if flag.default is None:
                default = " (required)" if flag.name in self.required else ""
            else:
                default = f" (default: {str(flag.default).lower() if flag.kind is bool else flag.default})"
            lines.append(f"  {shown}: {choices}{flag.help}{default}")
        return "\n".join(lines)


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

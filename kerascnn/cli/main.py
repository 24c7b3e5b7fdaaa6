"""The command `kerascnn`: finds the command, reads its flags, turns expected errors into one line and status 2."""

import difflib
import os
import sys
from collections.abc import Mapping, Sequence

from absl import app, flags, logging
from rich.console import Console

from kerascnn import __version__
from kerascnn._errors import InputError
from kerascnn.cli import command as command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: what follows `kerascnn`; None: the command line of the process.

    Returns:
        0: done; 2: the input cannot be used or the output not written, said in one line on stderr; 130: interrupted.
    """
    if argv is None:
        return app.run(lambda words: run(words[1:]), flags_parser=_absl_flags)
    return run(argv)


def _absl_flags(words):
    flags.FLAGS(words[:1])  # absl wants its own flags parsed; ours are per command
    logging.set_verbosity(logging.WARNING)
    return words


def run(argv: Sequence[str]) -> int:
    """`main` without absl's process-wide set-up; see there."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        _dispatch(list(argv))
    except BrokenPipeError:  # the reader has what it wanted: kerascnn list | head -3
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except InputError as error:
        return _refuse(str(error))
    except OSError as error:
        where = f" Received: {error.filename}" if error.filename else ""
        return _refuse(f"{error.strerror or error}.{where}")
    except KeyboardInterrupt:
        print("kerascnn: interrupted", file=sys.stderr)
        return 130
    return 0


def _dispatch(argv: list[str]):
    console = Console(soft_wrap=False)
    commands = command_line.find()
    if not argv or argv[0] in ("--help", "-h", "help", "-help"):
        console.print(_overview(commands), highlight=False, markup=False, soft_wrap=True)
        return
    if argv[0] == "--version":
        console.print(f"kerascnn {__version__}", highlight=False)
        return
    name, words = argv[0], argv[1:]
    if name not in commands:
        near = difflib.get_close_matches(name, commands, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the commands are {', '.join(commands)}"
        raise InputError(f"There is no command of this name; {hint} Received: {name}")
    command = commands[name]
    if any(word in ("--help", "-h", "-help") for word in words):
        console.print(command.help(), highlight=False, markup=False, soft_wrap=True)
        return
    command.run(*command.parse(words), console)


def _overview(commands: Mapping[str, command_line.Command]) -> str:
    width = max(map(len, commands))
    lines = ["kerascnn COMMAND [FLAGS]", ""]
    lines += [f"  {name:{width}}  {command.summary}" for name, command in commands.items()]
    return "\n".join([*lines, "", "kerascnn COMMAND --help shows the flags and an example."])


def _refuse(message: str) -> int:
    print("kerascnn: " + " ".join(message.split()), file=sys.stderr)
    return 2

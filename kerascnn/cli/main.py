"""The command `kerascnn`: finds the command, reads its flags, turns expected errors into one line and status 2."""

import contextlib
import difflib
import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from absl import app, flags, logging

from kerascnn import __version__
from kerascnn._errors import InputError
from kerascnn.cli import command as command_line
from kerascnn.cli import process
from kerascnn.cli.console import PlainConsole

_LONGEST = 1000  # letters of a message


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: what follows `kerascnn`; None: the command line of the process.

    Returns:
        0: done; 1: done in part, as said on stderr; 2: the input cannot be used or the output not written, said in one
        line on stderr; 130: interrupted; 128 + n: ended by signal n.
    """
    if argv is None:
        process.prepare()
        process.prefer_onednn("".join(sys.argv[1:2]))
        return app.run(lambda words: run(words[1:]), flags_parser=_absl_flags)
    return run(argv)


def _absl_flags(words):
    flags.FLAGS(words[:1])  # absl wants its own flags parsed; ours are per command
    logging.set_verbosity(logging.WARNING)
    return words


def run(argv: Sequence[str]) -> int:
    """`main` without what it sets for the whole process; see there."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        status = _dispatch(_checked(argv))
        sys.stdout.flush()  # a full disk is told here, not by Python on its way out
        return status
    except BrokenPipeError:  # the reader has what it wanted: kerascnn list | head -3
        _forget_output()
    except process.Terminated as signaled:
        print(f"kerascnn: ended by {signal.Signals(signaled.number).name}", file=sys.stderr)
        return 128 + signaled.number
    except KeyboardInterrupt:
        print("kerascnn: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        message = explained(error)
        if message is None:  # a fault of ours: with its traceback
            raise
        return _refuse(message)
    return 0


def explained(error: Exception) -> str | None:
    """What a user can be told of an error that input or machine caused; None for all others."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            _forget_output()  # where it was stdout that is full
        where = f" Received: {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        return f"{error.strerror or error}.{where}"
    if isinstance(error, UnicodeError):
        return f"A name or a text must be UTF-8. Received: {str(error)[:200]}"
    if isinstance(error, MemoryError):
        return f"There is not enough memory ({str(error) or 'for an array'}); smaller images or batches need less."
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    if errors is not None and isinstance(error, errors.ResourceExhaustedError):
        return f"There is not enough memory ({error.message[:200]}); smaller images or batches need less."
    return None


def _checked(argv: Sequence[str]) -> list[str]:
    """The words, all of which TensorFlow can take as names of files."""
    for word in argv:
        if "\0" in word:
            raise InputError(f"A name or value must not hold a NUL byte. Received: {word[:200]!r}")
        try:
            word.encode()
            os.fsencode(word)
        except UnicodeEncodeError as error:
            raise InputError(
                f"Names and values must be UTF-8, in a locale that has their letters, such as C.UTF-8. "
                f"Received: {word[:200]!r} in {sys.getfilesystemencoding()}"
            ) from error
    return list(argv)


def _dispatch(argv: list[str]) -> int:
    console = PlainConsole()
    commands = command_line.find()
    if not argv or argv[0] in ("--help", "-h", "help", "-help"):
        console.print(_overview(commands), highlight=False, markup=False, soft_wrap=True)
        return 0
    if argv[0] == "--version":
        console.print(f"kerascnn {__version__}", highlight=False)
        return 0
    name, words = argv[0], argv[1:]
    if name not in commands:
        near = difflib.get_close_matches(name, commands, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the commands are {', '.join(commands)}."
        raise InputError(f"There is no command of this name; {hint} Received: {name}")
    command = commands[name]
    if any(word in ("--help", "-h", "-help") for word in words):
        console.print(command.help(min(console.width, 120)), highlight=False, markup=False, soft_wrap=True)
        return 0
    return command.run(*command.parse(words), console) or 0


def _overview(commands: Mapping[str, command_line.Command]) -> str:
    width = max(map(len, commands))
    lines = ["kerascnn COMMAND [FLAGS]", ""]
    lines += [f"  {name:{width}}  {command.summary}" for name, command in commands.items()]
    return "\n".join([*lines, "", "kerascnn COMMAND --help shows the flags and an example."])


def _refuse(message: str) -> int:
    line = " ".join(message.split())
    if len(line) > _LONGEST:  # beginning and end say most: the rule, and what was received
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
    with contextlib.suppress(OSError):
        print(f"kerascnn: {shown}", file=sys.stderr, flush=True)
    return 2


def _forget_output() -> None:
    """Lets what stdout still holds go nowhere, so that Python does not fail at it once more on its way out."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

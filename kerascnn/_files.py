"""Files that are either whole or not there: written under a temporary name, then renamed."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kerascnn._errors import InputError


def ensure_folder(path: str | os.PathLike) -> Path:
    """Makes a folder and checks that files can be written to it.

    Args:
        path: the folder; parents are made as needed.

    Returns:
        The folder as a `Path`.

    Raises:
        InputError: it is a file, or cannot be made or written.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
            probe.flush()
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"The output must be a folder; a file is in the way. Received: {folder}") from error
    except ValueError as error:  # a NUL byte, or what is no text at all
        raise InputError(f"The output folder must have a name that files can have. Received: {path!r}") from error
    except OSError as error:
        raise InputError(f"The output folder cannot be written ({error.strerror}). Received: {folder}") from error
    return folder


@contextlib.contextmanager
def replace_with(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it takes the place of `path`, else it is removed.

    The temporary name keeps the suffixes of `path` (`a.weights.h5` -> `.tmp-….weights.h5`), because Keras chooses the
    format of a file by its name.

    Args:
        path: the file to be written.

    Yields:
        The temporary file's path, which does not exist yet.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is then as it was before.
    """
    target = Path(path)
    temporary = target.with_name(f".tmp-{os.getpid()}-{target.name}")
    try:
        yield temporary
        with open(temporary, "rb") as written:  # on disk before the rename, so that a power cut leaves old or new
            os.fsync(written.fileno())
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def clear_temporaries(folder: str | os.PathLike) -> None:
    """Deletes what killed processes left half-written in a folder; temporaries of living processes stay.

    Args:
        folder: where `replace_with` wrote.
    """
    for file in Path(folder).glob(".tmp-*"):
        number = re.match(r"\.tmp-([0-9]{1,9})-", file.name)
        if number and int(number[1]) != os.getpid() and _lives(int(number[1])):
            continue
        with contextlib.suppress(OSError):
            file.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to somebody else
        pass
    return True


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Opens a file for writing that appears under its name only when it is complete.

    Args:
        path: the file to be written.
        mode: `"w"` (UTF-8 text, newlines as given) or `"wb"`.

    Yields:
        The open file.

    Raises:
        InputError: another mode.
        OSError: as for `replace_with`.
    """
    if mode not in ("w", "wb"):
        raise InputError(f'The mode must be "w" or "wb". Received: {mode!r}')
    text = {"encoding": "utf-8", "newline": ""} if mode == "w" else {}
    with replace_with(path) as temporary, open(temporary, mode, **text) as file:
        yield file

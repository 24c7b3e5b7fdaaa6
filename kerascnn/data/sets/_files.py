"""Listing the image files below a folder, and the folders of a set's parts."""

import collections
import os
from collections.abc import Callable, Collection
from pathlib import Path

from absl import logging

from kerascnn._errors import InputError
from kerascnn.data.parts import FOLDERS
from kerascnn.data.preprocessing import FORMATS

_LEFT_BEHIND = ("thumbs.db", "desktop.ini", "__macosx")  # by file managers, as are names that begin with a dot


def shown(path: str | os.PathLike) -> str:
    """A path for a message: bytes that are not UTF-8 are written as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _hidden(name):
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def visible(folder: Path) -> list[Path]:
    """The entries of a folder by name, without those that file managers hide or leave behind.

    Raises:
        InputError: it cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"The folder cannot be read ({error.strerror}). Received: {shown(folder)}") from error
    return [path for path in paths if not _hidden(path.name)]


def folders(folder: Path) -> list[Path]:
    """The visible sub-folders of a folder, by name.

    Raises:
        InputError: it, or one of them, cannot be looked into.
    """
    try:
        return [path for path in visible(folder) if path.is_dir()]
    except OSError as error:
        raise InputError(f"The folder cannot be read ({error.strerror}). Received: {shown(folder)}") from error


class Listing:
    """Lists image files at any depth, and counts what is no image.

    Args:
        root: the set's folder; examples are named by their paths below it, with "/".
        endings: of the files wanted, in lower case.
    """

    def __init__(self, root: Path, endings: Collection[str] = FORMATS):
        self.root = root
        self.endings = tuple(endings)
        self.ignored: collections.Counter[str] = collections.Counter()  # by ending

    def files(self, folder: Path) -> list[str]:
        """The image files below a folder, sorted by their parts; hidden files and folders are passed over.

        Raises:
            InputError: a folder cannot be read, or what is named like an image is no regular file.
        """
        return [os.path.join(folder, *parts) for parts in self._sorted(folder)]

    def below(self, folder: Path) -> list[str]:
        """As `files`, the names of the examples instead of their paths."""
        above = os.path.relpath(folder, self.root).split(os.sep)
        return ["/".join([*above, *parts]) for parts in self._sorted(folder)]

    def names(self, paths: list[str]) -> list[str]:
        """The names of the examples in these files."""
        return [os.path.relpath(path, self.root).replace(os.sep, "/") for path in paths]

    def summary(self) -> str:
        """What was ignored: ".txt: 2, .tif: 1"."""
        return ", ".join(f"{shown(ending)}: {count}" for ending, count in self.ignored.most_common(5))

    def report(self) -> None:
        """Logs in one line how many files were ignored, if any."""
        if self.ignored:
            logging.warning(
                "%s: %d entries that are no images of the set are ignored (%s)",
                shown(self.root), sum(self.ignored.values()), self.summary(),
            )  # fmt: skip

    def _sorted(self, folder):
        found: list[tuple[str, ...]] = []
        self._walk(os.fspath(folder), (), found, set())
        return sorted(found)

    def _walk(self, folder, parts, found, above):
        try:
            status = os.stat(folder)
            here = (status.st_dev, status.st_ino)
            entries = [] if here in above else sorted(os.scandir(folder), key=lambda entry: entry.name)
            for entry in entries:
                if _hidden(entry.name):
                    continue
                ending = os.path.splitext(entry.name)[1].lower()
                if entry.is_dir():
                    self._walk(entry.path, (*parts, entry.name), found, above | {here})
                elif ending not in self.endings:
                    self.ignored[ending or "no ending"] += 1
                elif not entry.is_file():  # opening a named pipe would wait for ever
                    raise InputError(f"An image must be a regular file. Received: {shown(entry.path)}")
                else:
                    found.append((*parts, entry.name))
        except OSError as error:
            raise InputError(f"The folder cannot be read ({error.strerror}). Received: {shown(folder)}") from error


def part_folders(folder: Path, holds_set: Callable[[Path], bool]) -> dict[str, Path] | None:
    """The sub-folders that are the parts of a set, by the names in `parts.FOLDERS` in any case.

    `train/` alone is a part too. A class may be called "train": its folder then holds images, not what a set holds.

    Args:
        folder: the set's folder.
        holds_set: whether a folder holds what a set, or a part of one, holds.

    Returns:
        The folders by part, "train" among them; None where the set is not divided.

    Raises:
        InputError: two folders for one part, or it cannot be told whether train/ is a part or a class.
    """
    below: dict[str, list[Path]] = {}
    for path in folders(folder):
        below.setdefault(path.name.lower(), []).append(path)
    if "train" not in below:
        return None
    found, others = {}, sum(len(paths) for paths in below.values())
    for part, names in FOLDERS.items():
        candidates = [path for name in names for path in below.get(name, [])]
        others -= len(candidates)
        if len(candidates) > 1:
            received = ", ".join(f"{shown(path.name)}/" for path in candidates)
            raise InputError(f"There must be one folder for {part}. Received: {received} in {shown(folder)}")
        if candidates:
            found[part] = candidates[0]
    if others and not holds_set(found["train"]):
        return None
    if others and len(found) == 1:
        rule = (
            "train/ must have test/ or val/ beside it to be the training part, or hold images to be a class among "
            "others; here it holds sub-folders"
        )
        raise InputError(f"{rule}. Received: {shown(folder)}")
    if set(found) == {"train", "validation"}:
        name = found["validation"].name
        logging.warning(
            "%s has no test/: %s/ is the test part, and a tenth of train/ is held out for validation",
            shown(folder), shown(name),
        )  # fmt: skip
        found["test"] = found.pop("validation")
    return found

"""One model of a server: its folder, its labels, and the states of its versions."""

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn import _check

_REMEMBERED = 20  # versions that have ended and are told of


class State(enum.IntEnum):
    """Where a version is, numbered as in tensorflow/serving's apis/get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(eq=False)
class Version:
    """One version that was seen."""

    model: str
    number: int
    fingerprint: tuple = ()  # of its files when it was tried
    state: State = State.START
    code: str = "OK"  # why it could not be loaded
    message: str = ""
    servable: Any = None  # a `loading.Servable` while it is AVAILABLE or UNLOADING
    leases: int = 0  # requests that are on it


@dataclasses.dataclass(eq=False)
class Model:
    """A name and a folder of numbered versions.

    Args:
        name: in the address of requests.
        folder: with a folder for each version; it may be empty when the server starts.
        latest: how many of the highest versions answer.
        labels: names of versions, which answer beside the latest.

    Raises:
        InputError: the name is empty or has a slash or colon, there is no such folder, or it is a version itself.
    """

    name: str
    folder: Path
    latest: int = 1
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    versions: dict[int, Version] = dataclasses.field(default_factory=dict, init=False)
    error: str = dataclasses.field(default="", init=False)  # of the last look at the folder

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name or set(self.name) & set("/:\n"):
            raise _check.refuse("name", "the name of a model, without / and :", self.name)
        self.folder = Path(self.folder)
        if not self.folder.is_dir():
            raise _check.refuse("folder", "an existing folder with numbered versions", str(self.folder))
        if (self.folder / "saved_model.pb").is_file():
            raise _check.refuse("folder", "the folder above the numbered versions", str(self.folder))
        _check.whole("latest", self.latest, 1)
        for label, number in self.labels.items():
            _check.whole(f"labels[{label!r}]", number, 0, 2**63 - 1)

    def highest(self) -> Version | None:
        """The highest version that answers."""
        answering = [version for version in self.versions.values() if version.state is State.AVAILABLE]
        return max(answering, key=lambda version: version.number, default=None)

    def answering(self, number: int) -> Version | None:
        """A version, where it answers."""
        version = self.versions.get(number)
        return version if version is not None and version.state is State.AVAILABLE else None

    def forget(self, found: Mapping[int, Path]) -> None:
        """Leaves out of the table what has ended, has no folder any more and is long ago."""
        ended = sorted(n for n, version in self.versions.items() if version.state is State.END and n not in found)
        for number in ended[:-_REMEMBERED]:
            del self.versions[number]

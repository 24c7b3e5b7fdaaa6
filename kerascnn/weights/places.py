"""Where the file of a row may be: the cache's folder, packages, other caches, mirrors, and where it is published."""

import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from kerascnn._errors import InputError
from kerascnn.weights import packages
from kerascnn.weights.catalogue import Weights

_HUB = "https://huggingface.co"
_HUB_FILE = "model.safetensors"
_FALSE = ("", "0", "false", "no", "off")


def home() -> Path:
    """The folder of this package's files: KERASCNN_HOME, else `kerascnn` in Keras' own, which is ~/.keras.

    Returns:
        The folder, which need not exist.
    """
    own = os.environ.get("KERASCNN_HOME")
    keras = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    return Path(os.path.expanduser(own or os.path.join(keras, "kerascnn")))


def address(row: Weights) -> str:
    """Where a file is published, as people fetch it."""
    location = row.location
    if location.startswith("hf:"):
        endpoint = (os.environ.get("HF_ENDPOINT") or _HUB).rstrip("/")
        return f"{endpoint}/{location.removeprefix('hf:')}/resolve/main/{_HUB_FILE}"
    if location.startswith("package:"):
        return f"{location.rpartition('/')[2]} of the package {packages.named(location)}"
    return location


def installed(row: Weights) -> Iterator[Path]:
    """Files that are on this machine for another reason, to be used where they lie."""
    for location in (row.location, *row.also):
        if location.startswith("package:") and (found := packages.find(location)):
            yield found
        if location.startswith("shipped:"):
            yield Path(__file__).parent / "trained" / location.removeprefix("shipped:")
        if location.startswith("hf:") and (found := _in_hub_cache(location.removeprefix("hf:"))):
            yield found


def stated(found: Path) -> str | None:
    """The SHA-256 that the cache of `huggingface_hub` has as the name of its files."""
    name = os.path.basename(os.path.realpath(found))
    return name if re.fullmatch("[0-9a-f]{64}", name) else None


def remote(row: Weights, tried: list[str]) -> Iterator[Path | str]:
    """Files and URLs to be tried in turn.

    Args:
        row: of the catalogue.
        tried: gets a line for each place that is left out, and why.

    Yields:
        Files in a folder of one's own, and URLs.

    Raises:
        InputError: KERASCNN_MIRROR is neither a folder nor a URL.
    """
    offline = next((name for name in ("KERASCNN_OFFLINE", "HF_HUB_OFFLINE") if _is_set(name)), None)
    places = [] if (mirror := _mirror(row)) is None else [mirror]
    for location in (row.location, *row.also):
        if location.startswith("package:"):
            tried.append(f"the package {packages.named(location)} (not installed)")
        elif not location.startswith("shipped:"):
            places.append(address(row) if location == row.location else location)
    for place in places:
        if isinstance(place, str) and offline:
            tried.append(f"{place} (not asked, as {offline} is set)")
        else:
            yield place


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in _FALSE


def _mirror(row: Weights) -> Path | str | None:
    mirror = os.environ.get("KERASCNN_MIRROR")
    if not mirror:
        return None
    if re.match(r"https?://", mirror):
        return f"{mirror.rstrip('/')}/{row.source}/{urllib.parse.quote(row.file)}"
    folder = Path(os.path.expanduser(mirror))
    if not folder.is_dir():
        raise InputError(f"KERASCNN_MIRROR must be a folder, or a URL with http:// or https://. Received: {mirror}")
    return folder / row.source / row.file


def _in_hub_cache(repository: str) -> Path | None:
    """The file in the cache that `huggingface_hub` fills, which programs of PyTorch use."""
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache"), "huggingface")
    hub = os.environ.get("HF_HUB_CACHE") or os.path.join(os.environ.get("HF_HOME") or cache, "hub")
    folder = Path(os.path.expanduser(hub)) / f"models--{repository.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8")[:100].strip()
    except (OSError, ValueError):
        return None
    found = folder / "snapshots" / commit / _HUB_FILE
    return found if re.fullmatch("[0-9a-f]+", commit) and found.is_file() else None

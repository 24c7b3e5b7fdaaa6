"""The catalogue of published weights: which files there are for which network, and what is known of them.

`catalogue.json` holds the rows, one a line; `tools/weights_catalogue.py` writes it. Reading it needs neither Keras nor
a network.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.weights import packages

_LISTED = 12  # tags in a message
DEFAULT = "imagenet"  # the tag that means: the row marked default


@dataclasses.dataclass(frozen=True)
class Weights:
    """One published file for one network. A row's preprocessing wins over the network's."""

    network: str  # registry name of the network that the file is for
    tag: str  # "timm/a1_in1k", "torchvision/IMAGENET1K_V2", "keras", ...
    location: str  # "hf:OWNER/NAME" on the hub, "https://...", "package:DISTRIBUTION/path", "shipped:FILE" in here
    hash: str | None  # "sha256:..." or "md5:...", in hexadecimal digits, maybe only the first; None: not published
    bytes: int | None  # size of the file; None: not known
    format: str  # ending of the file's name
    library: str  # whose names the parameters have: timm, torchvision, keras; "": ours
    classes: int  # 0: the file has no head
    input_size: tuple[int, int] | None  # height and width in training; None: the network's
    test_size: tuple[int, int] | None  # height and width that the library itself tests with, where it is another
    preprocessing: Preprocessing
    reported: Mapping[str, float]  # "top1", "top5" or "miou" in percent; "size" of the images where it was measured
    licence: str  # of the weights, as their publisher states it; "": not stated
    default: str = ""  # "always": what weights="imagenet" means; "installed": before that, where its package is there
    inside: bool = False  # the library's own model has the preprocessing as layers; here it stands before the network
    bgr: bool = False  # the file's first convolution takes blue, green, red; it is turned when the file is loaded
    also: tuple[str, ...] = ()  # further locations of the same file
    channels: int = 3  # of the images
    class_names: tuple[str, ...] = ()  # where they are not those of ImageNet or Pascal VOC

    @property
    def file(self) -> str:
        """The name of the file in the cache."""
        last = self.location.rpartition("/")[2]
        return f"{last}{self.format}" if self.location.startswith("hf:") else last

    @property
    def source(self) -> str:
        """The folder of the file in the cache, and the first part of its tag."""
        return self.tag.partition("/")[0]


def published(network: str | None = None) -> tuple[Weights, ...]:
    """The rows of the catalogue.

    Args:
        network: the registry name of a network; None: of all.

    Returns:
        The rows, those of a network in the order in which `weights="imagenet"` would choose among them.

    Raises:
        InputError: `network` is no text.

    Example:

        for row in kerascnn.weights.published("resnet50"):
            print(row.tag, row.reported.get("top1"), row.licence)
    """
    if network is not None and not isinstance(network, str):
        raise InputError(f"network must be the name of a network. Received: network={network!r}")
    table = _table()
    return tuple(_row(name, tag) for name in ([network] if network else table) for tag in table.get(name, ()))


def tags(network: str) -> tuple[str, ...]:
    """The tags of a network's rows, in the order of `published`."""
    return tuple(_table().get(network, ()))


def networks() -> frozenset[str]:
    """The networks that have rows."""
    return frozenset(_table())


def find(network: str, tag: str = DEFAULT) -> Weights:
    """The row that a tag means.

    Args:
        network: the registry name of a network.
        tag: one of its tags; "imagenet": the row that is marked default, or one before it whose package is installed.

    Returns:
        The row. Its `network` may be a twin of the one that was asked for, which the file is for.

    Raises:
        InputError: the network has no such row; the message lists its tags.
    """
    rows = published(network)
    if tag == DEFAULT:
        chosen = [row for row in rows if row.default and _at_hand(row)]
    else:
        chosen = [row for row in rows if row.tag == tag]
    if chosen:
        return chosen[0]
    raise InputError(f"There are no such weights of {network}; tags: {listed(network)}. Received: {str(tag)[:80]!r}")


def listed(network: str) -> str:
    """The tags of a network in a line, for messages."""
    rows = published(network)
    known = [*([DEFAULT] if any(row.default for row in rows) else []), *(row.tag for row in rows)]
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return ", ".join(known[:_LISTED]) + more or "none"


def _at_hand(row: Weights) -> bool:
    places = [location for location in (row.location, *row.also) if location.startswith("package:")]
    return row.default == "always" or any(packages.find(place) for place in places)


@functools.cache
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    return json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))


@functools.cache
def _row(network: str, tag: str) -> Weights:
    row = _table()[network][tag]
    size = {key: tuple(row[key]) if row.get(key) else None for key in ("input_size", "test_size")}
    constants = Preprocessing.from_dict(row["preprocessing"])
    fixed = {"preprocessing": constants, "also": tuple(row.get("also", ())), **size}
    fixed["class_names"] = tuple(row.get("class_names", ()))
    optional = {"hash": None, "bytes": None, "reported": {}, "licence": ""}
    return Weights(**{"network": network, "tag": tag, **optional, **row, **fixed})

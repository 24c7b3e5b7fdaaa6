"""Which part of a data set an example belongs to: training, validation or testing.

The rule, the same for every kind of set:

* A set has three parts. "train" is learned from, "validation" is measured after every epoch and chooses (the best
  checkpoint, the plateau's rate, the candidate of a search), "test" is measured by `evaluate` and chooses nothing.
* A part that the set itself provides is taken as it is: the sub-folders `train/`, `val/` (or `valid/`, `validation/`)
  and `test/`, the splits of a TFDS set, the two pairs of IDX files.
* `train/` with `val/` alone, as ImageNet is laid out, has its figures reported on `val/`: that is "test" then.
* A part that is missing is held out of "train": about a tenth, each example by a hash of its name alone. Names are file
  paths below the set's folder, and positions as text in sets that have no files.
* Where a tenth of a small set holds none, the example with the lowest hash stands in.

An example therefore keeps its part when others are added or removed; the one exception is such a stand-in, which goes
back to training as soon as the tenth has a member or a lower hash arrives. What was once trained on is never held out.
"""

import hashlib
import os
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerascnn._errors import InputError

PARTS = ("train", "validation", "test")
SHARE = 0.1  # of the examples of "train" that are held out for each missing part
FOLDERS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}


def draw(name: str, part: str) -> float:
    """A number in [0, 1) that is fixed for all times by the name of an example and of a part.

    Args:
        name: of the example, in any Unicode normalization.
        part: "validation" or "test": the two are independent.

    Returns:
        The first 53 bits of BLAKE2b.
    """
    name = unicodedata.normalize("NFC", name)
    digest = hashlib.blake2b(f"{part}:{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def hold_out(names: Sequence[str], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Divides examples by their names.

    Args:
        names: of the examples, at least one.
        part: for what some are held out: "validation" or "test".

    Returns:
        (kept, held out): positions, int64, ascending; at least one is held out.
    """
    draws = np.array([draw(name, part) for name in names])
    held = draws < SHARE
    if not held.any():
        held[draws.argmin()] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def divide(splits: Mapping[str, Any], where: str) -> dict[str, Any]:
    """All three parts of a set.

    Args:
        splits: the parts that the set provides by name, "train" among them; each has `size`, `names` and `select`.
        where: what the set is called, for errors.

    Returns:
        "train", "validation" and "test"; those that were missing are held out of "train".

    Raises:
        InputError: there is no "train", another name, an empty part, or too few examples to hold some out.
    """
    unknown = sorted(set(splits) - set(PARTS))
    if "train" not in splits or unknown:
        rule = f"The parts of a data set are {', '.join(PARTS)}, and train must be among those given"
        raise InputError(f"{rule}. Received: {', '.join(splits)} for {where!r}")
    for name, split in splits.items():
        if split.size < 1:
            raise InputError(f"The {name} split of a data set must not be empty. Received: {where!r}")
    splits = dict(splits)
    missing = [part for part in ("test", "validation") if part not in splits]
    size, rest = splits["train"].size, splits["train"]
    for part in missing:
        if size > len(missing) and rest.size > 1:
            kept, held = hold_out(rest.names, part)
            splits[part], rest = rest.select(held), rest.select(kept)
    if missing and (size <= len(missing) or rest.size < 1 or len(splits) < len(PARTS)):
        # Nothing is taken back into training to mend this: a larger set would hold it out again.
        needed = f"at least {len(missing) + 1} training examples, so that one can be held out for each"
        if size > len(missing):
            needed = f"more training examples: the names of nearly all {size} fall to these parts"
        rule = f"A set without parts for {' and '.join(missing)} must have {needed}"
        raise InputError(f"{rule}. Received: {size} in {where!r}")
    splits["train"] = rest
    return {part: splits[part] for part in PARTS}


def digest(names: Sequence[str], labels: np.ndarray | None = None) -> str:
    """A short fingerprint of which examples a part holds, in which order, and of their labels where these are at hand.

    Args:
        names: of the examples.
        labels: int64 [n], or None.

    Returns:
        16 hexadecimal digits.
    """
    state = hashlib.blake2b(digest_size=8)
    for name in names:
        state.update(os.fsencode(unicodedata.normalize("NFC", name)) + b"\0")
    if labels is not None:
        state.update(np.asarray(labels, "<i8").tobytes())
    return state.hexdigest()

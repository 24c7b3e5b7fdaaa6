"""Several labels that are right for an image, as ImageNet-ReaL has them: reading them, and measuring by them."""

import csv
import dataclasses
import io
import json
import numbers
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from kerascnn._errors import InputError
from kerascnn.evaluation.answers import Answers
from kerascnn.evaluation.intervals import wilson

_LARGEST = 256 * 2**20  # bytes
_VALIDATION = re.compile(r"ILSVRC2012_val_([0-9]{8})$")
_HEADERS = ("name", "path", "image", "file")


@dataclasses.dataclass(frozen=True)
class AcceptedReport:
    """What `accepted_report` measures."""

    top1: float  # share of the images whose most probable class is accepted
    top5: float | None  # share with an accepted class among the five most probable; None with five classes or fewer
    examples: int  # images with an accepted class
    left_out: int  # images without
    labels: float  # mean number of accepted classes

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true top-1 lies in 95 of 100 cases (`wilson`)."""
        return wilson(round(self.top1 * self.examples), self.examples)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {**dataclasses.asdict(self), "top1_interval": list(self.interval)}


def accepted_report(answers: Answers, accepted: Sequence[Sequence[int]]) -> AcceptedReport:
    """Measures by the accepted labels instead of the set's own; images without any are left out.

    Args:
        answers: of a network.
        accepted: of each image the classes that are right, perhaps none.

    Returns:
        The measures.

    Raises:
        InputError: there are not as many lists as answers, a class is out of range, or all lists are empty.

    Source:
        Beyer, Hénaff, Kolesnikov, Zhai, van den Oord: Are we done with ImageNet?, 2020, arXiv:2006.07159, section 3.3.

    Example:

        answers = evaluation.Answers.of([[0.9, 0.1], [0.4, 0.6]], [1, 1], ["cat", "dog"])
        evaluation.accepted_report(answers, [[0, 1], []]).top1  # 1.0, of one image
    """
    classes = len(answers.class_names)
    if len(accepted) != len(answers):
        raise InputError(f"There must be accepted labels for each image. Received: {len(accepted)} for {len(answers)}")
    right = np.zeros((len(answers), classes), bool)
    for row, labels in enumerate(accepted):
        for number in labels:
            if not isinstance(number, numbers.Integral) or not 0 <= number < classes:
                raise InputError(f"Accepted labels must be in [0, {classes}). Received: {number} for image {row}")
            right[row, number] = True
    known = right.any(axis=1)
    if not known.any():
        raise InputError("Some images must have accepted labels. Received: none")
    outputs, right = answers.logarithms[known], right[known]
    rows = np.arange(len(outputs))
    best = np.where(right, outputs, -np.inf).max(axis=1)
    among = (outputs >= best[:, None]).sum(axis=1) <= 5  # ties count against the model, as in `evaluate`
    return AcceptedReport(
        top1=float(right[rows, outputs.argmax(axis=1)].mean()),
        top5=float(among.mean()) if classes > 5 else None,
        examples=int(known.sum()),
        left_out=int((~known).sum()),
        labels=float(right.sum(axis=1).mean()),
    )


def read_accepted(path: str | os.PathLike, names: Sequence[str], class_names: Sequence[str]) -> list[tuple[int, ...]]:
    """Reads accepted labels from a file.

    Args:
        path: a .json file with an object from the image's name to a list of labels, or with a list of such lists in the
            order of the set, or for ImageNet's validation images in that of the numbers in their names, as ReaL's
            real.json is; or a .csv file with a line "name,label,label,..." for each image. A name is the image's path
            below the set's folder, or its last part where that is the only one of the kind; sets that are no files have
            positions for names. A label is a class's name or number.
        names: of the images, `source.split("test").names`.
        class_names: in the order of their numbers.

    Returns:
        Of each image the classes, each once, ascending.

    Raises:
        InputError: the file cannot be read or is of another form, an image is missing, or a label is none of the
            classes.

    Example:

        accepted = evaluation.read_accepted("real.json", source.split("test").names, source.class_names)
    """
    path = Path(path)
    found = _csv(path) if path.suffix.lower() == ".csv" else _json(path)
    if isinstance(found, list):
        lists = _in_order(found, names, path)
    else:
        lists = _by_name(found, names, path)
    known = {name: number for number, name in enumerate(class_names)}
    return [_numbers(labels, known, len(class_names), path) for labels in lists]


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise InputError(f"The accepted labels must be a file; there is none. Received: {path}")
        with open(path, "rb") as file:
            contents = file.read(_LARGEST + 1)
        if len(contents) > _LARGEST:
            raise InputError(f"Accepted labels must be smaller than {_LARGEST >> 20} MiB. Received: {path}")
        return contents.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"The accepted labels cannot be read ({reason}). Received: {path}") from error


def _json(path: Path) -> list | dict:
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"The accepted labels are no JSON ({' '.join(str(error).split())[:120]}). Received: {path}"
        ) from error
    lists = found.values() if isinstance(found, dict) else found
    if not isinstance(found, dict | list) or not all(isinstance(labels, list) for labels in lists):
        raise InputError(f"Accepted labels must be lists, one an image. Received: others in {path}")
    return found


def _csv(path: Path) -> dict[str, list[str]]:
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(_text(path), newline="")) if row]
    except csv.Error as error:
        raise InputError(f"The accepted labels are no CSV ({error}). Received: {path}") from error
    if rows and rows[0][0].lower() in _HEADERS:
        rows = rows[1:]
    found: dict[str, list[str]] = {}
    for name, *labels in rows:
        found.setdefault(name, []).extend(filter(None, labels))
    return found


def _in_order(found, names, path) -> list:
    places = [_VALIDATION.search(PurePosixPath(name).stem) for name in names]
    if all(places):  # ImageNet's, whose numbers count from 1
        order = [int(place[1]) - 1 for place in places]
        if order and min(order) >= 0 and max(order) < len(found):
            return [found[number] for number in order]
    if len(found) != len(names):
        raise InputError(
            f"A list of accepted labels must have one entry an image. Received: {len(found)} for {len(names)} in {path}"
        )
    return found


def _by_name(found: Mapping[str, list], names, path) -> list:
    lasts: dict[str, int] = {}
    for name in names:
        lasts[PurePosixPath(name).name] = lasts.get(PurePosixPath(name).name, 0) + 1
    lists = []
    for name in names:
        last = PurePosixPath(name).name
        labels = found.get(name, found.get(last) if lasts[last] == 1 else None)
        if labels is None:
            raise InputError(f"There must be accepted labels for each image. Received: none for {name} in {path}")
        lists.append(labels)
    return lists


def _numbers(labels, known, classes, path) -> tuple[int, ...]:
    found = set()
    for label in labels:
        text = str(label)
        if isinstance(label, str) and label in known:  # a class may be called "7" and not be the seventh
            found.add(known[label])
        elif (
            not isinstance(label, bool) and text.isascii() and text.isdigit() and len(text) < 10 and int(text) < classes
        ):
            found.add(int(text))
        else:
            raise InputError(
                f"An accepted label must be a class's name or a number below {classes}. Received: {text[:80]!r} "
                f"in {path}"
            )
    return tuple(sorted(found))

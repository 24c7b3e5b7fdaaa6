"""Tables of image files, one a row: path, label, perhaps the part."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.parts import FOLDERS
from kerascnn.data.sets._files import shown
from kerascnn.data.sets.kind import Kind
from kerascnn.data.source import Source
from kerascnn.data.splits import Below, Files

DELIMITERS = {".csv": ",", ".tsv": "\t"}  # by the ending of the table's name
COLUMNS = ("path", "label")  # which every table has; "split" may be the third
_PARTS = {name: part for part, names in FOLDERS.items() for name in names}
_LONGEST = 2**16  # characters of a field


def load_manifest(table: Path) -> Source:
    """Image files that a table names: a CSV (or TSV) file in UTF-8 whose first line is `path,label` or
    `path,label,split`; other columns are passed over.

    Paths are relative to the table's folder, or absolute. Classes are the labels: in numerical order where all of them
    are whole numbers, else in the order of their names. `split` is train, val (or valid, validation) or test in any
    case; an empty one counts as train. Parts that are missing are held out of training by `kerascnn.data.parts`, by the
    paths as they are written.

    Args:
        table: the file.

    Returns:
        The source, named like the table without its ending.

    Raises:
        InputError: the table cannot be read, has no such columns, a row is incomplete, a path stands in two rows or
            leads to no file, or labels of another part are not labels of the training part.
    """
    rows: dict[str, tuple[str, str]] = {}  # path as written -> label, part
    for number, row in _rows(table):
        path, label, part = row["path"], row["label"], (row.get("split") or "train").lower()
        if not path or not label:
            received = f"no {'label' if path else 'path'} in {_line(table, number)}"
            raise InputError(f"Every row must have a path and a label. Received: {received}")
        if part not in _PARTS:
            rule = f"split must be one of {', '.join(_PARTS)}"
            raise InputError(f"{rule}. Received: {row['split']!r} in {_line(table, number)}")
        if path in rows:
            raise InputError(f"A path must stand in one row. Received: {path} a second time in {_line(table, number)}")
        rows[path] = (label, _PARTS[part])
    if not rows:
        raise InputError(f"A table of images must have rows. Received: {shown(table)}, which has none")
    parts = {part: [path for path, row in rows.items() if row[1] == part] for part in FOLDERS}
    if not parts["train"]:
        raise InputError(f"A table of images must have rows of the split train. Received: {shown(table)}")
    class_names = _classes(rows[path][0] for path in parts["train"])
    numbers = {name: number for number, name in enumerate(class_names)}
    splits = {}
    for part, paths in parts.items():
        unknown = sorted({rows[path][0] for path in paths} - numbers.keys())
        if unknown:
            raise InputError(f"Labels of {part} must be labels of train. Received: {unknown} in {shown(table)}")
        if paths:
            labels = np.array([numbers[rows[path][0]] for path in paths], np.int64)
            splits[part] = Files(_found(table, paths), labels, paths)
    return Source(table.stem, class_names, (None, None, 3), splits)


def _rows(table) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and the rows behind the header, by column; spaces around a value do not count."""
    csv.field_size_limit(_LONGEST)
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=DELIMITERS[table.suffix.lower()], strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            missing = [name for name in COLUMNS if name not in header]
            if missing or len(set(header)) < len(header):
                rule = f"The first line of a table of images must name its columns, {' and '.join(COLUMNS)} among them"
                raise InputError(f"{rule}, each once. Received: {header} in {shown(table)}")
            for row in reader:
                if not row:
                    continue  # an empty line
                if len(row) != len(header):
                    rule = f"Every row must have {len(header)} values, as the first line has"
                    raise InputError(f"{rule}. Received: {len(row)} in {_line(table, reader.line_num)}")
                yield reader.line_num, dict(zip(header, (value.strip() for value in row), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"The table cannot be read ({why}). Received: {shown(table)}") from error


def _line(table, number):
    return f"line {number} of {shown(table)}"


def _classes(labels) -> tuple[str, ...]:
    names = set(labels)
    try:
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(names))


def _found(table, paths) -> Sequence[str]:
    """The paths from here; refuses those that lead to no file."""
    places: Sequence[str] = [os.path.join(table.parent, path) for path in paths]
    if not any(os.path.isabs(path) for path in paths):
        places = Below(table.parent, paths)
    lost = [path for path, place in zip(paths, places, strict=True) if not os.path.isfile(place)]
    if lost:
        rule = "Every path must lead to a file, from the table's folder or from the root"
        raise InputError(f"{rule}. Received: {lost[0]} ({len(lost)} such paths) in {shown(table)}")
    return places


KIND = Kind(lambda wanted: load_manifest(wanted.path), files=tuple(DELIMITERS))

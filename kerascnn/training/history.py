"""history.csv: one row per finished epoch, numbers in full precision, rewritten whole each time."""

import csv
import io
import math
import os
from collections.abc import Sequence

from kerascnn._errors import InputError
from kerascnn._files import atomic_write

Row = dict[str, float]

_WHOLE = ("epoch", "image_size")
_LARGEST = 64 * 2**20  # bytes; a row has about two hundred


def columns(measures: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """Names of the columns, in order.

    Args:
        measures: what is measured beside the loss.
        extra: columns that only some runs have, such as "image_size" with progressive resizing.
    """
    measured = ["loss", *measures]
    return ["epoch", "lr", *measured, *(f"val_{name}" for name in measured), *extra, "seconds"]


def write(path: str | os.PathLike, rows: list[Row], names: Sequence[str]) -> None:
    """Writes all rows; the file is replaced whole, so that a kill leaves the old or the new one.

    Args:
        path: the file.
        rows: numbers by column.
        names: of the columns, in order.
    """
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow([int(row[name]) if name in _WHOLE else repr(float(row[name])) for name in names])


def read(path: str | os.PathLike, names: Sequence[str] | None = None) -> list[Row]:
    """Reads all rows; no file gives none.

    Args:
        path: the file, which may be anything.
        names: the columns that there must be.

    Raises:
        InputError: it is not a history, or one of other columns.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
        raise InputError(f"history.csv cannot be read (it is no regular file). Received: {path}")
    try:
        with open(path, "rb") as file:
            contents = file.read(_LARGEST + 1)
        if len(contents) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MiB")
        table = list(csv.reader(io.StringIO(contents.decode("utf-8-sig"), newline="")))
        header = table[0] if table else []
        missing = sorted(set(names or ()) - set(header))
        if missing:
            raise ValueError(f"no column {missing[0]}")
        if len(set(header)) != len(header):
            raise ValueError("a column stands twice")
        rows = [dict(zip(header, map(float, line), strict=True)) for line in table[1:]]
        if [row.get("epoch") for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("epochs are not 1, 2, 3, ...")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"history.csv cannot be read ({error.strerror}). Received: {path}") from error
    except (ValueError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"history.csv must hold one row of numbers per epoch ({reason}). Received: {path}") from error
    return rows


def best(rows: list[Row], measure: str = "accuracy") -> int | None:
    """Index of the row with the highest `measure` in validation (the first of equals), or None without such rows.

    Args:
        rows: of a history; one whose measure or loss is not finite is none to choose.
        measure: a column without its prefix "val_".
    """
    key = f"val_{measure}"
    sound = [i for i, row in enumerate(rows) if math.isfinite(row[key]) and math.isfinite(row.get("val_loss", 0.0))]
    return max(sound, key=lambda i: (rows[i][key], -i)) if sound else None


def diverged(rows: list[Row]) -> int | None:
    """The first epoch (counted from 1) in whose row a number is not finite, or None."""
    return next((i for i, row in enumerate(rows, 1) if not all(map(math.isfinite, row.values()))), None)

"""history.csv: one row per finished epoch, numbers in full precision, rewritten whole each time."""

import csv
import os
from collections.abc import Sequence

from kerascnn._errors import InputError
from kerascnn._files import atomic_write

Row = dict[str, float]


def columns(measures: Sequence[str]) -> list[str]:
    """Names of the columns, in order; `measures` are what is measured beside the loss."""
    measured = ["loss", *measures]
    return ["epoch", "lr", *measured, *(f"val_{name}" for name in measured), "seconds"]


def write(path: str | os.PathLike, rows: list[Row], names: list[str]):
    """Writes all rows; the file is replaced whole, so that a kill leaves the old or the new one."""
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow([int(row[name]) if name == "epoch" else repr(float(row[name])) for name in names])


def read(path: str | os.PathLike) -> list[Row]:
    """Reads all rows; no file gives none.

    Raises:
        InputError: it is not a history.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            table = list(csv.reader(file))
        names = table[0] if table else []
        rows = [dict(zip(names, map(float, line), strict=True)) for line in table[1:]]
        if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("epochs are not 1, 2, 3, ...")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"history.csv must hold one row of numbers per epoch ({error}). Received: {path}") from error
    return rows


def best(rows: list[Row], measure: str = "accuracy") -> int | None:
    """Index of the row with the highest `measure` in validation (the first of equals), or None without rows."""
    if not rows:
        return None
    return max(range(len(rows)), key=lambda i: (rows[i][f"val_{measure}"], -i))

"""The text of a benchmark that takes its subjects in turns: medians, and ratios to the first of the same round."""

import datetime
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from kerascnn._files import replace_with


def report(
    figures: Mapping[str, Sequence[float]], unit: str, of: str, what: str, out: Path | None, scale: float = 1.0
) -> None:
    """Prints the table, and writes it where there is a file.

    Args:
        figures: by subject one figure a round; the first subject is the base.
        unit: of the figures, times `scale`.
        of: title of the ratios.
        what: a line on what was done.
        out: the file.
        scale: what the medians are multiplied by.
    """
    lines = [
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}, Python {sys.version.split()[0]}; load {os.getloadavg()[0]:.1f} at the end",
        what,
        "",
        f"{'':32}{unit:>10}{of:>18}",
    ]
    base = next(iter(figures.values()))
    for name, found in figures.items():
        ratio = statistics.median(one / other for one, other in zip(found, base, strict=True))
        lines.append(f"{name:32}{scale * statistics.median(found):10.1f}{ratio:18.3f}")
    text = "\n".join(lines) + "\n"
    print(text)
    if out:
        with replace_with(out) as temporary:
            Path(temporary).write_text(text)

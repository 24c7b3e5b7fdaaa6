"""What is known of the networks, as tables for the terminal."""

import dataclasses
import re
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

RECONSTRUCTED = "the source leaves a detail open, which was filled in; the family's docstring says which"


def networks(infos: Sequence, wide: bool = False) -> Table:
    """One row a network.

    Args:
        infos: `model_info` of each.
        wide: with the paper, each network on one line.

    Returns:
        The table; a star marks what is reconstructed.
    """
    table = Table(caption=f"* {RECONSTRUCTED}" if any(info.reconstructed for info in infos) else None)
    longest = max(len(info.name) + 2 * info.reconstructed for info in infos)
    table.add_column("name", overflow="fold", min_width=longest if wide else min(28, longest))
    table.add_column("family", overflow="fold")
    for heading in ("params", "MACs", "input", "field"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("published error")
    if wide:
        table.add_column("paper", no_wrap=True)
    for info in infos:
        numbers = [short(info.params), short(info.macs), shape(info.input_shape, "x"), str(info.receptive_field or "?")]
        cells = [info.name + " *" * info.reconstructed, info.family, *numbers, info.reported]
        table.add_row(*map(escape, cells + [short_paper(info.paper)] * wide))
    return table


def facts(info) -> Table:
    """All of a network's row, in words.

    Args:
        info: `model_info` of it.

    Returns:
        The table, one fact a line.
    """
    field = "not recorded" if info.receptive_field is None else f"{info.receptive_field} pixels, of the last stage"
    decay = "" if info.weight_decay is None else f", weight decay {info.weight_decay:g}"
    multiples = f", multiples of {info.size_multiple}" if info.size_multiple > 1 else ""
    values = {
        "builder": f"kerascnn.applications.{info.builder}",
        "family": info.family,
        "paper": info.paper,
        "published error": info.reported or "not known",
        "reconstructed": f"yes: {RECONSTRUCTED}" if info.reconstructed else "no",
        "parameters": count(info.params),
        "multiply-adds": count(info.macs),
        "activations": count(info.activations),
        "receptive field": field,
        "input": f"{shape(info.input_shape)}; at least {info.min_size} x {info.min_size}{multiples}",
        "stages": ", ".join(shape(stage, "x") for stage in info.stages) or "not recorded",
        "classes": str(info.classes),
        "preprocessing": preprocessing(info.preprocessing, info.input_shape[:2]),
        "training": f"recipe {info.recipe}{decay}",
        "weights": ", ".join(info.weights) or "none",
        "row": ", ".join(f"{field.name} {getattr(info.spec, field.name)}" for field in dataclasses.fields(info.spec)),
    }
    table = Table(show_header=False, title=info.name)
    for label, text in values.items():
        table.add_row(label, escape(text))
    return table


def summary(info) -> str:
    """Paper, then published error and receptive field, for a picture."""
    field = f"receptive field {info.receptive_field} pixels" if info.receptive_field else ""
    return f"{info.paper}\n{'; '.join(filter(None, (info.reported, field)))}".strip()


def preprocessing(constants, size: Sequence[int]) -> str:
    """What is done to pixels, in words.

    Args:
        constants: the `Preprocessing` of a network.
        size: height and width of its input.

    Returns:
        One sentence without its full stop.
    """
    mean, std = (
        ", ".join(f"{value:.4g}" for value in (values if len(set(values)) > 1 else values[:1]))
        for values in (constants.mean, constants.std)
    )
    if constants.fit == "pad":
        fitted = f"enlarged by a whole factor and padded with zeros to {shape(size)}"
    else:
        side = round(min(size) / constants.crop_fraction)
        fitted = f"shorter side resized to {side} ({constants.interpolation}), centre {shape(size)}"
    return f"{fitted}; pixel / 255, less the mean {mean}, over the deviation {std}"


def short_paper(paper: str) -> str:
    """Authors, year and number, without the title."""
    return re.sub(r":.*?,(?= (?:[A-Z]+ )?\d{4}\b)", ",", paper)


def short(value: int | None) -> str:
    """A count with three digits and a unit: 25.6M, 4.09G; "?" for None."""
    if value is None:
        return "?"
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g}{suffix}"
    return str(value)


def count(value: int | None) -> str:
    """All digits of a count."""
    return "not recorded" if value is None else f"{value:,}"


def shape(sizes: Sequence[int], cross: str = " x ") -> str:
    """Sizes with a cross between them."""
    return cross.join(map(str, sizes))

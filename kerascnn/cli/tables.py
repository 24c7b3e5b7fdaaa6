"""What is known of the networks, as tables for the terminal."""

import dataclasses
import re
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from kerascnn._units import count, shape, short

_TAGS = 8  # of weights that `info` names
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
    table.add_column("name", no_wrap=True)
    table.add_column("family", overflow="fold")
    for heading in ("params", "MACs", "input", "field"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("published error", no_wrap=wide)
    if wide:
        table.add_column("paper", no_wrap=True)
    for info in infos:
        numbers = [short(info.params), short(info.macs), shape(info.input_shape, "x"), str(info.receptive_field or "?")]
        cells = [info.name + " *" * info.reconstructed, info.family, *numbers, info.reported]
        table.add_row(*map(Text, cells + [short_paper(info.paper)] * wide))
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
        "weights": _weights(info.weights),
        "row": ", ".join(f"{key} {_first_line(value)}" for key, value in _fields(info.spec)),
    }
    table = Table(show_header=False, title=info.name)
    for label, text in values.items():
        table.add_row(label, Text(text))
    return table


def _weights(tags: Sequence[str]) -> str:
    more = f"; kerascnn weights lists all {len(tags)}" if len(tags) > _TAGS else ""
    return ", ".join(tags[:_TAGS]) + more or "none"


def published(rows: Sequence, at_hand: Sequence[bool]) -> Table:
    """Published weights, one row a file.

    Args:
        rows: pairs of a network's name and a row of `kerascnn.weights.published(name)`.
        at_hand: of each, whether it is on this machine.

    Returns:
        The table; a star marks what weights="imagenet" means.
    """
    table = Table(caption="* weights=imagenet; measures as published, in percent, at that size of the image")
    for heading in ("network", "weights"):
        table.add_column(heading, no_wrap=True)
    keys = ["top1", "top5", *["miou"] * any("miou" in row.reported for _, row in rows)]
    names = {"top1": "top-1", "top5": "top-5", "miou": "mean IoU"}
    for heading in (*[names[key] for key in keys], "at", "classes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("license", "here"):
        table.add_column(heading, no_wrap=True)
    chosen = set()
    for (name, row), here in zip(rows, at_hand, strict=True):
        star = bool(row.default) and (here or row.default == "always") and name not in chosen
        chosen |= {name} if star else set()
        told = [row.reported.get(key) for key in (*keys, "size")]
        numbers = ["" if value is None else f"{value:g}" for value in told]
        twin = "" if row.network == name else f", builds {row.network}"
        cells = [name, row.tag + " *" * star + twin, *numbers, str(row.classes or "no head"), row.licence, "yes" * here]
        table.add_row(*map(Text, cells))
    return table


def _fields(spec):
    """Names and values of a row."""
    return [(field.name, getattr(spec, field.name)) for field in dataclasses.fields(spec)]


def _first_line(value) -> str:
    """A value of a row: of several lines, as cells have, the first, which is their name; nested rows in brackets."""
    text = str(value).partition("\n")[0]
    return f"({text})" if dataclasses.is_dataclass(value) and "\n" not in str(value) else text


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
        fitted = f"shorter side resized to {side} ({constants.interpolation}), center {shape(size)}"
    return f"{fitted}; pixel / 255, less the mean {mean}, over the deviation {std}"


def short_paper(paper: str) -> str:
    """Authors, year and number, without the title."""
    return re.sub(r":.*?,(?= (?:[A-Z]+ )?\d{4}\b)", ",", paper)

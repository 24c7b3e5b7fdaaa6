"""Writes the README's table of families and docs/networks.md, one row per network, from the registry.

python tools/networks_table.py            prints both
python tools/networks_table.py --write    puts them into README.md, between the markers, and docs/networks.md
"""

import argparse
import itertools
from pathlib import Path

import kerascnn
from kerascnn._units import short
from kerascnn.cli.tables import RECONSTRUCTED, short_paper

ROOT = Path(__file__).parents[1]
README, NETWORKS = ROOT / "README.md", ROOT / "docs" / "networks.md"
BEGIN, END = "<!-- networks: tools/networks_table.py -->", "<!-- end of networks -->"
NAMED = 6  # networks that the README names; of more it names the smallest and the largest

HEAD = f"""# The networks

Written by `python tools/networks_table.py --write` from the registry, as are `kerascnn list --table` and
`kerascnn info NAME`.

Parameters are trainable ones with the default number of classes. Multiply-adds are for one default input; the receptive
field is what one position of the last stage sees, in pixels. Published errors are of the papers or releases, not
measured here. * = {RECONSTRUCTED}.
"""


def _families():
    """Family -> rows of its networks, smallest first."""
    infos = [kerascnn.model_info(name) for name in kerascnn.list_models()]
    infos.sort(key=lambda info: (info.family, info.params or 0, info.macs or 0, info.name))
    for family, group in itertools.groupby(infos, key=lambda info: info.family):
        yield family, list(group)


def _range(values) -> str:
    known = [value for value in values if value is not None] or [None]
    low, high = short(min(known)), short(max(known))
    if low[-1] == high[-1] and low != high and not low[-1].isdigit():
        low = low[:-1]
    return high if low == high else f"{low}–{high}"


def table() -> str:
    """The README's: one row per family: names, parameters, multiply-adds, papers."""
    rows = ["| family | networks | parameters | multiply-adds | paper |", "| --- | --- | --- | --- | --- |"]
    for family, members in _families():
        names = [f"`{info.name}`" for info in members]
        shown = ", ".join(names) if len(names) <= NAMED else f"{len(names)}: {names[0]} … {names[-1]}"
        papers = "; ".join(dict.fromkeys(short_paper(info.paper) for info in members))
        params, macs = _range([info.params for info in members]), _range([info.macs for info in members])
        rows.append(f"| {family} | {shown} | {params} | {macs} | {papers} |")
    return "\n".join(rows)


def updated(text: str) -> str:
    """`text` with the table between the markers renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def networks() -> str:
    """docs/networks.md: a section per family, a row per network."""
    sections = [HEAD]
    heads = ("network", "parameters", "multiply-adds", "input", "receptive field", "published error", "paper")
    for family, members in _families():
        rows = [f"| {' | '.join(heads)} |", "| --- | ---: | ---: | --- | ---: | --- | --- |"]
        for info in members:
            numbers = [f"{value:,}" if value else "?" for value in (info.params, info.macs)]
            size = "×".join(map(str, info.input_shape))
            name = f"`{info.name}`" + " *" * info.reconstructed
            field = str(info.receptive_field or "?")
            cells = [name, *numbers, size, field, info.reported, short_paper(info.paper)]
            rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        sections.append(f"## {family}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(sections)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write README.md and docs/networks.md")
    if parser.parse_args().write:
        README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
        NETWORKS.write_text(networks(), encoding="utf-8")
    else:
        print(table(), networks(), sep="\n\n")


if __name__ == "__main__":
    main()

"""Writes the README's table of networks from the registry.

python tools/networks_table.py            prints it
python tools/networks_table.py --write    puts it between the markers in README.md
"""

import argparse
import itertools
import re
from pathlib import Path

import kerascnn

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- networks: tools/networks_table.py -->", "<!-- end of networks -->"


def _range(values, unit: float, suffix: str) -> str:
    low, high = (f"{value / unit:.3g}" for value in (min(values), max(values)))
    return f"{low}{suffix}" if low == high else f"{low}–{high}{suffix}"


def table() -> str:
    """One row per family: names, parameters, multiply-adds, paper."""
    infos = [kerascnn.model_info(name) for name in kerascnn.list_models()]
    rows = ["| family | names | parameters | multiply-adds | paper |", "| --- | --- | --- | --- | --- |"]
    families = itertools.groupby(sorted(infos, key=lambda info: info.family), key=lambda info: info.family)
    for family, group in families:
        members = sorted(group, key=lambda info: (info.params or 0, info.name))
        names = ", ".join(f"`{info.name}`" for info in members)
        papers = "; ".join(dict.fromkeys(re.sub(r":.*?,(?= \d{4})", ",", info.paper) for info in members))
        params = _range([info.params for info in members], 1e6, "M")
        macs = _range([info.macs for info in members], 1e9, "G")
        rows.append(f"| {family} | {names} | {params} | {macs} | {papers} |")
    return "\n".join(rows)


def updated(text: str) -> str:
    """`text` with the table between the markers renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    if parser.parse_args().write:
        README.write_text(updated(README.read_text()))
    else:
        print(table())


if __name__ == "__main__":
    main()

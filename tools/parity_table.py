"""Rows that `make parity` wrote, into results/parity.md: `python tools/parity_table.py ROWS [ROWS ...]`.

    KERASCNN_PARITY_OUT=rows.md make parity PEERS_PYTHON=...      # two hours on two cores
    python tools/parity_table.py rows.md
    python tools/parity_table.py --missing                        # ids of the tests whose features no row has

Rows replace those of the same network and peer. So a run may be made in parts, `make parity PYTEST_ARGS=...`.
"""

import argparse
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "results" / "parity.md"
TORCH = re.compile(r"torch \S+, (\w+) \S+")  # the versions before the peer's own name


def cells(line: str) -> tuple[str, ...]:
    """The cells of a row: network, peer, features, logits."""
    network, peer, *figures = (cell.strip() for cell in line.strip().strip("|").split("|"))
    return network, TORCH.sub(r"\1", peer).split(", Keras")[0], *figures


def is_row(line: str) -> bool:
    """Whether a line of the table is of a network."""
    return line.startswith("| `")


def merge(table: str, rows: list[tuple[str, ...]]) -> str:
    """The table with new rows, by network and peer."""
    lines = table.splitlines()
    found = {cells(line)[:2]: cells(line) for line in lines if is_row(line)}
    found |= {row[:2]: row for row in rows}
    ruler = next(place for place, line in enumerate(lines) if line.startswith("| ---"))
    before, behind = lines[: ruler + 1], [line for line in lines[ruler + 1 :] if not is_row(line)]
    return "\n".join([*before, *(f"| {' | '.join(found[key])} |" for key in sorted(found)), *behind]) + "\n"


def missing(table: str) -> list[str]:
    """Ids of the tests of the pairs whose features the table does not have."""
    have = set()
    for network, peer, features, _ in (cells(line) for line in table.splitlines() if is_row(line)):
        if features != "–":
            library = "keras" if "keras." in peer else peer.split()[0]
            have.add((network.strip("`"), library))
    pairs = [tuple(key.split()) for key in json.loads((ROOT / "tests/golden/peers.json").read_text(encoding="utf-8"))]
    tests = {"keras": "test_equals_keras_applications"}
    return [
        f"tests/applications/test_parity.py::{tests.get(library, 'test_equals_torch')}[{network}-{library}]"
        for network, library in sorted(pairs)
        if (network, library) not in have
    ]


def main() -> None:
    """Merges the files of the command line, or lists what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=Path, help="files that KERASCNN_PARITY_OUT named")
    parser.add_argument("--missing", action="store_true", help="print the ids of the tests without such a row")
    options = parser.parse_args()
    table = TABLE.read_text(encoding="utf-8")
    rows = [cells(line) for file in options.rows for line in file.read_text(encoding="utf-8").splitlines() if line]
    if rows:
        table = merge(table, rows)
        TABLE.write_text(table, encoding="utf-8")
    if options.missing:
        print("\n".join(missing(table)))


if __name__ == "__main__":
    main()

"""results/parity.md and the tool that merges rows into it."""

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("parity_table", ROOT / "tools" / "parity_table.py")
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)


def test_every_pair_has_a_row_within_the_limit():
    rows = [TOOL.cells(line) for line in TOOL.TABLE.read_text(encoding="utf-8").splitlines() if TOOL.is_row(line)]
    found = {(row[0].strip("`"), "keras" if "keras." in row[1] else row[1].split()[0]) for row in rows}
    peers = json.loads((ROOT / "tests" / "golden" / "peers.json").read_text(encoding="utf-8"))
    assert not {tuple(key.split()) for key in peers} - found
    assert not TOOL.missing(TOOL.TABLE.read_text(encoding="utf-8"))  # features, too
    assert max(float(value) for row in rows for value in row[2:] if value != "–") <= 1e-4


def test_rows_replace_those_of_the_same_network_and_peer():
    table = "text\n\n| network | peer | features | logits |\n| --- | --- | --- | --- |\n"
    table += "| `b` | timm | – | 1e-06 |\n\nbehind\n"
    lines = ["| `b` | torch 2.13.0+cpu, timm 1.0.31 | 2e-07 | 3e-07 |", "| `a` | torch 2.13.0, timm 1.0 `x` | 1 | 2 |"]
    merged = TOOL.merge(table, [TOOL.cells(line) for line in lines])
    rows = ["| `a` | timm `x` | 1 | 2 |", "| `b` | timm | 2e-07 | 3e-07 |"]
    assert merged.splitlines() == [*table.splitlines()[:4], *rows, "", "behind"]


def test_pairs_without_features_are_listed_by_their_tests():
    listed = TOOL.missing("| `alexnet` | torchvision | – | 1e-06 |\n| `vgg11` | timm | 1e-07 | 1e-07 |\n")
    assert "tests/applications/test_parity.py::test_equals_torch[alexnet-torchvision]" in listed
    assert "tests/applications/test_parity.py::test_equals_torch[vgg11-timm]" not in listed
    assert "tests/applications/test_parity.py::test_equals_keras_applications[vgg16-keras]" in listed

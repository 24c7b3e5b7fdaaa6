"""The tables of networks are those of the registry, and the README's figures are those of the committed results."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_tables_of_networks_are_current(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    import networks_table

    assert networks_table.updated(README) == README, "run python tools/networks_table.py --write"
    written = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    assert networks_table.networks() == written, "run python tools/networks_table.py --write"


def test_the_examples_of_the_analysis_run(capsys):
    """Each comment after a print is what it prints."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "analysis.md").read_text(), re.DOTALL))
    said = re.findall(r"^print\(.*\)  # (.*?)(?:: .*)?$", code, re.MULTILINE)
    exec(compile(code, "docs/analysis.md", "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(said) == 5
    for shown, expected in zip(printed, said, strict=True):
        assert shown == expected or expected == "one row a call"


def test_the_ratios_are_those_of_the_benchmark():
    text = (ROOT / "results" / "bench_models.txt").read_text()
    for subject in ("torch", "keras"):
        (ratio,) = re.findall(rf"^{subject} +\d+ +([\d.]+)", text, re.MULTILINE)
        assert f"{float(ratio):.3g}" in README, (subject, ratio)
    assert float(ratio) >= 30  # Keras' own grouped convolution, the reason for ours

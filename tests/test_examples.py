"""The notebook and the short examples run as they stand, in an empty folder, without Jupyter and a network."""

import json
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def cells(path, kind):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_whole_and_without_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4 and cells(path, "markdown")[0].startswith("# ")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None, "clear all outputs before a commit"
            compile("".join(cell["source"]), path.name, "exec")


@pytest.mark.after
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_run(path, tmp_path, monkeypatch, capsys):
    """Its code cells one after the other, as Jupyter runs them; pictures are drawn and not shown."""
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.gcf()))
    pyplot.switch_backend("agg")
    names: dict = {"__name__": "__main__"}
    for number, code in enumerate(cells(path, "code")):
        exec(compile(code, f"{path.name}, cell {number}", "exec"), names)
    pyplot.close("all")
    assert len(shown) == 2 and names["report"].top1 > 0.5 and "top-1" in capsys.readouterr().out


@pytest.mark.after
def test_the_loop_of_ones_own_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["custom_loop.py", "1"])
    runpy.run_path(str(EXAMPLES / "custom_loop.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "epoch 1/1" in said and float(said.rpartition("test: ")[2].strip().rstrip("%")) > 20

"""The examples of CONTRIBUTING: each new file, put into its room, is found, and nothing else was edited."""

import importlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import kerascnn
from kerascnn import explain
from kerascnn.cli import command
from kerascnn.data import sets
from kerascnn.serving import formats
from kerascnn.training import recipes

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"`(kerascnn/[\w/]+\.py)`[^`\n]*`[^`]*`[^\n]*\n\n```python\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture
def put(tmp_path, monkeypatch):
    """put("data/sets") lays the example of a room beside the files of that room; returns the module's name."""

    def lay(room):
        (path,) = [path for path in EXAMPLES if path.startswith(f"kerascnn/{room}/")]
        package = importlib.import_module("kerascnn." + room.replace("/", "."))
        (tmp_path / Path(path).name).write_text(EXAMPLES[path])
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        return Path(path).stem

    return lay


def test_there_is_an_example_of_each_room():
    rooms = {str(Path(path).parent) for path in EXAMPLES}
    names = ("cli/commands", "data/sets", "explain", "serving/formats", "training/recipes")
    assert rooms == {f"kerascnn/{name}" for name in names}


def test_a_command(put):
    name = put("cli/commands")
    found = command.find()[name]
    console = Console(record=True, file=io.StringIO())
    values, arguments = found.parse(["lenet5", "--commas"])
    found.run(values, arguments, console)
    assert console.export_text().strip() == f"{kerascnn.model_info('lenet5').params:,}"


def test_a_set(put):
    name = put("data/sets")
    sets.kinds.cache_clear()
    try:
        source = kerascnn.data.load(name)
        assert source.class_names == ("black", "white") and source.sizes["validation"] > 0
    finally:
        sets.kinds.cache_clear()


def test_a_recipe(put):
    assert put("training/recipes") in recipes._listed()


def test_a_format(put, tmp_path):
    name = put("serving/formats")
    assert name in formats.names()
    model = kerascnn.create_model("lenet5", classes=2)
    described = {"class_names": "ab", "preprocessing": kerascnn.model_info("lenet5").preprocessing}
    version = kerascnn.serving.export(model, tmp_path / "out", format=name, **described)
    assert formats.get(name).load(version).class_names == ("a", "b")


def test_an_explanation(put):
    name = put("explain")
    images = np.zeros((2, 32, 32, 1), np.float32)
    assert explain._methods()[name](kerascnn.create_model("lenet5"), images).maps.shape == (2, 32, 32)

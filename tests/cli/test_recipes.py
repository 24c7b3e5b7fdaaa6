"""kerascnn recipes, --recipe and --set: what is printed is what is run, and a run that is resumed keeps it."""

import inspect
import json

import kerascnn
from kerascnn import cli
from kerascnn.cli import options, planning
from kerascnn.training import recipes


def shown(capsys, *words):
    assert cli.main(list(words)) in (0, None)
    return " ".join(capsys.readouterr().out.split())


def test_all_of_them_and_one_of_them(capsys):
    text = shown(capsys, "recipes")
    assert all(name in text for name in recipes.RECIPES)
    text = shown(capsys, "recipes", "googlenet", "--set", "epochs=30", "--set", "weight-decay=0")
    assert "decay_every │ 4.0" in text and "weight_decay │" not in text and "arXiv:1409.4842" in text
    assert "30 epochs, not 60" in text and "Departure" in text and "auxiliary_heads" in text
    assert "beta_1 │ 0.0" in shown(capsys, "recipes", "wrn", "--all")


def test_settings_are_of_the_fields_kinds():
    given = ["epochs=3", "nesterov=FALSE", "milestones=0.2,0.4", "augment = pad_crop + flip", "ema=0.9", "unfreeze="]
    assert options.settings(given) == {
        "epochs": 3, "nesterov": False, "milestones": (0.2, 0.4), "augment": "pad_crop + flip", "ema": 0.9,
        "unfreeze": (),
    }  # fmt: skip


def test_a_run_by_recipe(tmp_path, capsys):
    words = ["train", "--model", "lenet5", "--data", "digits", "--limit", "64", "--recipe", "a3", "--set", "epochs=1",
             "--set", "batch_size=32", "--augment", "none", "--out", str(tmp_path / "run")]  # fmt: skip
    text = shown(capsys, *words)
    assert "recipe a3" in text and "1 epoch, not 100" in text and "rate 0.001 for batches of 32" in text
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["recipe"] == "a3" and record["training"]["optimizer"] == "lamb"
    assert set(record["asked"]) == {"recipe", "epochs", "batch_size", "limit", "augment"}
    assert "finished already" in shown(capsys, *words)


def test_options_of_the_recipe(tmp_path):
    """Those that the network has, that are not its defaults and were not given; a resumed run keeps its own."""
    known = inspect.signature(kerascnn.applications.GoogLeNet).parameters
    wanted = recipes.RECIPES["googlenet"].options
    values = {"out": str(tmp_path), "auxiliary_heads": None}
    assert planning.recipe_options(values, wanted, known) == {"auxiliary_heads": True}
    assert planning.recipe_options({**values, "auxiliary_heads": False}, wanted, known) == {}
    assert planning.recipe_options(values, wanted, inspect.signature(kerascnn.applications.ResNet18).parameters) == {}
    efficientnet = inspect.signature(kerascnn.applications.EfficientNetB0).parameters
    assert planning.recipe_options(values, {"drop_path_rate": 0.2}, efficientnet) == {}
    assert planning.recipe_options(values, {"drop_path_rate": 0.3}, efficientnet) == {"drop_path_rate": 0.3}
    (tmp_path / "config.json").write_text(json.dumps({"model": {"options": {}}}))
    assert planning.recipe_options(values, wanted, known) == {"auxiliary_heads": True}  # nothing was trained yet

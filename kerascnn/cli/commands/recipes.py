"""kerascnn recipes."""

import dataclasses

from rich.console import Console
from rich.table import Table

from kerascnn import _check
from kerascnn.cli import options
from kerascnn.cli.command import Command, Flag, Values


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn recipes."""
    from kerascnn.training import recipes

    if not arguments:
        if values["set"] or values["all"]:
            _check.one_of("NAME", None, recipes.RECIPES)
        table = Table("recipe", "for", "epochs", "batch", "optimizer", "rate", "published to reach")
        for name, recipe in sorted(recipes.RECIPES.items()):
            config = recipe.config
            numbers = (f"{config.epochs:,}", f"{config.batch_size:,}", config.optimizer, f"{config.learning_rate:g}")
            table.add_row(name, recipe.networks, *numbers, recipe.reported)
        console.print(table, markup=False)
        return
    name = _check.one_of("NAME", arguments[0], recipes.RECIPES)
    recipe, config = recipes.RECIPES[name], recipes.resolve(name, **options.settings(values["set"]))
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    table = Table(show_header=False, title=f"{name}: {recipe.networks}")
    for key, value in vars(config).items():
        if values["all"] or value != defaults[key] or key in ("batch_size", "epochs", "optimizer", "learning_rate"):
            table.add_row(key, str(value))
    for key, value in recipe.options.items():
        table.add_row(f"{key} (of networks that have it)", str(value))
    console.print(table, markup=False)
    lines = [recipe.source, f"Published to reach: {recipe.reported}." if recipe.reported else ""]
    lines.append(f"{recipes.told(name, config)}." if values["set"] else "")
    if recipe.small_images:
        lines.append(f"Where images have up to {recipes.SMALL_IMAGE} pixels, {recipe.small_images} takes its place.")
    if recipe.usual_epochs:
        lines.append(f"Where neither it nor --epochs is asked for, it runs {recipe.usual_epochs} epochs.")
    for line in filter(None, lines):
        console.print(line, highlight=False, markup=False)


COMMAND = Command(
    "recipes",
    "[NAME]",
    "Lists the recipes of the papers, or prints one as it is run, with its source and what departs from it.",
    "kerascnn recipes wrn --set epochs=20",
    (
        dataclasses.replace(options.SET, group=""),
        Flag("all", "all settings, not only those that are no defaults", bool, False),
    ),
    run,
    positional=(0, 1),
)

"""What training and searching share: the flags of a run, and the plan that they make. The rules are in `training`."""

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.cli import options
from kerascnn.cli.command import Values


def training_flags(values: Values) -> Values:
    """The fields of `TrainConfig` that were given; refuses bad ones before TensorFlow is loaded.

    Each is checked by itself: what they mean together depends on the recipe, which the plan chooses.
    """
    from kerascnn.training.config import TrainConfig, check_fields

    names = {field.name for field in dataclasses.fields(TrainConfig)}
    overrides = {name: value for name, value in values.items() if name in names and value is not None}
    for name, value in options.settings(values.get("set") or ()).items():
        if overrides.setdefault(name, value) != value:
            raise InputError(f"--{name} and --set {name} must say the same. Received: {overrides[name]} and {value}")
    for name in {"unfreeze", "progressive"} & overrides.keys():  # 2.0 is 2; what is no whole number is refused below
        overrides[name] = tuple(int(part) if part == int(part) else part for part in overrides[name])
    if "milestones" in overrides:
        try:
            overrides["milestones"] = tuple(float(part) for part in overrides["milestones"])
        except ValueError as error:
            raise InputError(f"milestones must be numbers with commas. Received: {overrides['milestones']}") from error
    if values["image_size"] is not None:
        _check.whole("image_size", values["image_size"], 1, 2**31 - 1)
    return check_fields(overrides)


def network(values: Values):
    """The row of the network that is asked for, with the facts of its published weights where --weights is a tag.

    Args:
        values: flags; `model`, and maybe `weights`.

    Returns:
        `model_info`, and the row of the weights or None.
    """
    import kerascnn
    from kerascnn.applications import _published

    info = kerascnn.model_info(values["model"])
    row = _published.published_row(info, values.get("weights"))
    if row is None:
        return info, None
    return _published.as_published(kerascnn.model_info(row.network), row), row


def training_plan(values: Values, overrides: Values):
    """Network, data and plan of what the flags ask for."""
    from kerascnn import training

    info, source = training_data(values, overrides)
    planned = training.plan(info, source, recipe=values["recipe"], image_size=values["image_size"], **overrides)
    return info, source, planned


def training_data(values: Values, overrides: Values):
    """Network and data of what the flags ask for."""
    from kerascnn import data
    from kerascnn.training import strategies

    if overrides.get("virtual_devices"):
        strategies.split_cpu(overrides["virtual_devices"])  # before anything runs on it
    info = network(values)[0]
    if values.get("task") not in (None, info.task):
        raise InputError(f"{info.name} is a network for {info.task}. Received: task={values['task']}")
    source = data.load(values["data"], values["data_dir"], limit=overrides.get("limit") or None, task=info.task)
    return info, source


def recipe_options(values: Values, wanted: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The options of a network that its recipe wants: those that it has, that were not given and are no defaults.

    A run that is resumed keeps those that it was started with.

    Args:
        values: flags; `out`, and those that are options.
        wanted: of the plan.
        known: the parameters of the network's builder.
    """
    found = {name: value for name, value in wanted.items() if name in known and values.get(name) is None}
    found = {name: value for name, value in found.items() if known[name].default != value}
    config = Path(values["out"]) / "config.json"
    if found and (Path(values["out"]) / "history.csv").is_file() and config.is_file():
        from kerascnn.inference.run_record import read_config

        kept = read_config(config)["model"].get("options", {})
        found = {name: kept[name] for name in found if name in kept}
    return found

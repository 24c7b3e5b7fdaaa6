"""What training and searching share: the flags of a run, and the plan that they make. The rules are in `training`."""

import dataclasses

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.cli.command import Values


def training_flags(values: Values) -> Values:
    """The fields of `TrainConfig` that were given; refuses bad ones before TensorFlow is loaded.

    Each is checked by itself: what they mean together depends on the recipe, which the plan chooses.
    """
    from kerascnn.training.config import TrainConfig, check_fields

    names = {field.name for field in dataclasses.fields(TrainConfig)}
    overrides = {name: value for name, value in values.items() if name in names and value is not None}
    if "milestones" in overrides:
        try:
            overrides["milestones"] = tuple(float(part) for part in overrides["milestones"])
        except ValueError as error:
            raise InputError(f"milestones must be numbers with commas. Received: {overrides['milestones']}") from error
    if values["image_size"] is not None:
        _check.whole("image_size", values["image_size"], 1, 2**31 - 1)
    return check_fields(overrides)


def training_plan(values: Values, overrides: Values):
    """Network, data and plan of what the flags ask for."""
    import kerascnn
    from kerascnn import data, training
    from kerascnn.training import strategies

    if overrides.get("virtual_devices"):
        strategies.split_cpu(overrides["virtual_devices"])  # before anything runs on it
    info = kerascnn.model_info(values["model"])
    if values.get("task") not in (None, info.task):
        raise InputError(f"{info.name} is a network for {info.task}. Received: task={values['task']}")
    source = data.load(values["data"], values["data_dir"], limit=overrides.get("limit") or None, task=info.task)
    planned = training.plan(info, source, recipe=values["recipe"], image_size=values["image_size"], **overrides)
    return info, source, planned

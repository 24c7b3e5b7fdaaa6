"""What training and searching share: the flags of a run, its network, data, input shape and configuration."""

import dataclasses

from kerascnn._errors import InputError
from kerascnn.cli.command import Values


def training_flags(values: Values) -> Values:
    """The fields of `TrainConfig` that were given; refuses bad ones before TensorFlow is loaded."""
    from kerascnn.training import TrainConfig, recipes

    names = {field.name for field in dataclasses.fields(TrainConfig)}
    overrides = {name: value for name, value in values.items() if name in names and value is not None}
    if "milestones" in overrides:
        try:
            overrides["milestones"] = tuple(float(part) for part in overrides["milestones"])
        except ValueError as error:
            raise InputError(f"milestones must be numbers with commas. Received: {overrides['milestones']}") from error
    recipes.resolve(values["recipe"] or "cifar", values["data"], **overrides)
    size = values["image_size"]
    if size is not None and size < 1:
        raise InputError(f"image_size must be at least 1. Received: {size}")
    return overrides


def training_setup(values: Values, overrides: Values):
    """Network, data, input shape, name of the recipe and `TrainConfig`."""
    import kerascnn
    from kerascnn import data
    from kerascnn.training import recipes, strategies

    if overrides.get("virtual_devices"):
        strategies.split_cpu(overrides["virtual_devices"])  # before anything runs on it
    info = kerascnn.model_info(values["model"])
    if values.get("task") not in (None, info.task):
        raise InputError(f"{info.name} is a network for {info.task}. Received: task={values['task']}")
    source = data.load(values["data"], values["data_dir"], limit=overrides.get("limit") or None, task=info.task)
    shape = input_shape(info, source.image_shape, values["image_size"])
    recipe = values["recipe"] or recipes.choose(info.recipe, min(shape[:2]), info.task)
    config = recipes.resolve(recipe, values["data"], **overrides)
    if "weight_decay" not in overrides:
        config = published_weight_decay(info, config)
    return info, source, shape, recipe, config


def published_weight_decay(info, config):
    """The configuration with the weight decay that the network was published with.

    Args:
        info: `model_info` of the network.
        config: a `TrainConfig`.

    Returns:
        The `TrainConfig` with the network's L2 coefficient c as the decoupled c / (1 - momentum); unchanged where none
        was published, and for other optimizers than SGD, where it would mean something else.
    """
    if info.weight_decay is None or config.optimizer != "sgd":
        return config
    return dataclasses.replace(config, weight_decay=info.weight_decay / (1 - config.momentum))


def input_shape(info, data_shape, size: int | None = None) -> tuple[int, int, int]:
    """Input of a network for a data set.

    Args:
        info: `model_info` of the network.
        data_shape: (height, width, channels) of the data's images; height and width None when they differ.
        size: wanted height and width, or None for the rule.

    Returns:
        Height, width, channels: the channels of the data; `size`, else the data's own size where the network is one
        for small images or for segmentation and takes that size, else the network's default.

    Raises:
        InputError: the network does not take that size.
    """
    height, width, channels = data_shape
    if size is not None:
        if size < info.min_size:
            raise InputError(f"{info.name} takes images of {info.min_size} pixels or more. Received: image_size={size}")
        return size, size, channels
    if info.task == "segmentation" and height is not None and width is not None:
        fits = (
            min(height, width) >= info.min_size and not height % info.size_multiple and not width % info.size_multiple
        )
        return (height, width, channels) if fits else (*info.input_shape[:2], channels)
    small = max(info.input_shape[:2]) <= 64
    if small and height is not None and width is not None and info.min_size <= min(height, width) <= 64:
        return height, width, channels
    return (*info.input_shape[:2], channels)

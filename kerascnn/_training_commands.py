"""The commands that train: `kerascnn train` and `kerascnn search`."""

import dataclasses
import inspect
from typing import Any

from rich.console import Console
from rich.table import Table

from kerascnn import _tables
from kerascnn._errors import InputError
from kerascnn._load_tensorflow import load_tensorflow

Values = dict[str, Any]


def _training_flags(values: Values) -> Values:
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


def _training_setup(values: Values, overrides: Values):
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


def run_train(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn train."""
    overrides = _training_flags(values)
    initializer = values["initializer"]
    if initializer and values["weights"]:
        given = f"initializer={initializer}, weights={values['weights']}"
        raise InputError(f"Weights are either drawn or read. Received: {given}")

    load_tensorflow()
    import kerascnn
    from kerascnn import training, weights
    from kerascnn.tasks.task import TITLES
    from kerascnn.training import recipes

    info, source, shape, recipe, config = _training_setup(values, overrides)
    preprocessing = info.preprocessing.for_channels(shape[2])
    unusual = recipe != info.recipe or min(info.input_shape[:2]) > recipes.SMALL_IMAGE
    if unusual and preprocessing.fit == "crop" and min(shape[:2]) <= recipes.SMALL_IMAGE:
        # Resizing a small image by 8/7 before cropping only blurs it.
        preprocessing = dataclasses.replace(preprocessing, fit="pad", crop_fraction=1.0)
    flags = ("auxiliary_heads", "drop_path_rate", "output_stride", "weights")
    options = {name: values[name] for name in flags if values[name] is not None}
    known = inspect.signature(getattr(kerascnn.applications, info.builder)).parameters
    for name in options:
        if name not in known:
            raise InputError(f"{info.name} must have the option to be trained with it. Received: {name}")

    table = Table(show_header=False, title=f"{info.name} on {values['data']} in {values['out']}")
    table.add_row("network", f"{info.name} ({info.paper})")
    table.add_row("input", _tables.shape(shape))
    table.add_row("data", f"{source.sizes['train']:,} training, {source.sizes['test']:,} test images, "
                  f"{len(source.class_names)} classes")  # fmt: skip
    table.add_row("recipe", recipe)
    for name, value in {**options, "initializer": initializer or "the paper's", **config.to_dict()}.items():
        table.add_row(name, str(value))
    console.print(table, markup=False)

    classes = len(source.class_names)
    record = {"name": info.name, "options": options, "classes": classes, "input_shape": list(shape)}
    if initializer:
        record["initializer"] = initializer

    def build():
        model = kerascnn.create_model(
            info.name, classes=classes, input_shape=shape, classifier_activation=None, **options
        )
        if initializer:
            weights.initialize(model, initializer)
        return model

    result = training.train(
        build,
        source,
        config,
        values["out"],
        model_record=record,
        preprocessing=preprocessing,
        data_record={"name": values["data"], "data_dir": values["data_dir"]},
        console=console,
    )
    best, measure = result.rows[result.best], result.task.best
    if result.first_epoch == len(result.rows):
        console.print(f"The run in {result.folder} is finished already; raise --epochs to go on.", highlight=False)
    console.print(
        f"best: epoch {int(best['epoch'])} of {len(result.rows)}, "
        f"validation {TITLES[measure]} {best[f'val_{measure}']:.2%}; "
        f"last: {result.rows[-1][f'val_{measure}']:.2%}. See {result.folder}/curves.png, history.csv, best.keras",
        highlight=False,
        soft_wrap=True,
    )


def run_search(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn search."""
    if arguments != ["compound"]:
        raise InputError(f"What can be searched for is compound. Received: {arguments[0]}")
    from kerascnn import search

    grid = {name: values[name] for name in ("step", "tolerance")}
    count = len(search.candidates(**grid))  # refuses bad values before TensorFlow
    overrides = {**_training_flags(values), "epochs": values["epochs"] or search.EPOCHS}
    load_tensorflow()
    import tensorflow as tf

    info, source, shape, recipe, config = _training_setup(values, overrides)
    console.print(
        f"{info.name} and {count} candidates, {config.epochs} epochs each, recipe {recipe}, on {source.name} in "
        f"{values['out']}", highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    tf.get_logger().setLevel("ERROR")  # it warns that each candidate is traced anew
    rows = search.grid_search(
        info.name, source, values["out"], phi=values["phi"], **grid, resolution=shape[0], config=config,
        console=console,
    )  # fmt: skip
    console.print(search.table(rows, f"{info.name} on {source.name}"), markup=False)


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

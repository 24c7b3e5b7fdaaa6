"""kerascnn train."""

import dataclasses
import inspect

from rich.console import Console
from rich.table import Table

from kerascnn import _units
from kerascnn._errors import InputError
from kerascnn.cli import options, planning
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow

INITIALIZERS = ("he", "he_fan_out", "glorot", "lecun", "gaussian", "orthogonal")  # kerascnn.weights.SCHEMES


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn train."""
    overrides = planning.training_flags(values)
    initializer = values["initializer"]
    if initializer and values["weights"]:
        given = f"initializer={initializer}, weights={values['weights']}"
        raise InputError(f"Weights are either drawn or read. Received: {given}")

    load_tensorflow()
    import kerascnn
    from kerascnn import training, weights
    from kerascnn.tasks.task import TITLES
    from kerascnn.training import recipes

    info, source, shape, recipe, config = planning.training_setup(values, overrides)
    preprocessing = info.preprocessing.for_channels(shape[2])
    unusual = recipe != info.recipe or min(info.input_shape[:2]) > recipes.SMALL_IMAGE
    if unusual and preprocessing.fit == "crop" and min(shape[:2]) <= recipes.SMALL_IMAGE:
        # Resizing a small image by 8/7 before cropping only blurs it.
        preprocessing = dataclasses.replace(preprocessing, fit="pad", crop_fraction=1.0)
    names = ("auxiliary_heads", "drop_path_rate", "output_stride", "weights")
    options = {name: values[name] for name in names if values[name] is not None}
    known = inspect.signature(getattr(kerascnn.applications, info.builder)).parameters
    for name in options:
        if name not in known:
            raise InputError(f"{info.name} must have the option to be trained with it. Received: {name}")

    table = Table(show_header=False, title=f"{info.name} on {values['data']} in {values['out']}")
    table.add_row("network", f"{info.name} ({info.paper})")
    table.add_row("input", _units.shape(shape))
    counts = ", ".join(f"{size:,} {name}" for name, size in source.sizes.items())
    table.add_row("data", f"{counts} images, {len(source.class_names)} classes")
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


COMMAND = Command(
    "train",
    "",
    "Trains a network, or resumes an unfinished run.",
    "kerascnn train --model resnet20 --data digits --epochs 2 --out runs/digits",
    options.training_flags(
        Flag("out", "folder of the run; an unfinished run there is resumed", placeholder="FOLDER"),
        network=(
            Flag(
                "task",
                "what the network is trained for",
                choices=("classification", "segmentation"),
                unless_given="what it was made for",
            ),
            Flag("weights", "start from these: a .weights.h5, .keras or .safetensors file", placeholder="FILE"),
            Flag("initializer", "how all kernels are drawn", choices=INITIALIZERS, unless_given="as the paper does"),
            Flag("auxiliary_heads", "with auxiliary heads, in training alone, where the network has them", bool),
            Flag("drop_path_rate", "stochastic depth, where the network has it", float, low=0, high=1),
            Flag(
                "output_stride",
                "input size / size of the last map, where a network can dilate its last stages instead of striding",
                int,
                low=1,
                high=1024,
            ),
        ),
    ),
    run,
    required=("model", "data", "out"),
    note=options.TRAINING_NOTE,
)

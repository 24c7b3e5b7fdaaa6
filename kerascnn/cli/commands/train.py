"""kerascnn train."""

import importlib.util
import inspect
import os

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerascnn import _provenance, _units
from kerascnn._errors import InputError
from kerascnn.cli import networks, options, planning, starting, tracking, workers
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.tasks import TASKS

INITIALIZERS = ("he", "he_fan_out", "glorot", "lecun", "gaussian", "orthogonal")  # kerascnn.weights.SCHEMES
PARTS = {"train": "training", "validation": "validation", "test": "test"}  # of a data set, and what they are called


def run(values: Values, arguments: list[str], console: Console) -> int | None:
    """kerascnn train."""
    overrides = planning.training_flags(values)
    check_weights(values)

    def work(team, console):
        from kerascnn.training.finetuning import check_head_stage

        info, source, plan = planning.training_plan(values, overrides)
        if values["head_stage"] is not None:
            check_head_stage(info, values["head_stage"])
        train(values, info, source, plan, console, team=team)

    return workers.attend(values, overrides, console, work)


def check_weights(values: Values) -> None:
    """Refuses weights that are both drawn and read, and programs that are not there, before TensorFlow is loaded."""
    starting.check(values)
    tracking.check(values)
    initializer = values["initializer"]
    if initializer and values["weights"]:
        given = f"initializer={initializer}, weights={values['weights']}"
        raise InputError(f"Weights are either drawn or read. Received: {given}")


def train(values: Values, info, source, plan, console: Console, new_head: bool = False, team=None) -> None:
    """Trains what was planned, or says what would be trained.

    Args:
        values: the flags.
        info, source, plan: network, data and plan that follow from them.
        console: for what is said.
        new_head: the head of the weights is not taken, even where it has as many classes.
        team: of workers, where there are several.
    """
    import kerascnn
    from kerascnn import surgery, training, weights
    from kerascnn.layers.preprocessing import with_preprocessing

    published, initializer, head_stage = planning.network(values)[1], values["initializer"], values["head_stage"]
    names = ("auxiliary_heads", "drop_path_rate", "output_stride")
    options = {name: values[name] for name in (*names, "weights") if values[name] is not None}
    known = inspect.signature(getattr(kerascnn.applications, info.builder)).parameters
    for name in options:
        if name not in known:
            raise InputError(f"{info.name} must have the option to be trained with it. Received: {name}")
    if head_stage is not None:
        options["head_stage"] = head_stage
    else:
        options |= planning.recipe_options(values, plan.options, known)
    if published is not None:
        options["weights"] = published.tag
    elif values["weights"]:
        options["weights"] = os.path.abspath(values["weights"])  # the same file, from wherever the run is resumed

    teacher = None
    if values["teacher"] is not None:
        teacher = networks.teacher(values["teacher"], source.class_names)
    training.teachers.check(teacher, plan.config, source)

    table = Table(show_header=False, title=Text(f"{info.name} on {values['data']} in {values['out']}"))
    table.add_row("network", f"{info.name} ({info.paper})")
    table.add_row("input", _units.shape(plan.shape))
    sizes = ", ".join(f"{count:,} {PARTS[part]}" for part, count in source.sizes.items())
    table.add_row("data", f"{sizes} images, {len(source.class_names)} classes")
    table.add_row("recipe", plan.recipe)
    if teacher:
        preparing = f"{_units.shape(teacher.input_shape)}, {len(teacher.class_names)} classes"
        table.add_row("teacher", f"{values['teacher']} ({preparing})")
    for name, value in {**options, "initializer": initializer or "the paper's", **plan.config.to_dict()}.items():
        table.add_row(name, str(value))
    console.print(table, markup=False)
    console.print(f"{plan.reason}.", highlight=False, markup=False, soft_wrap=True)
    if values["dry_run"]:
        return

    classes = len(source.class_names)
    record = {"name": info.name, "options": options, "classes": classes, "input_shape": list(plan.shape)}
    if initializer:
        record["initializer"] = initializer
    if new_head and head_stage is None:
        record["head"] = "new"
    if values["start_from"]:
        record["start"] = {"from": _provenance.masked(values["start_from"]), "layers": values["start_layers"] or "all"}
    building = {"classes": classes, "input_shape": plan.shape, "classifier_activation": None}
    building |= {name: options[name] for name in names if name in options}
    if head_stage is not None:
        building |= {"classes": 0, "classifier_activation": "softmax"}  # the stage outputs; there is no classifier

    def build():
        model = kerascnn.create_model(info.name, **building)
        if head_stage is not None:
            model = surgery.linear_head(model, f"stage{head_stage}", classes)
        return model if published is None else with_preprocessing(model, published.preprocessing)

    def initialize(model):
        if initializer:
            weights.initialize(model, initializer)
        if values["start_from"]:
            starting.start(model, values, console)
        elif values["weights"]:
            trained = kerascnn.create_model(info.name, weights=options.get("weights"), **building)
            head = surgery.parts(model)[-1].layers if new_head or head_stage is not None else ()
            drawn = {layer.name for layer in head}
            for layer in model.layers:
                if layer.weights and layer.name not in drawn:
                    layer.set_weights(trained.get_layer(layer.name).get_weights())

    result = training.train(
        build,
        source,
        plan,
        values["out"],
        initialize=initialize,
        model_record=record,
        teacher=teacher,
        workers=team,
        hooks=tracking.hooks(values),
        console=console,
    )
    best, measure = result.rows[result.best], result.task.best
    extra = "" if importlib.util.find_spec("tensorboard") else " (pip install 'kerascnn[tensorboard]')"
    if result.first_epoch == len(result.rows):
        console.print(
            f"The run in {result.folder} is finished already; raise --epochs to train on.",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    console.print(
        f"best: epoch {int(best['epoch'])} of {len(result.rows)}, "
        f"validation {result.task.titles[measure]} {best[f'val_{measure}']:.2%}; "
        f"last: {result.rows[-1][f'val_{measure}']:.2%}. "
        f"See {result.folder}/curves.png, history.csv, best.keras, tensorboard{extra}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


FLAGS = options.training_flags(
    Flag("out", "folder of the run; an unfinished run there is resumed", placeholder="FOLDER"),
    network=(
        Flag(
            "task",
            "what the network is trained for",
            choices=tuple(TASKS),
            unless_given="what it was made for",
        ),
        Flag(
            "weights",
            "start from these: a tag, see kerascnn weights NAME, such as imagenet; or a file of Keras (.weights.h5, "
            ".keras) or PyTorch (.safetensors, .pth)",
            placeholder="TAG|FILE",
        ),
        Flag(
            "head_stage",
            "a linear head on this stage, counted from 1: what comes after it is left out",
            int,
            low=1,
            high=1000,
        ),
        *starting.FLAGS,
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
    run=(
        Flag(
            "teacher",
            "learn from this trained network, too: a run folder, a .keras file in one, or a network with weights, "
            "imagenet by default; see --distill",
            placeholder="RUN|NETWORK[:WEIGHTS]",
        ),
        tracking.FLAG,
        Flag("dry_run", "print what would be trained and how, and stop", bool, False),
        *workers.FLAGS,
    ),
)

COMMAND = Command(
    "train",
    "",
    "Trains a network, or resumes an unfinished run.",
    "kerascnn train --model resnet20 --data digits --epochs 2 --out runs/digits",
    FLAGS,
    run,
    required=("model", "data", "out"),
    note=options.TRAINING_NOTE,
)

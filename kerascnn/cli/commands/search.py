"""kerascnn search."""

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import options, planning
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn search."""
    if arguments != ["compound"]:
        raise InputError(f"What can be searched for is compound. Received: {arguments[0]}")
    from kerascnn import search

    grid = {name: values[name] for name in ("step", "tolerance")}
    count = len(search.candidates(**grid))  # refuses bad values before TensorFlow
    overrides = {**planning.training_flags(values), "epochs": values["epochs"] or search.EPOCHS}
    load_tensorflow()
    import tensorflow as tf

    info, source, plan = planning.training_plan(values, overrides)
    console.print(
        f"{info.name} and {count} candidates, {plan.config.epochs} epochs each, recipe {plan.recipe}, on "
        f"{source.name} in {values['out']}", highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    tf.get_logger().setLevel("ERROR")  # it warns that each candidate is traced anew
    rows = search.grid_search(
        info.name, source, values["out"], phi=values["phi"], **grid, resolution=plan.shape[0], config=plan.config,
        console=console,
    )  # fmt: skip
    console.print(search.table(rows, f"{info.name} on {source.name}"), markup=False)


COMMAND = Command(
    "search",
    "compound",
    "Looks for the best way to make a network deeper, wider and its images larger.",
    "kerascnn search compound --model resnet20 --data digits --out searches/digits",
    (
        Flag("phi", "how much the candidates are scaled; 1 doubles the multiply-adds", float, 1.0, group="search"),
        Flag("step", "of the grid of factors", float, 0.1, group="search"),
        Flag("tolerance", "of alpha beta^2 gamma^2 around 2", float, 0.1, group="search"),
        *options.training_flags(
            Flag("out", "folder of the search; an unfinished search there is resumed", placeholder="FOLDER")
        ),
    ),
    run,
    required=("model", "data", "out"),
    note=options.TRAINING_NOTE,
    positional=(1, 1),
)

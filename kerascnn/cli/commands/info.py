"""kerascnn info."""

import os

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import tables
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn info."""
    if values["out"] and not values["out"].lower().endswith(".png"):
        raise InputError(f"out must be a file that ends in .png. Received: {values['out']}")
    load_tensorflow()
    import kerascnn

    info = kerascnn.model_info(arguments[0])
    if values["out"]:
        from kerascnn._files import ensure_folder

        ensure_folder(os.path.dirname(values["out"]) or ".")
    console.print(tables.facts(info))
    genotype = getattr(info.spec, "genotype", None)
    if genotype is not None:
        _show_cells(genotype, values["out"], console)
    if not (values["out"] or values["layers"]):
        return
    import keras

    from kerascnn import analysis

    with keras.StatelessScope(initialize_variables=False):  # weights have shapes, but no values: fast and small
        model = kerascnn.create_model(info.name)
        backbone = kerascnn.create_model(info.name, features_only=True)
    if values["layers"]:
        console.print(analysis.table(analysis.count(model, info.input_shape), f"{info.name}, layer by layer"))
    if values["out"]:
        analysis.plot_stages(
            analysis.stages(model, backbone, info.input_shape),
            values["out"],
            input_shape=info.input_shape,
            title=info.name,
            subtitle=tables.summary(info),
        )
        console.print(f"written: {values['out']}", highlight=False, markup=False, soft_wrap=True)


def _show_cells(genotype, out: str | None, console: Console) -> None:
    """The two cells of a searched network, as trees and, beside the picture of the stages, as a PNG."""
    from kerascnn import cells

    console.print(f"cells of {genotype.name}: c1 is the output of the cell before, c2 that of the one before it",
                  highlight=False, soft_wrap=True)  # fmt: skip
    console.print(cells.text_graph(genotype))
    if not out:
        console.print("--out FILE.png draws them", highlight=False)
        return
    path = f"{os.path.splitext(out)[0]}_cells{os.path.splitext(out)[1]}"
    cells.plot_genotype(genotype, path)
    console.print(f"written: {path}", highlight=False, markup=False, soft_wrap=True)


COMMAND = Command(
    "info",
    "NAME",
    "Tells what is known about a network, and draws it.",
    "kerascnn info resnet20 --out resnet20.png",
    (
        Flag("out", "draw the stages, their feature maps and costs: a file that ends in .png"),
        Flag("layers", "with a table of all layers: output, parameters, multiply-adds, activations", bool, False),
    ),
    run,
    positional=(1, 1),
)

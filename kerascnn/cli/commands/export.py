"""kerascnn export."""

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import networks, options
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow
from kerascnn.serving import formats


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn export."""
    networks.check("export", values)
    if values["calibrated"] and values["checkpoint"] is None:
        raise InputError("calibrated is for runs, beside which a temperature is kept. Received: no checkpoint")
    load_tensorflow()
    from kerascnn import inference, serving

    predictor = networks.load(values)
    if values["calibrated"]:
        predictor = inference.calibrated(predictor)
    version = serving.export(predictor, values["out"], format=values["format"], native=values["native"])
    console.print(f"exported and checked: {version}", highlight=False, markup=False, soft_wrap=True)


COMMAND = Command(
    "export",
    "",
    "Writes a SavedModel for TensorFlow Serving, and checks it.",
    "kerascnn export --checkpoint runs/digits --out exported/digits",
    (
        options.CHECKPOINT,
        *options.NETWORK,
        Flag("out", "folder of the exported model; a new version is added below it"),
        Flag("format", "what is written", default="saved_model", choices=formats.names()),
        Flag(
            "calibrated", "with the temperature that kerascnn evaluate RUN --calibrate keeps beside a run", bool, False
        ),
        Flag("native", "keep the custom ops, for a server that has them", bool, False),
    ),
    run,
    required=("out",),
)

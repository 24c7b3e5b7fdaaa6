"""--start_from: some layers of a network begin with the weights of another one."""

import os

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli.command import Flag, Values

FLAGS = (
    Flag(
        "start_from",
        "layers start as those of the same name and shape in this network: a run folder, a .keras file in one, or "
        "NETWORK:WEIGHTS, such as vgg11:imagenet or vgg11:FILE",
        placeholder="RUN|NETWORK:WEIGHTS",
    ),
    Flag(
        "start_layers",
        "with --start_from: all that fit, or shallow: its first four convolutions and last three dense layers, as VGG "
        "was trained (arXiv:1409.1556, section 3.1)",
        choices=("all", "shallow"),
        unless_given="all",
    ),
)


def check(values: Values) -> None:
    """Refuses flags that do not fit together; cheap, before TensorFlow is loaded.

    Raises:
        InputError: they do not, or there is neither such a run nor such a network.
    """
    start = values["start_from"]
    if start is None:
        if values["start_layers"]:
            raise InputError(f"start_layers is for --start_from. Received: start_layers={values['start_layers']}")
        return
    if values["weights"]:
        raise InputError(
            f"Weights are read whole or in part. Received: start_from={start}, weights={values['weights']}"
        )
    if os.path.exists(start):
        return
    name, colon, weights = start.partition(":")
    if not colon or not name or not weights:
        rule = "start_from must be a run folder, a .keras file in one, or NETWORK:WEIGHTS"
        raise InputError(f"{rule}. Received: start_from={start}")
    import kerascnn

    kerascnn.model_info(name)


def start(model, values: Values, console: Console) -> None:
    """Copies what --start_from says, and tells what was copied and what was not.

    Args:
        model: to be trained, built.
        values: the flags.
        console: for what is said.

    Raises:
        InputError: the source cannot be read, or nothing of it fits.
    """
    import kerascnn
    from kerascnn import inference, weights

    text = values["start_from"]
    if os.path.exists(text):
        source = inference.checkpoint.load(text).model
    else:
        name, _, tag = text.partition(":")
        source = kerascnn.create_model(name, weights=tag)
    wanted = weights.shallow_layers(source) if values["start_layers"] == "shallow" else None
    copied = weights.copy_weights(source, model, layers=wanted)
    names = list(dict.fromkeys(variable.split("/")[0] for variable in copied))
    whole = {f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.weights}
    others = list(dict.fromkeys(x.split("/")[0] for x in sorted(whole - set(copied)) if "seed_gen" not in x))
    console.print(
        f"started from {text}: {_listed(names)}; drawn: {_listed(others)}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:12]) or "nothing"
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown

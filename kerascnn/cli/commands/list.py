"""kerascnn list."""

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import tables
from kerascnn.cli.command import Command, Flag, Values


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn list."""
    import kerascnn

    pattern = arguments[0] if arguments else "*"
    names = kerascnn.list_models(pattern, family=values["family"], pretrained=values["pretrained"] or None)
    if not names:
        raise InputError(f"No network fits. Received: pattern {pattern!r}, family {values['family']}")
    if not (values["table"] or values["wide"]):
        console.print("\n".join(names), highlight=False, markup=False, soft_wrap=True)
        return
    infos = [kerascnn.model_info(name) for name in names]
    console.print(tables.networks(infos, values["wide"]))


COMMAND = Command(
    "list",
    "[PATTERN]",
    "Lists the networks.",
    'kerascnn list "resnet*" --table',
    (
        Flag("family", "only this family, such as resnext"),
        Flag("pretrained", "only those with published weights, see kerascnn weights", bool, False),
        Flag("table", "with parameters, multiply-adds, input, receptive field and published error", bool, False),
        Flag("wide", "the table with the paper too", bool, False),
    ),
    run,
    positional=(0, 1),
)

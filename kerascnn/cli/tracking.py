"""--log: other programs that follow a run."""

import importlib.util

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.cli.command import Flag, Values

_TITLES = {"mlflow": "MLflow", "wandb": "W&B"}  # name of the package and of the extra -> what it is called
FLAG = Flag(
    "log",
    "besides history.csv and TensorBoard: mlflow, wandb, or both with a comma between; a run that is resumed goes on "
    "there. Their own variables say where (MLFLOW_TRACKING_URI, WANDB_MODE=offline, ...), see docs/training.md",
    placeholder="NAMES",
)


def check(values: Values) -> tuple[str, ...]:
    """The programs that are asked for; cheap, before TensorFlow is loaded.

    Raises:
        InputError: there is no such one, it is named twice, or its package is not installed.
    """
    names = tuple(values["log"].split(",")) if values["log"] else ()
    for name in names:
        _check.one_of("log", name, _TITLES)
        if importlib.util.find_spec(name) is None:
            rule = f"{_TITLES[name]} must be installed: pip install 'kerascnn[{name}]'"
            raise InputError(f"{rule}. Received: log={name}")
    if len(set(names)) < len(names):
        raise _check.refuse("log", "different names", values["log"])
    return names


def hooks(values: Values) -> list:
    """Their callbacks for the run in --out."""
    from kerascnn.training import callbacks

    kinds = {"mlflow": callbacks.MLflow, "wandb": callbacks.WandB}
    return [kinds[name](values["out"]) for name in check(values)]

"""Flags that several commands share. Imports no TensorFlow."""

import dataclasses

from kerascnn.cli.command import Flag
from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes import RECIPES

CHECKPOINT = Flag("checkpoint", "a run folder, or a .keras file in one")


def data_flags(text: str) -> tuple[Flag, ...]:
    """Which data.

    Args:
        text: what --data means to the command.

    Returns:
        --data and --data_dir.
    """
    return Flag("data", text), Flag("data_dir", "folder of the data: IDX files, or where TFDS keeps its sets")


def training_flags() -> tuple[Flag, ...]:
    """Network, data, recipe, and one flag per field of `TrainConfig`, without default: the recipe gives it."""
    kinds = {int: int, float: float, bool: bool, str: str, tuple[float, ...]: list}
    return (
        Flag("model", "name of a network, see kerascnn list"),
        *data_flags(
            "digits, synthetic, fashion_mnist, mnist, a folder of images or IDX files, or a TFDS name; "
            "with masks: shapes, a folder of images/ and masks/, or a TFDS name"
        ),
        Flag("recipe", "named defaults for the other flags; by default those of the network", choices=tuple(RECIPES)),
        Flag(
            "image_size",
            "height and width of the network's input; by default the data's own for a small-image network, else the "
            "network's default",
            int,
        ),
        *(
            Flag(field.name, field.metadata["help"], kinds[field.type], choices=tuple(field.metadata["choices"] or ()))
            for field in dataclasses.fields(TrainConfig)
        ),
    )

"""Flags that several commands share. Imports no TensorFlow."""

import dataclasses

from kerascnn.cli.command import Flag
from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes import RECIPES

LARGEST_IMAGE = 13_377  # height and width of about 178 million pixels, what is accepted of an image file, too
CHECKPOINT = Flag("checkpoint", "a run folder, or a .keras file in one", placeholder="RUN")

# A network with weights in place of a checkpoint, see `kerascnn.cli.networks`.
NETWORK = (
    Flag("model", "or: a network by its name, with --weights", placeholder="NAME"),
    Flag(
        "weights", "its weights: a tag, see kerascnn weights NAME, such as imagenet; or a file", placeholder="TAG|FILE"
    ),
    Flag(
        "image_size",
        "with --model: height and width of its input",
        int,
        low=1,
        high=LARGEST_IMAGE,
        unless_given="that of the weights",
    ),
)

# The fields of `TrainConfig` under the headings of the help; the others belong to the run.
_GROUPS = {
    "data": ("batch_size", "augment", "limit"),
    "schedule": (
        "optimizer", "learning_rate", "momentum", "nesterov", "epsilon", "beta_1", "beta_2", "accumulate", "clip_norm",
        "clip_value", "clip_adaptive", "ema", "schedule", "epochs", "warmup_epochs", "milestones", "decay_rate",
        "decay_every", "power", "restart_epochs", "restart_factor", "patience", "early_stopping",
    ),
    "regularization": ("weight_decay", "l2", "loss", "label_threshold", "label_smoothing"),
    "fine-tuning": ("freeze", "layer_decay", "unfreeze"),
}  # fmt: skip
TRAINING_NOTE = "What the recipe gives depends on network and data; kerascnn train ... --dry_run prints it."


def data_flags(text: str, group: str = "") -> tuple[Flag, ...]:
    """Which data.

    Args:
        text: what --data means to the command.
        group: the heading in the help.

    Returns:
        --data and --data_dir.
    """
    return (
        Flag("data", text, group=group, placeholder="NAME|FOLDER"),
        Flag(
            "data_dir", "folder of the data: IDX files, or where TFDS keeps its sets", group=group, placeholder="FOLDER"
        ),
    )


def training_flags(out: Flag, network: tuple[Flag, ...] = (), run: tuple[Flag, ...] = ()) -> tuple[Flag, ...]:
    """Data, network, recipe, and one flag per field of `TrainConfig`, without default: the recipe gives it.

    Args:
        out: the command's --out.
        network: further flags about the network.
        run: further flags about the run.

    Returns:
        The flags in the order and under the headings of the help.
    """
    fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    grouped = {name for names in _GROUPS.values() for name in names}

    def of(group: str) -> list[Flag]:
        names = _GROUPS.get(group) or [name for name in fields if name not in grouped]
        return [_field(fields[name], group) for name in names if name in fields]

    return (
        Flag("model", "name of a network, see kerascnn list", group="network"),
        Flag(
            "image_size",
            "height and width of the network's input",
            int,
            low=1,
            high=LARGEST_IMAGE,
            group="network",
            unless_given="the data's own for a small-image network, else the network's",
        ),
        *(dataclasses.replace(flag, group="network") for flag in network),
        *data_flags(
            "digits, synthetic, fashion_mnist, mnist, a folder of images or IDX files, or a TFDS name; "
            "with masks: shapes, a folder of images/ and masks/, or a TFDS name",
            "data",
        ),
        *of("data"),
        Flag(
            "recipe",
            "named defaults for the other flags",
            choices=tuple(RECIPES),
            group="schedule",
            unless_given="that of the network",
        ),
        *of("schedule"),
        *of("regularization"),
        *of("fine-tuning"),
        dataclasses.replace(out, group="run"),
        *(dataclasses.replace(flag, group="run") for flag in run),
        *of("run"),
    )


def _field(field: dataclasses.Field, group: str) -> Flag:
    """The flag for a field of `TrainConfig`."""
    kinds = {int: int, float: float, bool: bool, str: str, tuple[float, ...]: list, tuple[int, ...]: list}
    return Flag(
        field.name,
        field.metadata["help"],
        kinds[field.type],
        choices=tuple(field.metadata["choices"] or ()),
        group=group,
        unless_given="the recipe's",
    )

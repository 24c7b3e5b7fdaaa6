"""Flags that several commands share. Imports no TensorFlow."""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

from kerascnn._errors import InputError
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

SET = Flag(
    "set",
    "any setting of the recipe, such as --set epochs=5; may be given several times",
    group="schedule",
    placeholder="KEY=VALUE",
    repeated=True,
)

# The fields of `TrainConfig` under the headings of the help; the others belong to the run.
_GROUPS = {
    "data": ("batch_size", "augment", "sampling", "progressive", "progressive_parts", "limit"),
    "schedule": (
        "optimizer", "learning_rate", "momentum", "nesterov", "epsilon", "beta_1", "beta_2", "accumulate", "clip_norm",
        "clip_value", "clip_adaptive", "ema", "schedule", "epochs", "warmup_epochs", "milestones", "decay_rate",
        "decay_every", "power", "restart_epochs", "restart_factor", "patience", "early_stopping",
    ),
    "regularization": (
        "weight_decay", "l2", "loss", "label_threshold", "label_smoothing", "class_weights", "statistics_momentum",
    ),
    "distillation": ("distill", "distill_temperature", "distill_weight"),
    "adversarial training": (
        "adversarial", "adversarial_epsilon", "adversarial_step", "adversarial_steps", "adversarial_part",
    ),
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
        SET,
        *of("schedule"),
        *of("regularization"),
        *of("distillation"),
        *of("adversarial training"),
        *of("fine-tuning"),
        dataclasses.replace(out, group="run"),
        *(dataclasses.replace(flag, group="run") for flag in run),
        *of("run"),
    )


def settings(pairs: Sequence[str]) -> dict[str, Any]:
    """What several --set mean.

    Args:
        pairs: "key=value", keys being fields of `TrainConfig`, - and _ the same.

    Returns:
        Values by field, of the fields' kinds.

    Raises:
        InputError: a pair has another form, names no field, comes twice, or has no value of its field's kind.
    """
    fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise InputError(f"--set takes KEY=VALUE, such as --set epochs=5. Received: {pair[:200]}")
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else "kerascnn recipes NAME lists them."
            raise InputError(f"There is no such setting; {hint} Received: --set {pair[:200]}")
        if key in found:
            raise InputError(f"A setting must be given once. Received: {key} twice")
        flag, text = _field(fields[key], ""), text.strip()
        if flag.kind is bool:
            if text.lower() not in ("true", "false"):
                raise InputError(f"{key} must be true or false. Received: --set {pair[:200]}")
            found[key] = text.lower() == "true"
        else:
            found[key] = () if flag.kind is list and not text else flag.read(text)
    return found


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

"""Named defaults for a training, one file a paper or era; a flag overrides each field. Imports no TensorFlow.

Every module of this folder that has `RECIPES` (name -> `Recipe`) is found by listing it: a new recipe is one new file.

    from kerascnn.training import recipes

    recipes.RECIPES["imagenet"].config.learning_rate  # 0.1
"""

import dataclasses
import importlib
import pkgutil
from typing import Any

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.training.config import TrainConfig, check_fields
from kerascnn.training.optimizers import OPTIMIZERS, OWN
from kerascnn.training.recipes.recipe import Recipe

__all__ = ["RECIPES", "SMALL_IMAGE", "Recipe", "choose", "resolve", "told"]

SMALL_IMAGE = 64  # pixels; up to here an ImageNet network is trained like a CIFAR network
# What `told` says in words or what follows from it, and what says where and of what a run computes, not how it learns.
_TOLD = (
    "batch_size", "accumulate", "epochs", "learning_rate", "warmup_epochs", "decay_every", "restart_epochs",
    "mixed_precision", "strategy", "virtual_devices", "seed", "deterministic", "limit",
)  # fmt: skip


def _listed() -> dict[str, Recipe]:
    found: dict[str, Recipe] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        for key, recipe in getattr(importlib.import_module(f"{__name__}.{name}"), "RECIPES", {}).items():
            if key in found:
                raise InputError(
                    f"Each recipe must have a name of its own. Received: {key} a second time, in {name}.py"
                )
            found[key] = recipe
    return dict(sorted(found.items()))


RECIPES: dict[str, Recipe] = _listed()


def choose(recipe: str, image_size: int) -> str:
    """Which recipe fits a network: its own, or the one that takes its place on small images.

    Args:
        recipe: the network's own, a name in `RECIPES`.
        image_size: shorter side of the network's input, pixels.

    Returns:
        A name in `RECIPES`.

    Raises:
        InputError: there is no such recipe.
    """
    _check.one_of("recipe", recipe, RECIPES)
    small = RECIPES[recipe].small_images
    return small if small and image_size <= SMALL_IMAGE else recipe


def resolve(recipe: str, **overrides: Any) -> TrainConfig:
    """The recipe with some fields replaced, and with what follows from them.

    Args:
        recipe: a name in `RECIPES`.
        **overrides: fields of `TrainConfig`. What is not given follows: the rate from the size of the batch, linearly
            (Goyal et al. 2017, arXiv:1706.02677; for LAMB its root, arXiv:1904.00962); where epochs are given, a
            warm-up is at most a tenth of them, and periods counted in epochs go with them; another optimizer brings its
            own rate, constants and weight decay, and without momentum there is no Nesterov.

    Returns:
        The configuration of the run.

    Raises:
        InputError: an unknown recipe or field, or a value outside its range.
    """
    _check.one_of("recipe", recipe, RECIPES)
    overrides = check_fields(overrides)
    defaults = RECIPES[recipe].config
    values = {field: getattr(defaults, field) for field in vars(defaults)}
    epochs = overrides.get("epochs", defaults.epochs)
    if "epochs" in overrides:
        values["warmup_epochs"] = min(defaults.warmup_epochs, epochs / 10)
        period = {"every": "decay_every", "restarts": "restart_epochs"}.get(defaults.schedule)
        if period:
            values[period] *= epochs / defaults.epochs
    optimizer = overrides.get("optimizer", defaults.optimizer)
    if optimizer != defaults.optimizer:
        own = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
        values.update({name: own[name] for name in (*OWN, "l2")})
        values.update(OPTIMIZERS[optimizer].defaults)
    batch = overrides.get("batch_size", defaults.batch_size) * overrides.get("accumulate", defaults.accumulate)
    values["learning_rate"] *= (batch / (defaults.batch_size * defaults.accumulate)) ** OPTIMIZERS[optimizer].scaling
    if overrides.get("momentum") == 0 or optimizer != "sgd":
        values["nesterov"] = False
    return TrainConfig(**{**values, **overrides})


def told(recipe: str, config: TrainConfig) -> str:
    """What a recipe has become, in one line.

    Args:
        recipe: a name in `RECIPES`.
        config: what was resolved from it.
    """
    own = RECIPES[recipe].config
    parts = []
    if config.epochs != own.epochs:
        count = f"{config.epochs} epoch{'s' if config.epochs != 1 else ''}"
        parts.append(f"{count}, not {own.epochs}, and what is counted in them in proportion")
    if config.optimizer == own.optimizer and config.learning_rate != own.learning_rate:
        parts.append(
            f"rate {config.learning_rate:.3g} for batches of {config.batch_size * config.accumulate}, "
            f"where it is {own.learning_rate:.3g} for {own.batch_size * own.accumulate}"
        )
    if config.warmup_epochs:
        parts.append(f"{config.warmup_epochs:.3g} epoch{'s' if config.warmup_epochs != 1 else ''} of warm-up")
    others = [name for name, value in vars(own).items() if name not in _TOLD and getattr(config, name) != value]
    if others:
        parts.append(f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} not the recipe's")
    return f"recipe {recipe} ({RECIPES[recipe].networks}): {'; '.join(parts) or 'as published'}"

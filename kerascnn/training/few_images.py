"""Training on few images: how many steps, in which batches, and how fast batch statistics have to follow.

A batch norm that keeps 0.99 of its moving statistics at each step still has a third of what it began with after a
hundred of them, and measures with it. 96 images in batches of 96 for 15 epochs are 15 steps. What is chosen here was
measured on 3 x 40 photographs (docs/training.md).
"""

from collections.abc import Collection
from typing import Any

from kerascnn.training.config import TrainConfig

STEPS = 500  # a run has at least so many, where neither batch nor epochs are asked for
SMALLEST_BATCH = 16  # statistics of fewer images are noise
AN_EPOCH = 8  # batches that there should be in one
MOMENTUM = 0.9  # of the statistics, where there are few steps


def chosen(config: TrainConfig, images: int, asked: Collection[str]) -> dict[str, Any]:
    """What follows from the number of images, of what was not asked for.

    Args:
        config: what the recipe says.
        images: to train on.
        asked: fields that were asked for.

    Returns:
        Fields of `TrainConfig`: none where the recipe has enough steps.

    Example:

        chosen(TrainConfig(batch_size=128, epochs=15), 96, ())  # 16 images to a batch, 84 epochs
    """
    if config.epochs * _steps(images, config.batch_size) >= STEPS:
        return {}
    found: dict[str, Any] = {}
    batch = config.batch_size
    if "batch_size" not in asked:
        batch = min(batch, max(SMALLEST_BATCH, 2 ** (max(images // AN_EPOCH, 1).bit_length() - 1)))
        if batch != config.batch_size:
            found["batch_size"] = batch
    if "epochs" not in asked:
        epochs = -(-STEPS // _steps(images, batch))
        if epochs > config.epochs:
            found["epochs"] = epochs
    if "statistics_momentum" not in asked:
        found["statistics_momentum"] = MOMENTUM
    return found


def told(found: dict[str, Any], config: TrainConfig, images: int, weights: str | None) -> str:
    """The same in words, for one line.

    Args:
        found: what `chosen` gave.
        config: what the recipe said before.
        images: to train on.
        weights: how to begin with trained weights instead; None: there is no way.
    """
    parts = []
    if "batch_size" in found:
        parts.append(f"batches of {found['batch_size']} instead of {config.batch_size}")
    if "epochs" in found:
        parts.append(f"{found['epochs']} epochs instead of {config.epochs}")
    if "statistics_momentum" in found:
        parts.append("batch statistics that follow within ten steps")
    if not parts:
        return ""
    text = f"{images:,} images make few steps: {', '.join(parts)}"
    return text if weights is None else f"{text}; trained weights learn more from so few: {weights}"


def _steps(images: int, batch: int) -> int:
    return max(images // min(batch, max(images, 1)), 1)

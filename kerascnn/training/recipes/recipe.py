"""What a recipe is."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kerascnn.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Named defaults for a training, with where they come from.

    Weight decay is decoupled here (see `kerascnn.training.optimizers`), so a published L2 coefficient c trained with
    momentum m is given as c / (1 - m): the same shrinking of the weights per step once the momentum has settled. With
    adaptive optimizers it is `l2`.
    """

    config: TrainConfig
    source: str  # authors, title or arXiv number and section of each value, and what departs from them and why
    networks: str  # which it is for, in words
    reported: str = ""  # what it was published to reach, with its conditions; empty where it departs too far
    small_images: str | None = None  # the recipe instead, where the shorter side has at most SMALL_IMAGE pixels
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of networks that have them
    usual_epochs: int | None = None  # how many where neither they nor the recipe are asked for; None: its own
    fine_tuning: str | None = None  # the recipe for trained weights; None: itself

"""How one-shot searches are told to search."""

import dataclasses
import math

from kerascnn import _check
from kerascnn.search.one_shot.images import AUGMENTS


@dataclasses.dataclass(frozen=True)
class DartsConfig:
    """How DARTS searches; the values are those of the release where no other reason is given.

    Raises:
        InputError: a field is out of range.
    """

    epochs: int = 50
    batch_size: int = 64
    stages: tuple[int, ...] = (2, 3, 3)  # cells; the first of each but the first stage is a reduction cell
    filters: int = 16
    order: str = "first"  # "second" is three to four times as slow
    rate: float = 0.025  # of the weights, falls along a cosine
    last_rate: float = 0.001
    momentum: float = 0.9
    decay: float = 3e-4
    clip: float = 5.0
    alpha_rate: float = 3e-4
    alpha_decay: float = 1e-3
    alpha_scale: float = 1e-3  # standard deviation of the first alphas
    warm_up: int = 0  # epochs in which the weights alone move
    zero: bool = True  # an edge may also do nothing
    temperature: float = 1.0  # alphas are divided by it before the softmax
    most_skips: int | None = None  # the search ends with the last epoch whose normal cell has no more identities
    augment: str = "pad_crop_flip"
    share: float = 0.5  # of the training images that the weights learn from; the others are the architecture's

    def __post_init__(self):
        for name in ("epochs", "batch_size", "filters"):
            _check.whole(name, getattr(self, name), 2 if name == "filters" else 1)
        object.__setattr__(self, "stages", tuple(_check.whole("each of stages", count, 1) for count in self.stages))
        _check.one_of("order", self.order, ("first", "second"))
        for name in ("rate", "alpha_rate", "temperature"):
            _check.real(name, getattr(self, name), 0.0, above=True)
        for name in ("last_rate", "decay", "clip", "alpha_decay", "alpha_scale"):
            _check.real(name, getattr(self, name), 0.0)
        _check.real("momentum", self.momentum, 0.0, 1.0, below=True)
        _check.whole("warm_up", self.warm_up, 0)
        _check.flag("zero", self.zero)
        if self.most_skips is not None:
            _check.whole("most_skips", self.most_skips, 0)
        _check.one_of("augment", self.augment, AUGMENTS)
        _check.real("share", self.share, 0.0, 1.0, above=True, below=True)

    def rate_at(self, epoch: int) -> float:
        """The rate of the weights in an epoch, counted from 0."""
        return self.last_rate + (self.rate - self.last_rate) * (1 + math.cos(math.pi * epoch / self.epochs)) / 2


@dataclasses.dataclass(frozen=True)
class EnasConfig:
    """How ENAS searches; the values are those of the release's search of cells where no other reason is given.

    Raises:
        InputError: a field is out of range.
    """

    epochs: int = 150
    batch_size: int = 160
    stages: tuple[int, ...] = (2, 3, 3)  # of cells; the first of each but the first stage is a reduction cell
    filters: int = 20
    rate: float = 0.05  # of the weights, falls along cosines, each twice as long as the one before
    last_rate: float = 0.0005
    period: int = 10  # epochs of the first cosine
    momentum: float = 0.9
    decay: float = 1e-4
    clip: float = 5.0
    controller_steps: int = 30  # an epoch
    controller_samples: int = 10  # a step
    controller_rate: float = 0.0035
    units: int = 64  # of the LSTM
    tanh: float = 1.1  # logits are at most so large; 0: any
    operation_tanh: float = 2.5  # the same of operations, divided by this
    temperature: float = 1.0  # logits are divided by it
    entropy: float = 1e-4  # weight of the entropy
    baseline: float = 0.99  # how much of the moving mean of rewards is kept a step
    skip_target: float = 0.4  # of a chain: how likely a skip should be
    skip_weight: float = 0.8  # of a chain: of the penalty of other probabilities
    favored: tuple[str, ...] = ()  # operations of the first cell that begin likelier; the release: both separable ones
    bonus: float = 0.25  # added to their logits and taken from the others', where some are favored
    bias: float = 10.0  # first value of their learned bias, where some are favored
    finals: int = 40  # architectures drawn at the end
    final_batches: int = 4  # that each is measured on
    augment: str = "pad_crop_flip"
    share: float = 0.9  # of the training images that the weights learn from; the others give the reward

    def __post_init__(self):
        whole = ("epochs", "batch_size", "period", "controller_steps", "controller_samples", "units", "finals")
        for name in (*whole, "final_batches"):
            _check.whole(name, getattr(self, name), 1)
        _check.whole("filters", self.filters, 2)
        object.__setattr__(self, "stages", tuple(_check.whole("each of stages", count, 1) for count in self.stages))
        for name in ("rate", "controller_rate", "temperature", "operation_tanh"):
            _check.real(name, getattr(self, name), 0.0, above=True)
        for name in ("last_rate", "decay", "clip", "tanh", "entropy", "skip_weight", "bonus", "bias"):
            _check.real(name, getattr(self, name), 0.0)
        for name in ("momentum", "baseline"):
            _check.real(name, getattr(self, name), 0.0, 1.0, below=True)
        for name in ("share", "skip_target"):
            _check.real(name, getattr(self, name), 0.0, 1.0, above=True, below=True)
        object.__setattr__(self, "favored", tuple(self.favored))
        _check.one_of("augment", self.augment, AUGMENTS)

    def rate_at(self, epoch: float) -> float:
        """The rate of the weights at a moment, in epochs counted from 0.

        Source: Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts, 2016, arXiv:1608.03983.
        """
        period = self.period
        while epoch >= period:
            epoch, period = epoch - period, 2 * period
        return self.last_rate + (self.rate - self.last_rate) * (1 + math.cos(math.pi * epoch / period)) / 2

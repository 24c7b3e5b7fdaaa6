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

    def rate_at(self, epoch: float) -> float:
        """The rate of the weights in an epoch, counted from 0."""
        return _cosine(self, epoch)


@dataclasses.dataclass(frozen=True)
class SharedConfig:
    """How weights that drawn architectures share are trained; the values are those of ENAS' search of cells.

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
    finals: int = 40  # architectures that the search ends with
    final_batches: int = 4  # that each is measured on
    augment: str = "pad_crop_flip"
    share: float = 0.9  # of the training images that the weights learn from; the others judge architectures

    def __post_init__(self):
        for name in ("epochs", "batch_size", "period", "finals", "final_batches"):
            _check.whole(name, getattr(self, name), 1)
        _check.whole("filters", self.filters, 2)
        object.__setattr__(self, "stages", tuple(_check.whole("each of stages", count, 1) for count in self.stages))
        _check.real("rate", self.rate, 0.0, above=True)
        for name in ("last_rate", "decay", "clip"):
            _check.real(name, getattr(self, name), 0.0)
        _check.real("momentum", self.momentum, 0.0, 1.0, below=True)
        _check.real("share", self.share, 0.0, 1.0, above=True, below=True)
        _check.one_of("augment", self.augment, AUGMENTS)

    def rate_at(self, epoch: float) -> float:
        """The rate of the weights at a moment, in epochs counted from 0.

        Source: Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts, 2016, arXiv:1608.03983.
        """
        period = self.period
        while epoch >= period:
            epoch, period = epoch - period, 2 * period
        return self.last_rate + (self.rate - self.last_rate) * (1 + math.cos(math.pi * epoch / period)) / 2


@dataclasses.dataclass(frozen=True)
class EnasConfig(SharedConfig):
    """How ENAS searches; the values are those of the release's search of cells where no other reason is given.

    Raises:
        InputError: a field is out of range.
    """

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

    def __post_init__(self):
        super().__post_init__()
        for name in ("controller_steps", "controller_samples", "units"):
            _check.whole(name, getattr(self, name), 1)
        for name in ("controller_rate", "temperature", "operation_tanh"):
            _check.real(name, getattr(self, name), 0.0, above=True)
        for name in ("tanh", "entropy", "skip_weight", "bonus", "bias"):
            _check.real(name, getattr(self, name), 0.0)
        _check.real("baseline", self.baseline, 0.0, 1.0, below=True)
        _check.real("skip_target", self.skip_target, 0.0, 1.0, above=True, below=True)
        object.__setattr__(self, "favored", tuple(self.favored))


@dataclasses.dataclass(frozen=True)
class NaoConfig(SharedConfig):
    """How NAO-WS searches; the values are those of the release where no other reason is given.

    Raises:
        InputError: a field is out of range, or more are renewed than there are.
    """

    every: int = 30  # epochs, after which the pool is renewed, but not after the last
    pool: int = 1000  # architectures that share the weights
    seeds: int = 100  # the best of them, from which new ones are decoded
    renewed: int = 500  # that are decoded
    fresh: int = 50  # that are drawn at random; as many as both together, the worst, leave
    units: int = 96  # of the encoder's and the decoder's LSTM
    embedding: int = 48
    layers: int = 3  # of the predictor, before its last
    hidden: int = 100  # width of those
    steps: int = 2000  # of Adam, each on 50 architectures; the release: some 10,000
    model_rate: float = 0.001  # of Adam
    trade: float = 0.8  # weight of the predictions in the loss
    longest: float = 100.0  # step along the slope; from 1 on

    def __post_init__(self):
        super().__post_init__()
        for name in ("every", "seeds", "units", "embedding", "hidden", "steps"):
            _check.whole(name, getattr(self, name), 1)
        for name in ("layers", "renewed", "fresh"):
            _check.whole(name, getattr(self, name), 0)
        _check.whole("pool", self.pool, max(2, self.renewed + self.fresh))
        _check.real("model_rate", self.model_rate, 0.0, above=True)
        _check.real("trade", self.trade, 0.0, 1.0)
        _check.real("longest", self.longest, 1.0)


@dataclasses.dataclass(frozen=True)
class SmashConfig:
    """How SMASH searches; the values are those of the release where no other reason is given.

    Raises:
        InputError: a field is out of range.
    """

    epochs: int = 100
    batch_size: int = 50
    filters: int = 16  # of the banks of the first block
    growth: int = 10  # of the hypernetwork
    depth: int = 8  # of the hypernetwork; the release: 8, 10 or 4
    rate: float = 0.001  # of Adam, falls along a cosine
    last_rate: float = 0.0
    clip: float = 0.0  # the largest norm of a step's gradient; 0: any
    draws: int = 500  # random architectures that are ranked at the end
    perturbations: int = 100  # of the best of them, each in some of its tokens
    changed: float = 0.05  # how likely a token is drawn anew
    greedy: int = 100  # further perturbations, each of the best so far
    finals: int = 40  # architectures that are kept in the last row
    final_batches: int = 4  # that each is measured on
    augment: str = "pad_crop_flip"
    share: float = 0.9  # of the training images that the weights learn from; the others rank architectures

    def __post_init__(self):
        for name in ("epochs", "batch_size", "growth", "draws", "finals", "final_batches"):
            _check.whole(name, getattr(self, name), 1)
        for name in ("depth", "perturbations", "greedy"):
            _check.whole(name, getattr(self, name), 0)
        _check.whole("filters", self.filters, 2)
        _check.real("rate", self.rate, 0.0, above=True)
        for name in ("last_rate", "clip"):
            _check.real(name, getattr(self, name), 0.0)
        _check.real("changed", self.changed, 0.0, 1.0, above=True)
        _check.one_of("augment", self.augment, AUGMENTS)
        _check.real("share", self.share, 0.0, 1.0, above=True, below=True)

    def rate_at(self, epoch: float) -> float:
        """The rate of the weights at a moment, in epochs counted from 0."""
        return _cosine(self, epoch)


def _cosine(config: DartsConfig | SmashConfig, epoch: float) -> float:
    """From the first rate to the last one along half a cosine."""
    turned = (1 + math.cos(math.pi * epoch / config.epochs)) / 2
    return config.last_rate + (config.rate - config.last_rate) * turned

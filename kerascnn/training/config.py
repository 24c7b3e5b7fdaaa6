"""What one training run is told; the fields are the flags of `kerascnn train`. Imports no TensorFlow."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.training.optimizers import OPTIMIZERS, OWN
from kerascnn.training.schedules import SCHEDULES
from kerascnn.training.strategies import REFUSED, STRATEGIES
from kerascnn.training.weighting import check_rule

PRECISIONS = {"none": None, "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}  # name -> Keras' dtype policy
BATCH_STATISTICS = ("average", "sync")
ATTACKS = ("none", "fgsm", "pgd")
DISTILLATIONS = ("soft", "hard")
SAMPLING = ("shuffle", "balanced")  # those of `kerascnn.data.sampling`, which imports TensorFlow
_MOST = 2**31 - 1  # of whatever is counted


def _field(default: Any, text: str, check: Any = None, *, choices: Collection[str] | None = None, **bounds: Any):
    """A field with its help and what its value must be: a function of `kerascnn._check` and its arguments."""
    if choices is not None:
        check, bounds = _check.one_of, {"choices": choices}
    metadata = {"help": text, "choices": None if choices is None else tuple(choices), "check": (check, bounds)}
    return dataclasses.field(default=default, metadata=metadata)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _check.refuse(name, "a text", value)
    return value


def _strategy(name: str, value: Any) -> str:
    if value in REFUSED:
        raise _check.refuse(name, f"one of {', '.join(STRATEGIES)}; {value} {REFUSED[value]}", value)
    return _check.one_of(name, value, STRATEGIES)


def _parts(name: str, value: Any) -> tuple[float, ...]:
    if isinstance(value, str) or not isinstance(value, Collection):
        raise _check.refuse(name, "numbers that rise within (0, 1), as parts of the run", value)
    parts = tuple(_check.real(name, part, 0.0, 1.0, above=True, below=True) for part in value)
    if any(a >= b for a, b in zip(parts, parts[1:], strict=False)):
        raise _check.refuse(name, "numbers that rise within (0, 1), as parts of the run", value)
    return parts


def check_epochs(name: str, value: Any) -> tuple[int, ...]:
    """Numbers of epochs that do not fall, as whole numbers of at least 1.

    Raises:
        InputError: they are something else.
    """
    if isinstance(value, str) or not isinstance(value, Collection):
        raise _check.refuse(name, "numbers of epochs that do not fall", value)
    epochs = tuple(_check.whole(name, epoch, 1, _MOST) for epoch in value)
    if any(a > b for a, b in zip(epochs, epochs[1:], strict=False)):
        raise _check.refuse(name, "numbers of epochs that do not fall", value)
    return epochs


def check_sizes(name: str, value: Any) -> tuple[int, ...]:
    """Sizes of images in pixels that rise, as whole numbers of at least 1.

    Raises:
        InputError: they are something else.
    """
    if isinstance(value, str) or not isinstance(value, Collection):
        raise _check.refuse(name, "sizes in pixels that rise", value)
    sizes = tuple(_check.whole(name, size, 1, _MOST) for size in value)
    if any(a >= b for a, b in zip(sizes, sizes[1:], strict=False)):
        raise _check.refuse(name, "sizes in pixels that rise", value)
    return sizes


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run. Each field's `metadata` holds its help text and choices, from which the flags are made.

    Which values suit a network and a data set is told by `kerascnn.training.plan`.

    Raises:
        InputError: a field is outside its range; the message names the field, the rule and the value.

    Example:

        from kerascnn.training import TrainConfig

        config = TrainConfig(batch_size=64, epochs=10, schedule="step", milestones=(0.5, 0.8))
    """

    batch_size: int = _field(128, "examples per step, over all devices together", _check.whole, low=1, high=_MOST)
    epochs: int = _field(15, "passes over the training set", _check.whole, low=1, high=_MOST)
    optimizer: str = _field("sgd", "the rule for the steps", choices=OPTIMIZERS)
    learning_rate: float = _field(0.1, "the peak, reached at the end of the warm-up", _check.real, low=0.0, above=True)
    momentum: float = _field(0.9, "of sgd, rmsprop and rmsprop_tf", _check.real, low=0.0, high=1.0, below=True)
    nesterov: bool = _field(True, "sgd: Nesterov's form of momentum", _check.flag)
    epsilon: float = _field(
        0.0, "what keeps adaptive steps finite; 0: rmsprop 1, rmsprop_tf 1e-3, adadelta 1e-6, adam 1e-7, adamw 1e-8, "
        "lamb 1e-6",
        _check.real, low=0.0,
    )  # fmt: skip
    beta_1: float = _field(
        0.0, "adam, adamw, lamb, lion: what is kept of the mean gradient; 0: 0.9", _check.real, low=0.0, high=1.0,
        below=True,
    )  # fmt: skip
    beta_2: float = _field(
        0.0, "the same of the mean square, rmsprop's and adadelta's rho; 0: rmsprop 0.9, adadelta 0.95, lion 0.99, "
        "else 0.999", _check.real, low=0.0, high=1.0, below=True,
    )  # fmt: skip
    accumulate: int = _field(
        1, "batches whose gradients are averaged to one step: as a batch so many times as large, but for batch norm",
        _check.whole, low=1, high=_MOST,
    )  # fmt: skip
    clip_norm: float = _field(0.0, "the largest norm of all gradients together; 0: any", _check.real, low=0.0)
    clip_value: float = _field(0.0, "the largest absolute value of a gradient; 0: any", _check.real, low=0.0)
    clip_adaptive: float = _field(
        0.0, "the largest norm of a unit's gradient as a part of that of its weights, such as 0.01, but for the head; "
        "0: any", _check.real, low=0.0,
    )  # fmt: skip
    ema: float = _field(
        0.0, "weights are averaged, and the average is measured and kept in best.keras: so much of it is kept a step, "
        "at first less, as (1 + step) / (10 + step); 0: no average", _check.real, low=0.0, high=1.0, below=True,
    )  # fmt: skip
    schedule: str = _field("cosine", "how the learning rate falls", choices=SCHEDULES)
    warmup_epochs: float = _field(
        0.0, "the rate rises linearly from 0, step by step, for this long", _check.real, low=0.0
    )
    milestones: tuple[float, ...] = _field(
        (0.5, 0.75), "step: parts of the run after which the rate is multiplied", _parts
    )
    decay_rate: float = _field(
        0.1, "step, plateau, every: the factor; exponential: the factor over the whole run", _check.real, low=0.0,
        high=1.0, above=True,
    )  # fmt: skip
    decay_every: float = _field(
        8.0, "every: epochs after each of which the factor is applied", _check.real, low=0.0, above=True
    )
    power: float = _field(0.9, "poly: the rate is the peak times (1 - done)^power", _check.real, low=0.0, above=True)
    restart_epochs: float = _field(
        10.0, "restarts: length of the first cosine, in epochs", _check.real, low=0.0, above=True
    )
    restart_factor: float = _field(
        2.0, "restarts: how many times as long each cosine is as the one before", _check.real, low=1.0
    )
    early_stopping: int = _field(
        0, "end after so many epochs in a row without a lower validation loss; 0: never", _check.whole, low=0,
        high=_MOST,
    )  # fmt: skip
    patience: int = _field(
        5, "plateau: epochs without a lower validation loss before the factor is applied", _check.whole, low=1,
        high=_MOST,
    )  # fmt: skip
    weight_decay: float = _field(
        0.0, "decoupled, kernels only: w -= rate * weight_decay * w; L2 / (1 - momentum)", _check.real, low=0.0
    )
    l2: float = _field(
        0.0, "true L2: this times the weight is added to the gradient of kernels, before the optimizer's rule",
        _check.real, low=0.0,
    )  # fmt: skip
    loss: str = _field(
        "softmax", "cross-entropy of the softmax, or of each class by itself (binary)", choices=("softmax", "binary")
    )
    label_threshold: float = _field(
        0.0, "binary: after images are mixed, a class with more than this share is there; 0: shares stay as they are",
        _check.real, low=0.0, high=1.0, below=True,
    )  # fmt: skip
    label_smoothing: float = _field(
        0.0, "this much probability is spread evenly over all classes", _check.real, low=0.0, high=1.0, below=True
    )
    class_weights: str = _field(
        "none", "weights of the classes in the loss that is trained, not in the validation's: balanced, n / (k n_c), "
        "for n_c of n images, or pixels, in a class of k; effective(0.999), by the effective number of images "
        "(arXiv:1901.05555); or a number for each class, with commas", check_rule,
    )  # fmt: skip
    sampling: str = _field(
        "shuffle", "each image once an epoch; balanced: each class equally often, small ones repeated, in epochs as "
        "long as before", choices=SAMPLING,
    )  # fmt: skip
    augment: str = _field(
        "none",
        "random changes of the training images: none, pad_crop_flip, random_resized_crop, alexnet, or operations "
        "joined by +, such as 'flip + mixup(0.2)': crop, flip, vertical_flip, pad_crop, pca_noise, resized_crop, "
        "color_jitter, grayscale, gaussian_blur, cutout, random_erasing, autoaugment, randaugment, trivialaugment, "
        "augmix, and last those that mix images, cutmix, mixup, mixup_or_cutmix; for masks crop, flip, vertical_flip, "
        "pca_noise, color_jitter, grayscale, gaussian_blur, scale_crop, scale_crop_flip; kerascnn data show draws them",
        _text,
    )  # fmt: skip
    progressive: tuple[int, ...] = _field(
        (), "progressive resizing: sizes of the training images, one after the other, the network's input last, as "
        "128,160,224; validation is always at the last", check_sizes,
    )  # fmt: skip
    progressive_parts: tuple[float, ...] = _field(
        (), "progressive: parts of the run after each of which the next size comes; none: equally many epochs each",
        _parts,
    )  # fmt: skip
    distill: str = _field(
        "soft", "with a teacher: its probabilities, softened (arXiv:1503.02531), or its class (hard, "
        "arXiv:2012.12877)", choices=DISTILLATIONS,
    )  # fmt: skip
    distill_temperature: float = _field(
        4.0, "soft: by this the logits of both are divided", _check.real, low=0.0, above=True
    )
    distill_weight: float = _field(
        0.0, "the teacher's part of the loss, beside the labels'; 0: soft 0.9, hard 0.5", _check.real, low=0.0, high=1.0
    )
    adversarial: str = _field(
        "none", "adversarial training: images are changed at each step so that the network is wrong, by one step along "
        "the sign of the gradient (fgsm, arXiv:1412.6572) or by several (pgd, arXiv:1706.06083)", choices=ATTACKS,
    )  # fmt: skip
    adversarial_epsilon: float = _field(
        8.0, "the largest change of a pixel, of 0 to 255", _check.real, low=0.0, high=255.0
    )
    adversarial_step: float = _field(
        2.0, "pgd: the change of a pixel at each step", _check.real, low=0.0, high=255.0, above=True
    )
    adversarial_steps: int = _field(
        10, "pgd: steps, each of which costs about as much as a step of training", _check.whole, low=1, high=_MOST
    )
    adversarial_part: float = _field(
        1.0, "of each batch that is changed; the others are learned from as they are", _check.real, low=0.0, high=1.0,
        above=True,
    )  # fmt: skip
    freeze: str = _field(
        "none", "what is not trained: all up to this layer, or to the last that begins so, such as stage3; head: all "
        "but the head; but_batch_norms: all but scales and offsets of batch norms", _text,
    )  # fmt: skip
    layer_decay: float = _field(
        1.0, "the rate of each part of the network is this times that of the part after it, up to the head; a part: "
        "layers named alike, such as stage3", _check.real, low=0.0, high=1.0, above=True,
    )  # fmt: skip
    unfreeze: tuple[int, ...] = _field(
        (), "gradual unfreezing: at first the head alone is trained, after each of these numbers of epochs one part "
        "more, the last one first", check_epochs,
    )  # fmt: skip
    statistics_momentum: float = _field(
        0.0, "what batch norms keep of their moving statistics at each step; 0: the network's own", _check.real,
        low=0.0, high=1.0, below=True,
    )  # fmt: skip
    mixed_precision: str = _field("none", "compute in 16 bits, keep weights in 32", choices=PRECISIONS)
    recompute: bool = _field(
        False, "less memory, about a third more time: activations are computed anew in the backward pass", _check.flag
    )
    jit: bool = _field(
        False, "compile the training step with XLA, which takes up to minutes before the first step and helps some "
        "networks and slows others, see docs/training.md", _check.flag,
    )  # fmt: skip
    strategy: str = _field(
        "one", "one device; mirrored: each GPU or virtual device; multiworker: each device of several processes, see "
        "docs/distributed.md (one, mirrored or multiworker)", _strategy,
    )  # fmt: skip
    batch_statistics: str = _field(
        "average", "with several devices, the batch norms of each see their part of the batch, and moving statistics "
        "are averaged before each validation; sync: they see the whole batch, as one device would, which is slower",
        choices=BATCH_STATISTICS,
    )  # fmt: skip
    virtual_devices: int = _field(
        0, "mirrored on a CPU: split it into this many devices", _check.whole, low=0, high=1024
    )
    sparsity: int = _field(
        0, "after each epoch so many validation images are looked at: which part of each ReLU's outputs is zero, and "
        "which of its channels are dead, in sparsity.csv, sparsity.png and TensorBoard; 0: none", _check.whole, low=0,
        high=_MOST,
    )  # fmt: skip
    seed: int = _field(0, "of weights, order, augmentation, dropout", _check.whole, low=0, high=2**31 - 1)
    deterministic: bool = _field(False, "slower kernels whose sums never depend on timing (GPU)", _check.flag)
    limit: int = _field(0, "use only this many examples of each split; 0: all", _check.whole, low=0, high=_MOST)

    def __post_init__(self):
        for name, value in check_fields(vars(self)).items():
            object.__setattr__(self, name, value)
        self._rule("nesterov", not self.nesterov or self.optimizer != "sgd" or self.momentum > 0, "needs momentum > 0")
        self._rule("warmup_epochs", self.warmup_epochs < self.epochs, f"must be in [0, epochs={self.epochs})")
        for name in OWN:
            known = getattr(self, name) == 0 or name in OPTIMIZERS[self.optimizer].arguments
            self._rule(name, known, f"is not of optimizer={self.optimizer}")
        clips = [name for name in ("clip_norm", "clip_value", "clip_adaptive") if getattr(self, name)]
        if len(clips) > 1:
            self._rule(clips[1], False, f"cannot be used beside {clips[0]}: gradients are clipped in one way")
        self._rule("label_threshold", not self.label_threshold or self.loss == "binary", "is for loss=binary only")
        twice = self.sampling == "balanced" and self.class_weights.startswith(("balanced", "effective"))
        self._rule("class_weights", not twice, "must be none, or numbers, where sampling=balanced has balanced already")
        late = bool(self.unfreeze) and self.unfreeze[-1] >= self.epochs
        self._rule("unfreeze", not late, f"must be below epochs={self.epochs}")
        fits = not self.progressive_parts or len(self.progressive_parts) == len(self.progressive) - 1
        self._rule("progressive_parts", fits, f"must be one less than the sizes of progressive={self.progressive}")
        self._rule("progressive", len(self.progressive) <= self.epochs, f"must be at most epochs={self.epochs} sizes")
        alone = self.virtual_devices and self.strategy != "mirrored"
        self._rule("virtual_devices", not alone, "are for strategy=mirrored only")
        # XLA compiles no sums among replicas: an optimizer that needs them cannot be part of a compiled step.
        self._rule("jit", not self.jit or self.strategy == "one", f"is for strategy=one only, not {self.strategy}")
        self._rule("jit", not (self.jit and self.deterministic), "cannot be used beside deterministic")
        # Keras' loss scaling asks whether the gradients of its own worker are finite, and the others wait for its sums.
        apart = self.strategy == "multiworker" and self.mixed_precision == "float16"
        self._rule("mixed_precision", not apart, "must not be float16 with strategy=multiworker: take bfloat16")

    def _rule(self, name: str, holds: bool, rule: str):
        if not holds:
            raise InputError(f"{name} {rule}. Received: {name}={getattr(self, name)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`; refuses unknown names."""
        return cls(**check_fields(values))


def check_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Checks fields of a `TrainConfig` each by itself, as one does that does not know the others yet.

    Args:
        values: some fields by name.

    Returns:
        The same with values of the fields' types.

    Raises:
        InputError: there is no such field, or a value is outside its range.
    """
    fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise InputError(f"TrainConfig has no field of this name. Received: {', '.join(unknown)}")
    checked = {}
    for name, value in values.items():
        check, arguments = fields[name].metadata["check"]
        checked[name] = check(name, value, **arguments)
    return checked

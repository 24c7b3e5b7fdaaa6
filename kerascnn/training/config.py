"""What one training run is told; the fields are the flags of `kerascnn train`. Imports no TensorFlow."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from kerascnn._errors import InputError

OPTIMIZERS = ("sgd", "rmsprop", "adam")
SCHEDULES = ("constant", "step", "plateau", "cosine", "exponential", "poly")
AUGMENTS = ("none", "pad_crop_flip", "random_resized_crop", "alexnet", "scale_crop_flip")
PRECISIONS = ("none", "float16", "bfloat16")
STRATEGIES = ("one", "mirrored")


def _field(default: Any, text: str, choices: tuple[str, ...] | None = None):
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices})


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run. Each field's `metadata` holds its help text and choices, from which the flags are made.

    Raises:
        InputError: a field is outside its range; the message names the field, the rule and the value.
    """

    batch_size: int = _field(128, "examples per step, over all devices together")
    epochs: int = _field(15, "passes over the training set")
    optimizer: str = _field("sgd", "the rule for the steps", OPTIMIZERS)
    learning_rate: float = _field(0.1, "the peak, reached at the end of the warm-up")
    momentum: float = _field(0.9, "of sgd and rmsprop")
    nesterov: bool = _field(True, "sgd: Nesterov's form of momentum")
    schedule: str = _field("cosine", "how the learning rate falls", SCHEDULES)
    warmup_epochs: float = _field(0.0, "the rate rises linearly from 0, step by step, for this long")
    milestones: tuple[float, ...] = _field((0.5, 0.75), "step: parts of the run after which the rate is multiplied")
    decay_rate: float = _field(0.1, "step, plateau: the factor; exponential: the factor over the whole run")
    patience: int = _field(5, "plateau: epochs without a lower validation loss before the factor is applied")
    weight_decay: float = _field(0.0, "decoupled, kernels only: w -= rate * weight_decay * w; L2 / (1 - momentum)")
    label_smoothing: float = _field(0.0, "this much probability is spread evenly over all classes")
    augment: str = _field("none", "random changes of the training images", AUGMENTS)
    mixed_precision: str = _field("none", "compute in 16 bits, keep weights in 32", PRECISIONS)
    strategy: str = _field("one", "one device, or a mirror on each GPU or virtual device", STRATEGIES)
    virtual_devices: int = _field(0, "mirrored on a CPU: split it into this many devices")
    seed: int = _field(0, "of weights, order, augmentation, dropout")
    deterministic: bool = _field(False, "slower kernels whose sums never depend on timing (GPU)")
    limit: int = _field(0, "use only this many examples of each split; 0: all")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            choices = field.metadata["choices"]
            if choices:
                self._rule(field.name, getattr(self, field.name) in choices, f"must be one of {', '.join(choices)}")
        for name in ("batch_size", "epochs", "patience"):
            self._rule(name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("virtual_devices", "limit", "weight_decay"):
            self._rule(name, 0 <= getattr(self, name) < math.inf, "must not be negative")
        self._rule("seed", 0 <= self.seed < 2**31, "must be in [0, 2^31)")
        self._rule("learning_rate", 0 < self.learning_rate < math.inf, "must be positive")
        self._rule("momentum", 0 <= self.momentum < 1, "must be in [0, 1)")
        self._rule("nesterov", not self.nesterov or self.optimizer != "sgd" or self.momentum > 0, "needs momentum > 0")
        self._rule("warmup_epochs", 0 <= self.warmup_epochs < self.epochs, f"must be in [0, epochs={self.epochs})")
        self._rule("label_smoothing", 0 <= self.label_smoothing < 1, "must be in [0, 1)")
        self._rule("decay_rate", 0 < self.decay_rate <= 1, "must be in (0, 1]")
        rising = all(a < b for a, b in zip((0.0, *self.milestones), (*self.milestones, 1.0), strict=True))
        self._rule("milestones", rising, "must rise within (0, 1), as parts of the run")
        self._rule(
            "virtual_devices",
            self.virtual_devices == 0 or self.strategy == "mirrored",
            "are for strategy=mirrored only",
        )

    def _rule(self, name: str, holds: bool, rule: str):
        if not holds:
            raise InputError(f"{name} {rule}. Received: {getattr(self, name)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {**dataclasses.asdict(self), "milestones": list(self.milestones)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`; refuses unknown names."""
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise InputError(f"TrainConfig has no field of this name. Received: {', '.join(sorted(unknown))}")
        return cls(**{**values, "milestones": tuple(values.get("milestones", cls.milestones))})

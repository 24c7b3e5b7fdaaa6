"""A shortened training: trained on the training part by a recipe, measured on the validation part."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.search.records import NOT_FINITE, Result

if TYPE_CHECKING:
    import keras

    from kerascnn import data, training

Builder = Callable[[Any, Sequence[int], int], "keras.Model"]
RECIPE = "cifar"
# Settings that need a run folder, or more than a model and its images.
_OF_RUNS = (
    "ema", "progressive", "adversarial", "unfreeze", "freeze", "class_weights", "recompute", "sparsity",
    "deterministic", "strategy", "virtual_devices", "limit", "seed", "epochs",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Searched:
    """What a plan has to know of a network that has no row in the registry."""

    input_shape: tuple[int, int, int]
    name: str = "searched"
    task: str = "classification"
    recipe: str = RECIPE
    min_size: int = 1
    size_multiple: int = 1
    weight_decay: float | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """To [-1, 1], whole images."""
        channels = self.input_shape[2]
        return Preprocessing((0.5,) * channels, (0.5,) * channels, 1.0, fit="pad")


def plan(source: "data.Source", recipe: str | None = None, **overrides: Any) -> "training.Plan":
    """The plan of a training of a searched network: that of the recipe, for images of the set's own size.

    Args:
        source: labeled images of one size.
        recipe: a name in `kerascnn.training.recipes.RECIPES`; None: "cifar" or what stands for it.
        **overrides: fields of `TrainConfig`.

    Returns:
        The plan.

    Raises:
        InputError: the images differ in size, or an argument is out of range.
    """
    from kerascnn import training

    if source.task != "classification" or None in source.image_shape:
        raise _check.refuse("data", "labeled images of one size", source.name)
    return training.plan(Searched(source.image_shape), source, recipe=recipe, **overrides)


class Training:
    """Trains a candidate for a few epochs; the value is the accuracy on the validation part. It never sees the test
    part.

    Each process reads the data once. The metrics are the accuracy, the loss and the epochs that were trained; the cost
    is parameters, multiply-adds and the seconds of the training alone. A loss that is not finite is a candidate that
    failed.

    Args:
        data: name or folder of a set, as for `kerascnn.data.load`.
        data_dir: where that looks for it.
        build: `build(candidate, input_shape, classes)` gives a model that ends in logits; None: `Networks()`.
        epochs: where the proposal has no budget of its own; that is rounded to whole epochs, at least one.
        samples: at most so many images of each part; None: all.
        recipe: a name in `kerascnn.training.recipes.RECIPES`; None: "cifar" or what stands for it.
        **settings: fields of `TrainConfig`, such as `learning_rate`, `batch_size` or `early_stopping`, the epochs
            without a lower validation loss after which a training ends.

    Raises:
        InputError: an argument is out of range, or is one that only whole runs have.

    Example:

        run(spaces.darts(), RandomSearch(), Training("digits", build=Networks(filters=4), epochs=3), budget="20m",
            out="searches/a")
    """

    def __init__(
        self,
        data: str,
        data_dir: str | None = None,
        *,
        build: Builder | None = None,
        epochs: int = 3,
        samples: int | None = None,
        recipe: str | None = None,
        **settings: Any,
    ):
        from kerascnn.training.config import check_fields

        self.data, self.data_dir = data, data_dir
        self.epochs = _check.whole("epochs", epochs, 1)
        self.samples = None if samples is None else _check.whole("samples", samples, 1)
        self.recipe, self._settings = recipe, check_fields(dict(settings))
        if build is not None and not callable(build):
            raise _check.refuse("build", "a function", build)
        for name, value in self._settings.items():
            if name in _OF_RUNS or (name, value) == ("schedule", "plateau"):
                raise InputError(f"{name} is a setting of whole runs alone. Received: {name}={value}")
        self._build = build
        self._source: Any = None

    def __getstate__(self):
        return {**vars(self), "_source": None}  # a process reads the data itself

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one evaluator from another."""
        named = getattr(self._build, "settings", None)
        build = named() if callable(named) else getattr(self._build, "__qualname__", repr(type(self._build)))
        own = {name: getattr(self, name) for name in ("data", "data_dir", "epochs", "samples", "recipe")}
        return {**own, **self._settings, "build": None if self._build is None else build}

    def check(self) -> None:
        """Reads the data and plans a training, so that what no candidate could be trained with is told at once.

        Raises:
            InputError: the data or the settings cannot be used.
        """
        plan(self.source, self.recipe, **{**self._settings, "epochs": self.epochs})

    def build(self, candidate: Any) -> "keras.Model":
        """The network of a candidate, for the images of the set.

        Args:
            candidate: what a space decodes.

        Returns:
            Images -> logits.
        """
        if self._build is None:
            from kerascnn.search.building import Networks

            self._build = Networks()
        return self._build(candidate, self.source.image_shape, len(self.source.class_names))

    @property
    def source(self) -> "data.Source":
        """The data, read at the first use."""
        if self._source is None:
            from kerascnn import data

            self._source = data.load(self.data, self.data_dir, limit=self.samples)
        return self._source

    def __call__(self, candidate: Any, budget: float | None, seed: int) -> Result:
        """Trains a candidate.

        Args:
            candidate: what a space decodes.
            budget: epochs; None: `epochs`.
            seed: of weights, order and augmentation.

        Returns:
            The validation accuracy, and what the network costs.

        Raises:
            InputError: the candidate cannot be built, or the settings do not fit.
        """
        import keras

        from kerascnn import analysis
        from kerascnn.data import eval_pipeline
        from kerascnn.tasks import TASKS
        from kerascnn.training import building

        keras.backend.clear_session()
        epochs = self.epochs if budget is None else max(1, round(budget))
        source, planned = self.source, plan(self.source, self.recipe, **{**self._settings, "epochs": epochs})
        kept = {"epochs": epochs, "seed": seed % 2**31}  # where the recipe says more, a search does without
        config = dataclasses.replace(planned.config, **{**_defaults(), **kept})
        classes = len(source.class_names)
        keras.utils.set_random_seed(config.seed)
        outputs = TASKS["classification"].output_shape(planned.shape, classes)
        model = building.build(lambda: self.build(candidate), config, planned.shape, outputs)
        cost = analysis.count(model)
        measured = eval_pipeline(source, "validation", image_shape=planned.shape, preprocessing=planned.preprocessing,
                                 batch_size=256, keep=True)  # fmt: skip
        began = time.perf_counter()
        history = _fit(model, source, planned, config, measured)
        seconds = time.perf_counter() - began
        params = cost.params_trainable + cost.params_other
        spent = {"parameters": params, "macs": cost.macs, "train_seconds": seconds}
        if not math.isfinite(history["loss"][-1]) or not math.isfinite(history["val_loss"][-1]):
            return Result(0.0, cost=spent, status=NOT_FINITE, message=f"the loss is {history['loss'][-1]}")
        best = max(range(len(history["loss"])), key=lambda i: history["val_accuracy"][i])
        found = {"accuracy": history["val_accuracy"][best], "loss": history["val_loss"][best]}
        return Result(found["accuracy"], {**found, "epochs": len(history["loss"])}, spent)


def _defaults() -> dict[str, Any]:
    from kerascnn.training import TrainConfig

    return {field.name: field.default for field in dataclasses.fields(TrainConfig) if field.name in _OF_RUNS}


def _fit(model, source, planned, config, measured) -> dict[str, list[float]]:
    """Keras' history of the training."""
    import keras

    from kerascnn.data import train_pipeline
    from kerascnn.tasks import TASKS
    from kerascnn.training import callbacks, compiling

    batch = min(config.batch_size, source.sizes["train"])
    steps = source.sizes["train"] // batch
    compiling.as_told(config, model, TASKS["classification"], steps, len(source.class_names), None, None)
    feed, _ = train_pipeline(
        source,
        image_shape=planned.shape,
        preprocessing=planned.preprocessing,
        batch_size=batch,
        augment=config.augment,
        sampling=config.sampling,
        seed=config.seed,
        epochs=config.epochs,
    )
    hooks: list[keras.callbacks.Callback] = [callbacks.SeedEpoch(config.seed, 0), keras.callbacks.TerminateOnNaN()]
    if callbacks.progress_layers(model):
        hooks.append(callbacks.ScheduleDropPath(config.epochs, steps))
    if config.early_stopping:
        hooks.append(keras.callbacks.EarlyStopping("val_loss", patience=config.early_stopping))
    return model.fit(feed, validation_data=measured, epochs=config.epochs, steps_per_epoch=steps, shuffle=False,
                     verbose=0, callbacks=hooks).history  # fmt: skip

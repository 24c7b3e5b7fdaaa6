"""One run of training, in a folder that is held: agreed on, built, compiled, restored and fitted, in this order."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import logging
from rich.console import Console

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.inference.checkpoint import check_whole
from kerascnn.tasks import Task
from kerascnn.training import (
    adversarial,
    building,
    callbacks,
    compiling,
    distillation,
    history,
    progressive,
    schedules,
    strategies,
    weighting,
)
from kerascnn.training.config import TrainConfig
from kerascnn.training.recomputing import recompute
from kerascnn.training.run_folder import RunFolder, differences
from kerascnn.training.workers import sums
from kerascnn.training.workers.fitting import fit
from kerascnn.training.workers.team import Team

VALIDATION = "validation"  # the split that is measured after each epoch; "test" is for `evaluate` alone


class Job:
    """What `train` does in a folder that is held, by the chief, where there are several workers.

    Args:
        run: the folder.
        record: for its config.json.
        source: the data.
        task: theirs.
        preprocessing: what is done to the pixels.
        workers: where there are several.
        console: prints progress there; None: the log.

    Raises:
        InputError: the folder holds another run or one that has diverged, or the settings do not fit the data.
    """

    def __init__(
        self,
        run: RunFolder,
        record: Mapping[str, Any],
        source: "data.Source",
        task: Task,
        preprocessing: Preprocessing,
        workers: Team | None,
        console: Console | None,
    ):
        self.run, self.source, self.task, self.preprocessing, self.console = run, source, task, preprocessing, console
        self.tell: Callable[[str], Any] = console.print if console else logging.info
        self.workers = workers
        self.chief = workers is None or workers.is_chief
        self.several = workers is not None and workers.strategy is not None
        self.classes, self.shape = len(source.class_names), tuple(record["model"]["input_shape"])
        self.config, self.rows = self._agreed(record)
        self.record = {**record, "training": self.config.to_dict()}
        self.first = len(self.rows)  # epochs that need not be trained
        self._check()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do; of several workers none knows this alone."""
        over = self.config.epochs <= len(self.rows)
        over = over or schedules.stopped(self.config, [row["val_loss"] for row in self.rows])
        return not self.several and over and len(self.rows) in self.run.saved_epochs()

    def _agreed(self, record: Mapping[str, Any]) -> tuple[TrainConfig, list[history.Row]]:
        """The settings and the history so far; in each worker those of the chief."""
        if not self.several:
            config = self.run.agree(record)
            return config, history.read(self.run.history, self._columns(config))
        told = None
        if self.chief:
            config = self.run.agree(record)
            rows = history.read(self.run.history, self._columns(config))
            told = {"record": record, "training": config.to_dict(), "rows": rows}
        told = self.workers.agree(told)
        differing = differences(told["record"], record)
        if differing:
            raise InputError(
                f"Worker {self.workers.members.index} must have the settings of the chief: {'; '.join(differing)}. "
                f"Received: {self.workers.out}"
            )
        return TrainConfig.from_dict(told["training"]), told["rows"]

    def _columns(self, config: TrainConfig) -> list[str]:
        return history.columns(self.task.measures(self.classes), ["image_size"] if config.progressive else ())

    def _check(self) -> None:
        if epoch := history.diverged(self.rows):
            raise InputError(
                f"The run has diverged: history.csv is not finite in epoch {epoch}. Start again in another folder with "
                f"a lower learning rate. Received: {self.run.path}"
            )
        if self.workers is not None and not self.several and not self.finished:
            rule = "workers.join must be told the epochs of a finished run that is to go on"
            raise InputError(f"{rule}. Received: {self.run.path}, epochs={self.config.epochs}")
        if not self.finished and self.config.accumulate > self.steps * self.config.epochs:
            rule = f"accumulate must be at most the {self.steps * self.config.epochs} batches of the run"
            raise InputError(f"{rule}, or no step is ever taken. Received: accumulate={self.config.accumulate}")

    @property
    def batch(self) -> int:
        """Images; the pipeline makes one batch of a smaller set."""
        return min(self.config.batch_size, self.source.sizes["train"])

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return self.source.sizes["train"] // self.batch

    def build(self, build_model: Callable[[], keras.Model], initialize: Callable[[keras.Model], Any] | None) -> None:
        """Makes the model, in the scope of the strategy; the chief of a first start gives it initial weights."""
        config = self.config
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        self._weights = weighting.of_source(config.class_weights, self.source, self.tell)
        self.strategy = strategies.build(config, self.batch, self.workers.strategy if self.several else None)
        self.share = self.workers.share if self.several else data.Share()
        with self.strategy.scope():
            keras.utils.set_random_seed(config.seed)
            self.model = building.build(
                build_model, config, self.shape, self.task.output_shape(self.shape, self.classes)
            )
        if config.batch_statistics == "sync" and self.strategy.num_replicas_in_sync > 1:
            strategies.synchronize(self.model)
        if self.chief and initialize is not None and not self.run.saved_epochs():
            with self._alone():
                initialize(self.model)
        if config.progressive:
            progressive.check(self.model, config.progressive)
        if config.recompute:
            self.tell(recompute(self.model).text)

    def _alone(self):
        """Where the chief makes variables: in the scope of several workers all make them at once, so outside of it."""
        return contextlib.nullcontext() if self.several else self.strategy.scope()

    def compile(self, teacher) -> None:
        """Compiles the model as the settings say."""
        config, model = self.config, self.model
        with self.strategy.scope():
            self.thaw = callbacks.Unfreeze(model, config.unfreeze, self.tell) if config.unfreeze else None
            starts = self.thaw.starts(self.steps) if self.thaw else None
            compiling.as_told(config, model, self.task, self.steps, self.classes, self._weights, starts)
            distillation.as_told(config, model, teacher, self.preprocessing)
            adversarial.as_told(config, model, self.preprocessing)
            self.average = callbacks.AverageWeights(config.ema, config.accumulate) if config.ema else None
            if self.average:
                self.average.set_model(model)

    def restore(self) -> None:
        """Reads the newest checkpoint, in all workers, and writes down what is trained."""
        first = 0
        if self.chief:
            with self._alone():
                first = self._restored()
        if self.several:
            first = self.workers.agree(first)
            sums.as_the_chief(self.strategy, [*self.model.variables, *self.model.optimizer.variables], self.chief)
            if self.average:
                self.average.follow(self.workers.agree(self.average.taken), self.chief)
        if self.chief:
            self.run.claim(self.record)
        self.first = first
        del self.rows[first:]
        if first and self.chief:
            self.tell(f"resuming after epoch {first} in {self.run.path}")

    def _restored(self) -> int:
        """Loads the newest whole checkpoint that history.csv covers, with the optimizer; its epoch, 0 for none."""
        saved = self.run.saved_epochs()
        for epoch in reversed(saved):
            path = self.run.checkpoint(epoch)
            if epoch > len(self.rows):
                logging.warning("%s is newer than history.csv; skipped", path)
                continue
            try:
                check_whole(path)
                self.model.load_weights(path)
                if self.average:
                    self.average.load(self.run.average(epoch))
                return epoch
            except (ValueError, KeyError, OSError) as error:
                logging.warning("%s is skipped: %s", path, " ".join(str(error).split())[:200])
        if saved:
            rule = "None of the checkpoints can be used; delete the folder to start again"
            raise InputError(f"{rule}. Received: {self.run.path}")
        return 0

    def fit(self, more: Sequence[keras.callbacks.Callback]) -> None:
        """Trains the epochs that are left; `more` callbacks are the chief's."""
        measured = strategies.even_batch(
            self.source.sizes[VALIDATION], self.config.batch_size, self.strategy.num_replicas_in_sync
        )
        validation, validation_steps = data.eval_share(
            self.source, VALIDATION, self.share, image_shape=self.shape, preprocessing=self.preprocessing,
            batch_size=measured, keep=True,
        )  # fmt: skip
        hooks = [*self._hooks(validation, validation_steps), *(more if self.chief else ())]
        try:
            for part in progressive.left(
                self.model, self.config, self.first, self.console.print if self.console else None
            ):
                size = (part.size, part.size) if part.size else self.shape[:2]
                feed, _ = data.train_pipeline(
                    self.source, image_shape=(*size, self.shape[2]), preprocessing=self.preprocessing,
                    batch_size=self.batch, augment=self.config.augment, sampling=self.config.sampling,
                    seed=self.config.seed, first_epoch=part.first, epochs=part.last, share=self.share,
                )  # fmt: skip
                self._fit_part(part, feed, validation, validation_steps, hooks)
        except tf.errors.OpError as error:
            if self.several and self.workers.is_loss(error):
                raise
            raise data.explain(self.source, error) from error
        finally:
            # The bar of an epoch that was not finished; programs that follow the run are told of its end.
            for hook in hooks:
                if hasattr(hook, "close"):
                    hook.close()

    def _fit_part(self, part, feed, validation, validation_steps, hooks) -> None:
        """Trains the epochs of one size of images."""
        if self.several:
            fit(
                self.model, feed, validation, epochs=part.last, initial_epoch=part.first, steps=self.steps,
                validation_steps=validation_steps, callbacks=hooks,
            )  # fmt: skip
            return
        self.model.make_train_function(force=True)  # for images of this size, not of any
        self.model.fit(
            feed, validation_data=validation, epochs=part.last, initial_epoch=part.first, steps_per_epoch=self.steps,
            shuffle=False, verbose=0, callbacks=hooks,
        )  # fmt: skip

    def _hooks(self, validation, validation_steps: int) -> list[keras.callbacks.Callback]:
        """Callbacks, in the order in which they act."""
        config, run, rows = self.config, self.run, self.rows
        hooks: list[keras.callbacks.Callback | None] = [
            callbacks.SeedEpoch(config.seed, self.share.first),
            callbacks.AverageStatistics(),
            callbacks.StopOnNaN(config, run),
            self.average,
            self.thaw,
        ]
        if callbacks.progress_layers(self.model):
            hooks.append(callbacks.ScheduleDropPath(config.epochs, self.steps))
        if config.schedule == "plateau":
            hooks.append(callbacks.Plateau(config, rows, self.steps))
        title = f"{self.record['model']['name']} on {self.source.name}"
        extra = [{"image_size": x.size} for x in progressive.parts(config) for _ in range(x.first, x.last) if x.size]
        if self.chief:
            record = callbacks.Record(run, rows, self.task, self.classes, title, self.average, extra)
            hooks += [record, callbacks.TensorBoard(run)]
        else:
            hooks.append(callbacks.Remember(rows, extra))
        if config.sparsity and self.chief:
            hooks.append(callbacks.Sparsity(run.path, callbacks.first_images(validation, config.sparsity)))
        if config.early_stopping:
            hooks.append(callbacks.StopEarly(config, rows, self.tell))
        if self.console and self.chief:
            titles = {name: self.task.titles[name] for name in self.task.measures(self.classes)}
            hooks.append(
                callbacks.ShowProgress(self.console, config.epochs, self.steps, validation_steps, self.batch, titles)
            )
        return [hook for hook in hooks if hook is not None]

"""What happens around an epoch: seeding, plateau, the watch for NaN, TensorBoard, and writing the run folder."""

import math
import time

import keras
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn._files import replace_with
from kerascnn.inference.checkpoint import with_probabilities
from kerascnn.layers.scheduled_drop_path import Progress
from kerascnn.tasks.task import Task
from kerascnn.training import curves, history, schedules
from kerascnn.training.config import TrainConfig
from kerascnn.training.run_folder import RunFolder

_SCALAR = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"}, data_class=1)  # 1: a scalar time series


class SeedEpoch(keras.callbacks.Callback):
    """Sets the state of every random layer from (seed, layer, epoch).

    Keras keeps these states out of its files; derived from the epoch they need not be there, and a resumed run drops
    the same units as an uninterrupted one.
    """

    def __init__(self, seed: int):
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        states = [variable for variable in self.model.variables if variable.path.endswith("seed_generator_state")]
        for index, state in enumerate(states):
            # The second number counts draws, so epochs start far apart; the first keeps layers and runs apart.
            state.assign([(self._seed * 7919 + index * 104729) % 2**31, epoch * 2**20 % 2**31])


class AverageStatistics(keras.callbacks.Callback):
    """Before each validation, gives every device of a strategy the average of the devices' moving statistics.

    Under MirroredStrategy each device's batch norms see only its share of the batches, and Keras lets their moving
    statistics drift apart; a file has room for one of them.
    """

    def on_test_begin(self, logs=None):
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return
        with strategy.scope():
            for variable in self.model.non_trainable_variables:
                if variable.dtype.startswith("float"):
                    parts = strategy.experimental_local_results(variable.value)
                    variable.assign(tf.add_n([tf.convert_to_tensor(part) for part in parts]) / len(parts))


class ScheduleDropPath(keras.callbacks.Callback):
    """Before each step tells the model's `layers.Progress` which part of the training is done.

    Scheduled drop-path then drops the more paths the longer the training has lasted: Zoph, Vasudevan, Shlens, Le,
    Learning transferable architectures for scalable image recognition, 2017, arXiv:1707.07012. `training.train` adds it
    by itself.

    Args:
        epochs: of the whole training, at least 1.
        steps: of an epoch, at least 1.

    Raises:
        InputError: one of the two is something else, or the model that is trained has no such layer.
    """

    def __init__(self, epochs: int, steps: int):
        super().__init__()
        for name, value in (("epochs", epochs), ("steps", steps)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} must be a whole number, at least 1. Received: {value!r}")
        self._epochs, self._steps, self._epoch = epochs, steps, 0
        self._layers: list[Progress] = []

    def on_train_begin(self, logs=None):
        self._layers = progress_layers(self.model)
        if not self._layers:
            raise InputError(f"The model must have drop_path_rate > 0 to be scheduled. Received: {self.model.name}")

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        done = min((self._epoch * self._steps + batch) / (self._epochs * self._steps), 1.0)
        for layer in self._layers:
            layer.progress.assign(done)


def progress_layers(model: keras.Model) -> list[Progress]:
    """The `layers.Progress` of a model and of the models inside it."""
    found = []
    for layer in model.layers:
        found += progress_layers(layer) if isinstance(layer, keras.Model) else [layer] * isinstance(layer, Progress)
    return found


class Plateau(keras.callbacks.Callback):
    """The rate of the "plateau" schedule, with its warm-up, from the validation losses in `rows`."""

    def __init__(self, config: TrainConfig, rows: list[history.Row], steps: int):
        super().__init__()
        self._config, self._rows, self._steps = config, rows, steps
        self._warm = round(config.warmup_epochs * steps)
        self._epoch, self._rate = 0, config.learning_rate

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._rate = schedules.plateau(self._config, [row["val_loss"] for row in self._rows])
        self.model.optimizer.learning_rate = self._rate

    def on_train_batch_begin(self, batch, logs=None):
        step = self._epoch * self._steps + batch
        if step <= self._warm:
            self.model.optimizer.learning_rate = self._rate * min(step / max(self._warm, 1), 1.0)


class StopOnNaN(keras.callbacks.Callback):
    """Raises as soon as the mean loss of the epoch is not finite; looks at most ten times a second."""

    def __init__(self, config: TrainConfig, run: RunFolder):
        super().__init__()
        self._config, self._run, self._looked, self._epoch = config, run, 0.0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if now - self._looked > 0.1:
            self._looked = now
            self._check(logs, f" by step {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, "")

    def _check(self, logs, where):
        if math.isfinite(float(logs["loss"])):
            return
        saved = self._run.saved_epochs()
        kept = f"{self._run.checkpoint(saved[-1])} is the last good state" if saved else "no epoch was finished"
        raise InputError(
            f"The loss became {float(logs['loss'])} in epoch {self._epoch + 1}{where}; {kept}. "
            f"Start again in another folder with a lower learning rate. Received: {self._config.learning_rate}"
        )


class Record(keras.callbacks.Callback):
    """Writes the run folder after each epoch.

    First history.csv, then best.keras, then the checkpoint: the epoch counts as finished when its checkpoint is there,
    and what a kill in between leaves is rewritten with the same values when the epoch is repeated.
    """

    def __init__(self, run: RunFolder, rows: list[history.Row], task: Task, classes: int, title: str):
        super().__init__()
        self._run, self._rows, self._task, self._title = run, rows, task, title
        self._names = history.columns(task.measures(classes))
        self._began = 0.0
        self._inference = None

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(value) for name, value in (logs or {}).items()}
        row |= {"epoch": epoch + 1, "lr": last_rate(self.model.optimizer), "seconds": time.monotonic() - self._began}
        self._rows.append(row)
        history.write(self._run.history, self._rows, self._names)
        if history.best(self._rows, self._task.best) == epoch:
            self._inference = self._inference or with_probabilities(self.model)
            save(self._inference, self._run.best)
        save(self.model, self._run.checkpoint(epoch + 1))
        self._run.prune()
        curves.plot(self._rows, self._run.curves, self._title, self._task.drawn)


def save(model: keras.Model, path):
    """Saves a model so that the file is whole or not there."""
    with replace_with(path) as temporary:
        model.save(temporary)


def last_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate of the step taken last."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(schedule(optimizer.iterations - 1))
    return float(optimizer.learning_rate)


class TensorBoard(keras.callbacks.Callback):
    """Scalars per epoch for TensorBoard, in `train` and `validation`, with the learning rate in `train`."""

    def __init__(self, run: RunFolder):
        super().__init__()
        self._folder = run.tensorboard
        self._writers = {}

    def on_epoch_end(self, epoch, logs=None):
        try:
            for name, value in (logs or {}).items():
                part = "validation" if name.startswith("val_") else "train"
                self._scalar(part, name.removeprefix("val_"), value, epoch + 1)
            self._scalar("train", "learning_rate", last_rate(self.model.optimizer), epoch + 1)
            for writer in self._writers.values():
                writer.flush()
        except tf.errors.OpError as error:
            raise OSError(f"TensorBoard logs cannot be written to {self._folder}: {error.message}") from error

    def _scalar(self, part, name, value, step):
        if part not in self._writers:
            self._writers[part] = tf.summary.create_file_writer(str(self._folder / part))
        with self._writers[part].as_default():
            # What tf.summary.scalar writes; that function needs TensorBoard installed, to be seen it is needed anyway.
            tf.summary.write(name, tf.constant(value, tf.float32), step, _SCALAR)

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()

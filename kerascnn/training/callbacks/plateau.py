"""The learning rate of the "plateau" schedule."""

import keras

from kerascnn.training import history, schedules
from kerascnn.training.config import TrainConfig


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

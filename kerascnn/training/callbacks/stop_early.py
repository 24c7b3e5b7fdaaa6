"""The end of a run that does not get better any more."""

from collections.abc import Callable

import keras

from kerascnn.training import history, schedules
from kerascnn.training.config import TrainConfig


class StopEarly(keras.callbacks.Callback):
    """Ends `fit` where `schedules.stopped` says so of the validation losses in `rows`, which `Record` appends to.

    Args:
        config: `early_stopping` is used.
        rows: of the history.
        say: is given a line when the run ends.
    """

    def __init__(self, config: TrainConfig, rows: list[history.Row], say: Callable[[str], None]):
        super().__init__()
        self._config, self._rows, self._say = config, rows, say

    def on_epoch_end(self, epoch, logs=None):
        if schedules.stopped(self._config, [row["val_loss"] for row in self._rows]):
            self._say(f"stopped after epoch {epoch + 1}: {self._config.early_stopping} without a lower validation loss")
            self.model.stop_training = True

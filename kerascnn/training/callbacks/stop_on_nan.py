"""The end of a run whose loss or weights are not finite any more."""

import math
import time

import keras
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.training.config import TrainConfig
from kerascnn.training.run_folder import RunFolder


class StopOnNaN(keras.callbacks.Callback):
    """Raises when a run has diverged, before anything of that epoch is written.

    Within an epoch its mean loss is looked at, at most ten times a second; after it, the loss of the validation and
    every weight too, because the step after which the weights are infinite is made at a finite loss.

    Args:
        config: `learning_rate` is named in the message.
        run: whose last checkpoint is named in the message.
    """

    def __init__(self, config: TrainConfig, run: RunFolder):
        super().__init__()
        self._config, self._run, self._looked, self._epoch = config, run, 0.0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if now - self._looked > 0.1:
            self._looked = now
            self._check("The loss", float(logs["loss"]), f" by step {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        self._check("The loss", float(logs["loss"]))
        if "val_loss" in logs:
            self._check("The validation loss", float(logs["val_loss"]))
        for path in not_finite(self.model):
            self._check(f"The weight {path}", math.nan)

    def _check(self, what, value, where=""):
        if math.isfinite(value):
            return
        saved = self._run.saved_epochs()
        kept = f"{self._run.checkpoint(saved[-1])} is the last good state" if saved else "no epoch was finished"
        place = "in another folder " if saved else ""
        raise InputError(
            f"{what} became {value} in epoch {self._epoch + 1}{where}; {kept}. Start again {place}with a lower "
            f"learning rate. Received: learning_rate={self._config.learning_rate}"
        )


def not_finite(model: keras.Model) -> list[str]:
    """The paths of a model's variables that hold NaN or infinity.

    Args:
        model: any built model.
    """
    floats = [variable for variable in model.variables if variable.dtype.startswith(("float", "bfloat"))]
    finite = [tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(variable.value))) for variable in floats]
    if not floats or bool(tf.reduce_all(tf.stack(finite))):
        return []
    return [variable.path for variable, sound in zip(floats, finite, strict=True) if not bool(sound)]

"""Scheduled drop-path: layers are told how far the training is."""

import keras

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.layers.scheduled_drop_path import Progress


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
        self._epochs, self._steps = _check.whole("epochs", epochs, 1), _check.whole("steps", steps, 1)
        self._epoch = 0
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

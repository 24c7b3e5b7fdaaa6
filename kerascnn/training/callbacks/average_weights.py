"""A moving average of the weights, which is measured and kept in place of them."""

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._files import replace_with
from kerascnn.training.workers import sums


class AverageWeights(keras.callbacks.Callback):
    """Averages all weights and batch statistics over the steps, and measures the average.

    average = d average + (1 - d) weights with d = min(decay, (1 + step) / (10 + step)), so that short runs do not keep
    their random beginning. The validation of `fit` is that of the average; the training goes on with the weights.
    Keras' own (`use_ema` of its optimizers) leaves the statistics of batch norms out, so that averaged weights are
    measured with statistics of other ones, and has no ramp. A step is what Keras reports as one: with
    `steps_per_execution` of several batches the average moves once for all of them.

    Args:
        decay: in (0, 1); 0.9999 with EfficientNet.
        accumulate: batches to a step, at least 1.

    Raises:
        InputError: one of the two is something else.

    Source:
        Polyak & Juditsky 1992 (doi.org/10.1137/0330046); the ramp is that of TensorFlow's `ExponentialMovingAverage`,
        with which Szegedy et al. 2015 (arXiv:1512.00567, section 8) and Tan & Le 2019 (arXiv:1905.11946) trained.

    Example:

        average = AverageWeights(0.999)
        model.fit(images, labels, epochs=5, validation_split=0.1, callbacks=[average])
        with average.applied():
            model.save("average.keras")
    """

    def __init__(self, decay: float, accumulate: int = 1):
        super().__init__()
        self._decay = _check.real("decay", decay, 0.0, 1.0, above=True, below=True)
        self._accumulate, self._taken, self._batches = _check.whole("accumulate", accumulate, 1), 0, 0
        self._averages: list[tf.Variable] = []
        self._variables: list[keras.Variable] = []
        self._update = None

    def set_model(self, model):
        """Begins with the weights as they are, unless this model's average has begun already."""
        super().set_model(model)
        variables = [x for x in model.variables if x.dtype.startswith(("float", "bfloat"))]  # no counters, no seeds
        if [id(x) for x in variables] == [id(x) for x in self._variables]:
            return
        self._variables, self._taken, self._batches = variables, 0, 0
        self._averages = [tf.Variable(_mean(model, x), trainable=False) for x in variables]
        self._update = tf.function(self._move)

    def _move(self, keep):
        for average, variable in zip(self._averages, self._variables, strict=True):
            average.assign(average + (1 - tf.cast(keep, average.dtype)) * (_mean(self.model, variable) - average))

    def on_train_batch_end(self, batch, logs=None):
        self._batches += 1
        if self._batches % self._accumulate:
            return
        self._taken += 1
        keep = min(self._decay, (1 + self._taken) / (10 + self._taken))
        self._update(tf.constant(keep, tf.float64))

    def on_test_begin(self, logs=None):
        # Averages of batch statistics are those of one worker's devices; the others' count as much.
        strategy = self.model.distribute_strategy
        for average, total in zip(own := self._of_statistics(), sums.over_workers(strategy, _arrays(own)), strict=True):
            average.assign(tf.cast(total / sums.workers(strategy), average.dtype))
        self._swap()

    def _of_statistics(self):
        return [x for x, variable in zip(self._averages, self._variables, strict=True) if not variable.trainable]

    @property
    def taken(self) -> list[int]:
        """Steps and batches so far."""
        return [self._taken, self._batches]

    def follow(self, taken: list[int], is_chief: bool) -> None:
        """Takes over the average of the chief of several workers; all call it at once.

        Args:
            taken: of the chief.
            is_chief: whether this is the chief.
        """
        self._taken, self._batches = taken
        sums.as_the_chief(self.model.distribute_strategy, self._averages, is_chief)

    def on_test_end(self, logs=None):
        self._swap()

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the average while this lasts."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self):
        """Weights and average change places."""
        with self.model.distribute_strategy.scope():
            for average, variable in zip(self._averages, self._variables, strict=True):
                value = _mean(self.model, variable)
                variable.assign(average)
                average.assign(value)

    def save(self, path: Path) -> None:
        """Writes the average, whole or not at all.

        Args:
            path: an .npz file.
        """
        arrays = {str(index): average.numpy() for index, average in enumerate(self._averages)}
        with replace_with(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays, counts=np.array([self._taken, self._batches]))

    def load(self, path: Path) -> None:
        """Goes on with the average of a file; the model must have been set.

        Args:
            path: what `save` wrote.

        Raises:
            InputError: it is damaged, or the average of another network.
        """
        try:
            with open(path, "rb") as file, np.load(file) as kept:  # opened here: NumPy leaves a damaged one open
                arrays = [kept[str(index)] for index in range(len(self._averages))]
                taken, batches = (int(x) for x in kept["counts"])
                if len(kept.files) != len(arrays) + 1:
                    raise ValueError(f"it has {len(kept.files) - 1} arrays, the model {len(arrays)}")
            for average, array in zip(self._averages, arrays, strict=True):
                average.assign(array)
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"The average of the weights cannot be read ({reason}). Received: {path}") from error
        self._taken, self._batches = taken, batches


def _arrays(variables):
    return [np.asarray(tf.convert_to_tensor(x), np.float64) for x in variables]


def _mean(model: keras.Model, variable: keras.Variable):
    """The value of a variable, of batch statistics the mean over the devices."""
    parts = [tf.convert_to_tensor(x) for x in model.distribute_strategy.experimental_local_results(variable.value)]
    return parts[0] if len(parts) == 1 or variable.trainable else tf.add_n(parts) / len(parts)

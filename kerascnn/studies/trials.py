"""Short trainings that a study compares: the same examples in the same order, weights drawn from seeds of their own."""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError

EXAMPLES_AT_A_TIME = 500  # images at a time where nothing is trained


@dataclasses.dataclass(frozen=True)
class Examples:
    """Standardized images to train on, and others, held out, to measure on."""

    images: np.ndarray  # float32 [n, height, width, channels], mean 0, deviation 1
    labels: np.ndarray  # int32 [n]
    held_images: np.ndarray
    held_labels: np.ndarray
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """[height, width, channels]."""
        return self.images.shape[1:]


def divided(images: npt.ArrayLike, labels: npt.ArrayLike, held_out: float) -> Examples:
    """Divides examples in the order in which they come: the last ones are held out.

    Args:
        images: [n, height, width, channels], in any unit; all are standardized by the deviation and the mean of those
            that are trained on.
        labels: classes [n], from 0.
        held_out: share, between 0 and 1.

    Returns:
        Both parts.

    Raises:
        InputError: they are no images and labels, there are fewer than two classes, or a part would be empty.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or images.dtype.kind not in "uif" or 0 in images.shape:
        rule = "images must be numbers [n, height, width, channels]"
        raise InputError(f"{rule}. Received: {images.dtype.name} {images.shape}")
    images = images.astype("float32")
    if not np.isfinite(images).all():
        raise InputError("images must be finite. Received: NaN or infinity among them")
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() < 1:
        rule = f"labels must be {len(images)} classes from 0, at least two"
        raise InputError(f"{rule}. Received: {labels.dtype.name} {labels.shape}")
    held_out = _check.real("held_out", held_out, 0.0, 1.0, above=True)
    first = len(images) - round(held_out * len(images))
    if not 0 < first < len(images):
        rule = "held_out must leave images for both parts"
        raise InputError(f"{rule}. Received: held_out={held_out}, {len(images)} images")
    mean, deviation = images[:first].mean(dtype="float64"), images[:first].std(dtype="float64")
    images = ((images - mean) / (deviation or 1.0)).astype("float32")
    labels = labels.astype("int32")
    return Examples(images[:first], labels[:first], images[first:], labels[first:], int(labels.max()) + 1)


def fingerprint(examples: Examples) -> str:
    """Of both parts, for the record of rows that are kept."""
    found = hashlib.sha256()
    for value in (examples.images, examples.labels, examples.held_images, examples.held_labels):
        found.update(np.ascontiguousarray(value))
    return found.hexdigest()[:16]


class Draws:
    """Numbers that follow from a few others: the seeds of one network. The program's own generators are not touched."""

    def __init__(self, *seeds: int):
        self._seeds, self._count = seeds, 0

    def number(self) -> int:
        """The next seed."""
        self._count += 1
        return int(np.random.SeedSequence((*self._seeds, self._count)).generate_state(1)[0] >> 1)

    def he(self) -> keras.initializers.Initializer:
        """He's initial weights, of the next seed."""
        return keras.initializers.HeNormal(seed=self.number())


def orders(count: int, batch_size: int, seed: int):
    """Without an end: the numbers of the examples of each batch. Each pass goes through all, but for the last few that
    make no whole batch; the same for every network that has the same seed."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(count)
        for first in range(0, count - batch_size + 1, batch_size):
            yield order[first : first + batch_size]


class Trainer:
    """Steps of an optimizer on the mean cross-entropy of a network's logits.

    Args:
        model: [n, height, width, channels] -> logits [n, classes].
        examples: what it learns.
        optimizer: of Keras; built for the model's trainable weights.
        batch_size: at most the number of examples.
        seed: of the order.
    """

    def __init__(
        self, model: keras.Model, examples: Examples, optimizer: keras.optimizers.Optimizer, batch_size: int, seed: int
    ):
        if batch_size > len(examples.images):
            rule = "batch_size must be at most the number of training images"
            raise InputError(f"{rule}. Received: {batch_size}, {len(examples.images)} images")
        self._model, self._optimizer = model, optimizer
        self._images, self._labels = tf.constant(examples.images), tf.constant(examples.labels)
        self._orders = orders(len(examples.images), batch_size, seed)
        optimizer.build(model.trainable_variables)
        self._step = tf.function(self._one)

    def _one(self, order: tf.Tensor) -> tf.Tensor:
        images, labels = tf.gather(self._images, order), tf.gather(self._labels, order)
        with tf.GradientTape() as tape:
            loss = cross_entropy(self._model(images, training=True), labels)
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def steps(self, count: int, after: Callable[[int], Any] | None = None) -> np.ndarray:
        """Takes steps.

        Args:
            count: how many.
            after: is called with the number of each, from 0.

        Returns:
            float64 [count]: the loss before each step; NaN from where it is no longer finite, where training ends.
        """
        losses = np.full(count, np.nan)
        for number in range(count):
            losses[number] = float(self._step(tf.constant(next(self._orders))))
            if not np.isfinite(losses[number]):
                losses[number] = np.nan
                break
            if after is not None:
                after(number)
        return losses


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The mean over a batch, a scalar."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32)))


def measure(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(mean cross-entropy, accuracy) of a network's logits, as at inference; the loss may be infinite or NaN."""
    batches = [
        tf.constant(images[first : first + EXAMPLES_AT_A_TIME]) for first in range(0, len(images), EXAMPLES_AT_A_TIME)
    ]
    logits = np.concatenate([model(batch, training=False).numpy() for batch in batches])
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits.astype("float64")).numpy()
    return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())


def measure_both(model: keras.Model, examples: Examples) -> list[float]:
    """`measure` of the training images and of the held out ones: loss, accuracy, held loss, held accuracy."""
    held = measure(model, examples.held_images, examples.held_labels)
    return [*measure(model, examples.images, examples.labels), *held]


def step_down(rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that is divided by ten after three quarters of the steps."""
    return keras.optimizers.schedules.PiecewiseConstantDecay([3 * steps // 4], [rate, rate / 10])


def ascending(name: str, values: Sequence, one: Callable[[Any], Any]) -> list:
    """Checks a sequence of ascending numbers, each by `one`.

    Raises:
        InputError: it is none.
    """
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise _check.refuse(name, "ascending numbers", values)
    found = [one(value) for value in values]
    if sorted(set(found)) != found:
        raise _check.refuse(name, "ascending numbers", values)
    return found


def pooled(images: npt.ArrayLike, side: int) -> np.ndarray:
    """Means of squares of pixels, for networks that are to be small and quick.

    Args:
        images: [n, height, width, channels]; what is none is handed on, for `divided` to refuse.
        side: of a square; 1: none.

    Returns:
        float32 [n, height / side, width / side, channels].

    Raises:
        InputError: squares of that side do not fill the images.
    """
    side, images = _check.whole("pool", side, 1, 4096), np.asarray(images)
    if side == 1 or images.ndim != 4 or images.dtype.kind not in "uif":
        return images
    count, height, width, channels = images.shape
    if height % side or width % side:
        rule = f"pool must divide the sides of the images, {height} x {width}"
        raise InputError(f"{rule}. Received: pool={side}")
    squares = images.reshape(count, height // side, side, width // side, side, channels)
    return squares.mean(axis=(2, 4), dtype="float32")


def processor_seconds(model: keras.Model, images: np.ndarray, runs: int = 9) -> float:
    """The median processor time of a network's answers to a batch of images, of all threads of this process. Other
    programs hardly change it; what a GPU does is not in it."""
    asked, batch, seconds = tf.function(lambda x: model(x, training=False)), tf.constant(images), []
    asked(batch).numpy()  # the first time it is compiled
    for _ in range(runs):
        start = time.process_time()
        asked(batch).numpy()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds))

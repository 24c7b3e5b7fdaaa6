"""Cross-entropy of class numbers or of soft labels, with label smoothing, of images or of their pixels."""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from kerascnn import _check
from kerascnn.data.masks import IGNORE

_UNWEIGHTED = contextvars.ContextVar("unweighted", default=False)


@contextlib.contextmanager
def unweighted() -> Iterator[None]:
    """While this lasts, in this thread, losses do not weight classes: what is measured, and not trained."""
    token = _UNWEIGHTED.set(True)
    try:
        yield
    finally:
        _UNWEIGHTED.reset(token)


@keras.saving.register_keras_serializable(package="kerascnn")
class SmoothedCrossentropy(keras.losses.Loss):
    """`-sum_k q_k log p_k` with `q = (1 - smoothing) label + smoothing / classes` (arXiv:1512.00567, sec. 7).

    Labels are class numbers, which stand for `one_hot(number)`, or soft ones, one probability a class, as mixing two
    images makes them (Zhang et al. 2017, arXiv:1710.09412). Keras' own sparse cross-entropy cannot smooth, and its
    dense one wants one-hot labels from the data pipeline.

    With weights w of the classes it is `-sum_k w_k q_k log p_k`, as of PyTorch's `CrossEntropyLoss(weight=w)`, whatever
    the labels are. The loss of a batch is the mean over its examples, as PyTorch's is for soft labels; for class
    numbers PyTorch divides by the sum of the weights of the batch's labels, which would differ from device to device.

    Args:
        smoothing: probability spread evenly over all classes, in [0, 1); 0 is the plain cross-entropy.
        from_logits: whether the network ends before its softmax.
        reduction: as for every Keras loss.
        name: as for every Keras loss.
        class_weights: a number of at least 0 for each class; None: all 1. `kerascnn.training.class_weights` has rules.

    Raises:
        InputError: a weight is something else.
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        from_logits: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "loss",
        class_weights: Sequence[float] | None = None,
    ):
        super().__init__(name=name, reduction=reduction)
        self.smoothing = _check.real("smoothing", smoothing, 0.0, 1.0, below=True)
        self.from_logits = from_logits
        self.class_weights = _checked(class_weights)

    def call(self, y_true, y_pred):
        """Loss of each example.

        Args:
            y_true: class numbers, [batch] or [batch, 1]; or soft labels, [batch, classes].
            y_pred: logits or probabilities, [batch, classes].

        Returns:
            Float tensor [batch]; a zero for an empty batch.
        """
        if are_soft(y_true, y_pred):
            return not_empty(self._of_soft(y_true, as_logits(y_pred, self.from_logits)))
        labels = keras.ops.reshape(keras.ops.cast(y_true, "int32"), (-1,))
        return not_empty(self._each(labels, y_pred))

    def _each(self, labels, y_pred):
        """Loss of each class number, [...] of outputs [..., classes]."""
        logits = as_logits(y_pred, self.from_logits)
        plain = keras.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        weights = _weights(self.class_weights, logits)
        if weights is not None:
            plain *= keras.ops.take(weights, labels)
        if not self.smoothing:
            return plain
        log_p = keras.ops.log_softmax(logits)
        log_p = log_p if weights is None else weights * log_p
        return (1 - self.smoothing) * plain - self.smoothing * keras.ops.mean(log_p, axis=-1)

    def _of_soft(self, labels, logits):
        """Loss of each soft label, [...] of labels and outputs [..., classes]."""
        labels = keras.ops.cast(labels, logits.dtype)
        if self.smoothing:
            labels = (1 - self.smoothing) * labels + self.smoothing / logits.shape[-1]
        weights = _weights(self.class_weights, logits)
        if weights is not None:
            return -keras.ops.sum(weights * labels * keras.ops.log_softmax(logits), axis=-1)
        return keras.ops.categorical_crossentropy(labels, logits, from_logits=True)

    def get_config(self):
        own = {"smoothing": self.smoothing, "from_logits": self.from_logits, "class_weights": self.class_weights}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerascnn")
class PixelCrossentropy(SmoothedCrossentropy):
    """The mean of `SmoothedCrossentropy` over the pixels of an image whose mask is not IGNORE.

    Each image counts the same, whatever part of it is ignored, so that the loss of a batch is the mean of its images'
    losses, however the batch is shared among devices. An image that is ignored altogether has the loss 0. Class weights
    are those of the pixels; the mean is over the number of pixels, too.
    """

    def call(self, y_true, y_pred):
        """Loss of each image.

        Args:
            y_true: integer masks [batch, height, width].
            y_pred: logits or probabilities [batch, height, width, classes].

        Returns:
            Float tensor [batch]; a zero for an empty batch.
        """
        masks = keras.ops.cast(y_true, "int32")
        counts = keras.ops.not_equal(masks, IGNORE)
        each = self._each(keras.ops.where(counts, masks, 0), y_pred)
        # Chosen, not multiplied: infinity * 0 is NaN.
        total = keras.ops.sum(keras.ops.where(counts, each, 0.0), axis=(1, 2))
        pixels = keras.ops.sum(keras.ops.cast(counts, total.dtype), axis=(1, 2))
        return not_empty(total / keras.ops.maximum(pixels, 1.0))


@keras.saving.register_keras_serializable(package="kerascnn")
class BinaryCrossentropy(keras.losses.Loss):
    """The mean over the classes of each one's own cross-entropy: `-(q log s + (1 - q) log(1 - s))`, s a sigmoid.

    Each class is there or not, whatever the others are, as after images were mixed (Wightman, Touvron, Jégou 2021,
    arXiv:2110.00476, section 3.1). Labels are class numbers or soft ones. Keras' own binary cross-entropy takes no
    class numbers, and smooths towards 1/2, where one class of many should be as likely as any other: here
    `q = (1 - smoothing) label + smoothing / classes`.

    With weights w of the classes the whole loss of an example, of all its outputs, is multiplied by the weight of its
    class (Cui et al. 2019, arXiv:1901.05555, equation 11), of a soft label by `sum_k label_k w_k`.

    Args:
        smoothing: probability spread evenly over all classes, in [0, 1).
        threshold: where it is not 0, labels above it become 1 and others 0, before they are smoothed; timm's does it
            after, and so undoes the smoothing.
        reduction, name: as for every Keras loss.
        class_weights: a number of at least 0 for each class; None: all 1.

    Raises:
        InputError: a weight is something else.
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        threshold: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "loss",
        class_weights: Sequence[float] | None = None,
    ):
        super().__init__(name=name, reduction=reduction)
        self.smoothing = _check.real("smoothing", smoothing, 0.0, 1.0, below=True)
        self.threshold = _check.real("threshold", threshold, 0.0, 1.0, below=True)
        self.class_weights = _checked(class_weights)

    def call(self, y_true, y_pred):
        """Loss of each example.

        Args:
            y_true: class numbers, [batch] or [batch, 1]; or soft labels, [batch, classes].
            y_pred: logits [batch, classes].

        Returns:
            Float tensor [batch]; a zero for an empty batch.
        """
        classes = y_pred.shape[-1]
        if are_soft(y_true, y_pred):
            labels = keras.ops.cast(y_true, y_pred.dtype)
        else:
            numbers = keras.ops.reshape(keras.ops.cast(y_true, "int32"), (-1,))
            labels = keras.ops.one_hot(numbers, classes, dtype=y_pred.dtype)
        weights = _weights(self.class_weights, y_pred)
        factors = None if weights is None else keras.ops.sum(labels * weights, axis=-1)
        if self.threshold:
            labels = keras.ops.cast(labels > self.threshold, y_pred.dtype)
        labels = (1 - self.smoothing) * labels + self.smoothing / classes
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=y_pred)
        each = keras.ops.mean(each, axis=-1)
        return not_empty(each if factors is None else factors * each)

    def get_config(self):
        own = {"smoothing": self.smoothing, "threshold": self.threshold, "class_weights": self.class_weights}
        return {**super().get_config(), **own}


def are_soft(y_true, y_pred) -> bool:
    """Whether labels are soft: one number per class, as the outputs have, where class numbers have one per example.

    Decided by shapes alone, because Keras hands labels of every type to a loss as floats.
    """
    true, predicted = y_true.shape, y_pred.shape
    return len(true) == len(predicted) and true[-1] == predicted[-1] and predicted[-1] not in (None, 1)


def _checked(class_weights) -> list[float] | None:
    if class_weights is None:
        return None
    return [_check.real("class_weights", weight, 0.0) for weight in class_weights]


def _weights(class_weights, logits):
    """The weights as a tensor [classes]; None where classes are not weighted, or not now."""
    if class_weights is None or _UNWEIGHTED.get():
        return None
    if len(class_weights) != logits.shape[-1]:
        raise _check.refuse("class_weights", f"one number for each of {logits.shape[-1]} outputs", class_weights)
    return keras.ops.convert_to_tensor(class_weights, dtype=logits.dtype)


def as_logits(y_pred, from_logits: bool):
    """Outputs as logits: what came before the softmax where the graph still knows it, else the log-probabilities."""
    if from_logits:
        return y_pred
    if not tf.executing_eagerly() and isinstance(y_pred, tf.Tensor) and y_pred.op.type == "Softmax":
        return y_pred.op.inputs[0]
    return keras.ops.log(keras.ops.maximum(y_pred, 1.1754944e-38))  # the smallest normal float32 keeps it finite


def not_empty(values):
    """Puts a zero into an empty tensor, whose mean would be 0 / 0.

    The last, partial batch of an evaluation may leave some devices of a strategy without examples; the loss of such a
    device is weighted by its number of examples, but NaN * 0 is NaN.
    """
    return tf.pad(values, [[0, tf.cast(tf.equal(tf.size(values), 0), tf.int32)]])

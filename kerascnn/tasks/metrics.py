"""Measures as Keras metrics: of images with class numbers or soft labels, and of pixels, of which IGNORE is none."""

import keras
import tensorflow as tf

from kerascnn.data.masks import IGNORE
from kerascnn.tasks.losses import are_soft


class _OfClasses(keras.metrics.MeanMetricWrapper):
    """The mean over examples of a function of class numbers and outputs; a soft label counts as its largest class."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: class numbers [batch] or [batch, 1], or soft labels [batch, classes].
            y_pred: logits or probabilities [batch, classes].
            sample_weight: as for every Keras metric.
        """
        y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        numbers = tf.argmax(y_true, -1) if are_soft(y_true, y_pred) else tf.reshape(y_true, [-1])
        return super().update_state(numbers, y_pred, sample_weight)


@keras.saving.register_keras_serializable(package="kerascnn")
class Accuracy(_OfClasses):
    """Share of the examples whose most probable class is the label's.

    Args:
        name: as for every Keras metric.
        dtype: of the result.
    """

    def __init__(self, name: str = "accuracy", dtype=None):
        super().__init__(keras.metrics.sparse_categorical_accuracy, name=name, dtype=dtype)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="kerascnn")
class TopAccuracy(_OfClasses):
    """Share of the examples whose label is among the `k` most probable classes.

    Args:
        k: how many.
        name: as for every Keras metric.
        dtype: of the result.
    """

    def __init__(self, k: int = 5, name: str = "top5", dtype=None):
        super().__init__(keras.metrics.sparse_top_k_categorical_accuracy, name=name, dtype=dtype, k=k)
        self.k = k

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, "k": self.k}


@keras.saving.register_keras_serializable(package="kerascnn")
class PixelAccuracy(keras.metrics.Metric):
    """Share of the pixels whose most probable class is the mask's.

    Counts are float64, which is exact up to 9e15; the float32 of Keras' own metrics ends at 17 million pixels.

    Args:
        name: as for every Keras metric.
        dtype: of the result.
    """

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.right = self.add_variable((), "zeros", dtype="float64", name="right")
        self.all = self.add_variable((), "zeros", dtype="float64", name="all")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: masks, integers [batch, height, width].
            y_pred: logits or probabilities [batch, height, width, classes].
            sample_weight: not used.
        """
        counts = tf.cast(tf.not_equal(y_true, IGNORE), tf.float64)
        same = tf.cast(tf.equal(tf.cast(y_true, tf.int64), tf.argmax(y_pred, -1)), tf.float64)
        self.right.assign_add(tf.reduce_sum(counts * same))
        self.all.assign_add(tf.reduce_sum(counts))

    def result(self):
        """The share; 0 without a pixel."""
        return tf.cast(tf.math.divide_no_nan(self.right.value, self.all.value), self.dtype)


@keras.saving.register_keras_serializable(package="kerascnn")
class MeanIoU(keras.metrics.Metric):
    """Mean over the classes of intersection / union of predicted and true pixels, over all images together.

    A class that is neither in the masks nor predicted has no union and is left out of the mean (Everingham et al.
    2015, doi.org/10.1007/s11263-014-0733-5, section 4.4, the measure of PASCAL VOC). Keras' metric of this name counts
    in 32 bits.

    Args:
        classes: how many.
        name: as for every Keras metric.
        dtype: of the result.
    """

    def __init__(self, classes, name="mean_iou", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.classes = classes
        self.confusion = self.add_variable((classes, classes), "zeros", dtype="float64", name="confusion")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: masks, integers [batch, height, width].
            y_pred: logits or probabilities [batch, height, width, classes].
            sample_weight: not used.
        """
        true = tf.reshape(tf.cast(y_true, tf.int32), [-1])
        predicted = tf.reshape(tf.argmax(y_pred, -1, tf.int32), [-1])
        cells = self.classes**2
        # What is ignored is counted in one cell more, which is then left out.
        cell = tf.where(tf.equal(true, IGNORE), cells, true * self.classes + predicted)
        counts = tf.math.bincount(cell, minlength=cells + 1, maxlength=cells + 1)[:cells]
        self.confusion.assign_add(tf.cast(tf.reshape(counts, [self.classes, self.classes]), tf.float64))

    def result(self):
        """The mean; 0 without a pixel."""
        confusion = self.confusion.value
        both = tf.linalg.diag_part(confusion)
        union = tf.reduce_sum(confusion, 0) + tf.reduce_sum(confusion, 1) - both
        present = tf.cast(union > 0, tf.float64)
        mean = tf.math.divide_no_nan(tf.reduce_sum(tf.math.divide_no_nan(both, union)), tf.reduce_sum(present))
        return tf.cast(mean, self.dtype)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}

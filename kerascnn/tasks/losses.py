"""Cross-entropy of integer labels with label smoothing, on logits or probabilities, of images or of their pixels."""

import keras
import tensorflow as tf

from kerascnn.data.masks import IGNORE


@keras.saving.register_keras_serializable(package="kerascnn")
class SmoothedCrossentropy(keras.losses.Loss):
    """`-sum_k q_k log p_k` with `q = (1 - smoothing) one_hot(label) + smoothing / classes` (arXiv:1512.00567, sec. 7).

    Keras' own sparse cross-entropy cannot smooth, and its dense one wants one-hot labels from the data pipeline.

    Args:
        smoothing: probability spread evenly over all classes; 0 is the plain cross-entropy.
        from_logits: whether the network ends before its softmax.
        reduction: as for every Keras loss.
        name: as for every Keras loss.
    """

    def __init__(self, smoothing=0.0, from_logits=True, reduction="sum_over_batch_size", name="loss"):
        super().__init__(name=name, reduction=reduction)
        self.smoothing = smoothing
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        """Loss of each example.

        Args:
            y_true: integer labels, [batch] or [batch, 1].
            y_pred: logits or probabilities, [batch, classes].

        Returns:
            Float tensor [batch]; a zero for an empty batch.
        """
        labels = keras.ops.reshape(keras.ops.cast(y_true, "int32"), (-1,))
        return _not_empty(self._each(labels, y_pred))

    def _each(self, labels, y_pred):
        """Loss of each label, [...] of outputs [..., classes]."""
        plain = keras.ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=self.from_logits)
        if not self.smoothing:
            return plain
        if self.from_logits:
            log_p = keras.ops.log_softmax(y_pred)
        else:
            log_p = keras.ops.log(keras.ops.clip(y_pred, keras.config.epsilon(), 1.0))
        return (1 - self.smoothing) * plain - self.smoothing * keras.ops.mean(log_p, axis=-1)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable(package="kerascnn")
class PixelCrossentropy(SmoothedCrossentropy):
    """The mean of `SmoothedCrossentropy` over the pixels of an image whose mask is not IGNORE.

    Each image counts the same, whatever part of it is ignored, so that the loss of a batch is the mean of its images'
    losses, however the batch is shared among devices. An image that is ignored altogether has the loss 0.
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
        return _not_empty(total / keras.ops.maximum(pixels, 1.0))


def _not_empty(values):
    """Puts a zero into an empty tensor, whose mean would be 0 / 0.

    The last, partial batch of an evaluation may leave some devices of a strategy without examples; the loss of such a
    device is weighted by its number of examples, but NaN * 0 is NaN.
    """
    return tf.pad(values, [[0, tf.cast(tf.equal(tf.size(values), 0), tf.int32)]])

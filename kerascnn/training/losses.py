"""Cross-entropy of integer labels with label smoothing, on logits or probabilities."""

import keras
import tensorflow as tf


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
        plain = keras.ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=self.from_logits)
        if not self.smoothing:
            return _not_empty(plain)
        if self.from_logits:
            log_p = keras.ops.log_softmax(y_pred)
        else:
            log_p = keras.ops.log(keras.ops.clip(y_pred, keras.config.epsilon(), 1.0))
        return _not_empty((1 - self.smoothing) * plain - self.smoothing * keras.ops.mean(log_p, axis=-1))

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing, "from_logits": self.from_logits}


def _not_empty(values):
    """Puts a zero into an empty tensor, whose mean would be 0 / 0.

    The last, partial batch of an evaluation may leave some devices of a strategy without examples; the loss of such a
    device is weighted by its number of examples, but NaN * 0 is NaN.
    """
    return tf.pad(values, [[0, tf.cast(tf.equal(tf.size(values), 0), tf.int32)]])

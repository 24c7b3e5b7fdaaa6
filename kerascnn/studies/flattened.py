"""A network's loss as a function of one vector, and its derivatives."""

import keras
import numpy as np
import tensorflow as tf

from kerascnn.studies.trials import EXAMPLES_AT_A_TIME, cross_entropy


class Flattened:
    """A network's loss as a function of all its trainable weights in one vector; the network keeps its own.

    Args:
        model: images -> logits.
        training: batch norms take the statistics of the batch, which are no part of the vector and would otherwise not
            follow it.
    """

    def __init__(self, model: keras.Model, training: bool = False):
        self._model, self._variables, self._training = model, model.trainable_variables, training
        self._shapes = [tuple(variable.shape) for variable in self._variables]
        self._sums = tf.function(self._sums_of, reduce_retracing=True)
        self._slope = tf.function(self._slope_of, reduce_retracing=True)
        self._product = tf.function(self._product_of, reduce_retracing=True)

    def vector(self) -> np.ndarray:
        """float64 [n]: where the network is now."""
        return np.concatenate([x.numpy().astype("float64").ravel() for x in self._variables])

    def measure(self, point: np.ndarray, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """(mean cross-entropy, accuracy) at a point [n]."""
        sums, point = np.zeros(2), tf.constant(point, tf.float32)
        # All of about the same size: the statistics of a small rest would be poor.
        bounds = np.linspace(0, len(images), -(-len(images) // EXAMPLES_AT_A_TIME) + 1).astype(int)
        for first, last in zip(bounds[:-1], bounds[1:], strict=True):
            part = slice(first, last)
            sums += self._sums(point, tf.constant(images[part]), tf.constant(labels[part])).numpy()
        return float(sums[0] / len(images)), float(sums[1] / len(images))

    def slope(self, point: np.ndarray, images: tf.Tensor, labels: tf.Tensor) -> tuple[float, np.ndarray]:
        """(mean cross-entropy of a batch, its gradient, float64 [n]) at a point [n]."""
        loss, gradient = self._slope(tf.constant(point, tf.float32), images, labels)
        return float(loss), gradient.numpy().astype("float64")

    def product(self, point: np.ndarray, direction: np.ndarray, images: tf.Tensor, labels: tf.Tensor) -> np.ndarray:
        """The Hessian of a batch's mean cross-entropy at a point [n], times a direction [n]: float64 [n]."""
        point, direction = tf.constant(point, tf.float32), tf.constant(direction, tf.float32)
        return self._product(point, direction, images, labels).numpy().astype("float64")

    def _logits(self, point: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        parts = tf.split(point, [int(np.prod(shape)) for shape in self._shapes])
        values = [tf.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)]
        with keras.StatelessScope(list(zip(self._variables, values, strict=True))):
            return tf.cast(self._model(images, training=self._training), tf.float32)

    def _sums_of(self, point: tf.Tensor, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        logits = self._logits(point, images)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        right = tf.equal(tf.argmax(logits, axis=1), tf.cast(labels, tf.int64))
        return tf.stack([tf.reduce_sum(tf.cast(x, tf.float64)) for x in (losses, right)])

    def _slope_of(self, point: tf.Tensor, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(point)
            loss = cross_entropy(self._logits(point, images), labels)
        return loss, tape.gradient(loss, point)

    def _product_of(self, point: tf.Tensor, direction: tf.Tensor, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(point)
            along = tf.reduce_sum(self._slope_of(point, images, labels)[1] * direction)
        return tape.gradient(along, point)


class Around:
    """A network's mean loss on some images as a function of what is added to its weights where they are now.

    Args:
        model: images -> logits.
        images: [n, height, width, channels].
        labels: classes [n].
    """

    def __init__(self, model: keras.Model, images: np.ndarray, labels: np.ndarray):
        self._loss, self._images, self._labels = Flattened(model), images, labels
        self._batch = tf.constant(images), tf.constant(labels)
        self.variables, self.point = list(model.trainable_variables), self._loss.vector()
        self.size = len(self.point)

    def value(self, moved: np.ndarray) -> float:
        """The loss."""
        return self._loss.measure(self.point + moved, self._images, self._labels)[0]

    def slope(self, moved: np.ndarray) -> np.ndarray:
        """Its gradient, float64 [size]."""
        return self._loss.slope(self.point + moved, *self._batch)[1]

    def product(self, direction: np.ndarray) -> np.ndarray:
        """The Hessian where the weights are, times a direction: float64 [size]."""
        return self._loss.product(self.point, direction, *self._batch)

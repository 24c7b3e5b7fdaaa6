"""Steps along the sign of the gradient within a ball of pixels, as TensorFlow ops: for attacks and for training."""

from collections.abc import Callable

import keras
import tensorflow as tf

from kerascnn.explain.pixel_box import PixelBox

_SCALE = 1024.0  # of the loss, so that its gradient is not 0 in float16; the sign is the same


def loss_of(network: keras.Model, labels: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """The cross-entropy of each image, float32 [n], as a function of images.

    Args:
        network: images -> logits [n, classes], asked as at inference: batch norms keep their statistics.
        labels: classes [n] of whole numbers, or parts of each class [n, classes].
    """

    def losses(images):
        logits = tf.cast(network(images, training=False), tf.float32)
        if labels.shape.rank == 2:
            return tf.nn.softmax_cross_entropy_with_logits(tf.cast(labels, tf.float32), logits)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(tf.reshape(labels, [-1]), tf.int32), logits)

    return losses


def climb(
    losses: Callable[[tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    start: tf.Tensor,
    box: PixelBox,
    *,
    epsilon: float,
    step: float,
    steps: int,
) -> tf.Tensor:
    """`steps` times x + step sign(gradient), each time put back into the ball around the images and among the pixels.

    Args:
        losses: images -> [n], what is to grow.
        images: float32 [n, height, width, channels], the middle of the ball. One that lies outside of the range of
            pixels, as after bicubic resizing, widens it.
        start: where the way begins, of the same shape; it is put into the ball first.
        box: black, white and the unit of `epsilon` and `step`, a pixel's.
        epsilon: the largest change of a pixel.
        step: the change of a pixel at each step.
        steps: how many.

    Returns:
        The last images.
    """
    low = tf.maximum(images - epsilon * box.unit, tf.minimum(box.low, images))
    high = tf.minimum(images + epsilon * box.unit, tf.maximum(box.high, images))

    def move(number, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = _SCALE * tf.reduce_sum(losses(x))
        gradient = tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return number + 1, tf.clip_by_value(x + step * box.unit * tf.sign(gradient), low, high)

    begun = (tf.constant(0), tf.clip_by_value(start, low, high))
    return tf.while_loop(lambda number, _: number < steps, move, begun, parallel_iterations=1)[1]


def anywhere(images: tf.Tensor, box: PixelBox, epsilon: float, seed: tf.Tensor) -> tf.Tensor:
    """Images moved by up to `epsilon` pixels, uniformly, the same for the same seed [2]."""
    drawn = tf.random.stateless_uniform(tf.shape(images), seed, -1.0, 1.0)
    return images + epsilon * box.unit * drawn

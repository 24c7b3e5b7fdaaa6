"""The derivative of a class score, on which most methods rest."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn.explain.explanation import Question, chosen


def slope(network: keras.Model, x: tf.Tensor, target: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The derivative of each image's score with respect to the image, or to a map inside the network.

    Args:
        network: images -> scores [n, classes]; or images -> (map, scores), see `places.with_output`.
        x: images, float32 [n, height, width, channels].
        target: the class of each image, int64 [n], or a function of the outputs; see `Question.wanted`.

    Returns:
        (what the derivative is with respect to, the derivative), both float32 of its shape; (the scores, the classes).
    """
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = network(x, training=False)
        seen, outputs = found if len(network.outputs) == 2 else (x, found)
        scores, classes = chosen(outputs, target)
        # Each image's score depends on that image alone, so that the gradient of the sum is each one's own.
        total = tf.reduce_sum(scores)
    gradient = tape.gradient(total, seen, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tf.cast(seen, tf.float32), tf.cast(gradient, tf.float32), scores, classes


def gradient(network: keras.Model, x: tf.Tensor, target: Any) -> tuple[tf.Tensor]:
    """The second of what `slope` gives."""
    return slope(network, x, target)[1:2]


def slopes(network: keras.Model, question: Question, batch_size: int) -> tuple[Question, np.ndarray, np.ndarray]:
    """`slope` of all images of a question, so many at a time; and the question with its scores and classes."""
    count = len(question.images)
    parts = [slice(start, start + batch_size) for start in range(0, count, batch_size)]
    found = [question.prepared.run(slope, network, question.images[part], question.wanted(part)) for part in parts]
    seen, gradients, scores, classes = map(np.concatenate, zip(*found, strict=True))
    return question.answered(scores, classes), seen, gradients


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps [n, rows, columns], bilinearly at the images' size (height, width)."""
    return tf.image.resize(maps[..., None], size).numpy()[..., 0]


def copies(question: Question, count: int, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(image, copy), numbers of `count` changed copies of each image, so many at a time."""
    pairs = np.stack(np.divmod(np.arange(len(question.images) * count), count))
    for start in range(0, pairs.shape[1], batch_size):
        image, copy = pairs[:, start : start + batch_size]
        yield image, copy

"""What a pipeline does with the operations of an augmentation."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from kerascnn.data.augment.images import split_seed
from kerascnn.data.augment.operation import Operation, Target

_SEEDS = 3  # into which a seed is split for up to so many operations, as it was for the first that there were


def fitted_shape(operations: Sequence[Operation], shape: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """The shape to which images are fitted before the operations; None: they take the images as they are.

    Args:
        operations: from `parse`.
        shape: (height, width, channels) of the network's input.
    """
    if not operations:
        return shape
    first = operations[0]
    scale = first.enlargement()
    return (round(shape[0] * scale), round(shape[1] * scale), shape[2]) if first.fitted else None


def batched(operations: Sequence[Operation]) -> bool:
    """Whether all of them take batches."""
    return all(operation.batched for operation in operations)


def mixes(operations: Sequence[Operation]) -> bool:
    """Whether there is one that mixes the images of a batch, so that labels become soft."""
    return any(operation.mixes for operation in operations)


def window(operations: Sequence[Operation], seed: tf.Tensor) -> Callable | None:
    """Which part of an image is taken, where the first operation takes a part alone.

    Args:
        operations: from `parse`.
        seed: two integers, of the image.

    Returns:
        A function (height, width of the image) -> (top, left, height, width) of the window, or None.
    """
    if not operations or not operations[0].windowed:
        return None
    first, own_seed = next(iter(_seeded(operations, seed)))
    return lambda height, width: first.window(height, width, own_seed)


def change_images(
    operations: Sequence[Operation], image: tf.Tensor, seed: tf.Tensor, target: Target, *, cut: bool = False
) -> tf.Tensor:
    """Does all operations but those that mix.

    Args:
        operations: from `parse`.
        image: of `fitted_shape`, [height, width, channels] or a batch, values 0 to 255.
        seed: two integers, of the image or the batch.
        target: the network's.
        cut: the image is the `window` already.

    Returns:
        The same rank, of the target's shape.
    """
    for place, (operation, own_seed) in enumerate(_seeded(operations, seed)):
        if cut and not place:
            image = operation.resized(image, target)
        elif not operation.mixes:
            image = operation.image(image, own_seed, target)
    return image


def change_pair(operations: Sequence[Operation], pair: tf.Tensor, seed: tf.Tensor, target: Target) -> tf.Tensor:
    """As `change_images`, for an image [height, width, channels + 1] whose last channel is its mask."""
    for operation, own_seed in _seeded(operations, seed):
        pair = operation.pair(pair, own_seed, target)
    return pair


def mix(
    operations: Sequence[Operation], images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, classes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Does the operations that mix.

    Args:
        operations: from `parse`, one of them mixes.
        images: float32 [batch, height, width, channels], normalized.
        labels: int64 [batch], class numbers.
        seed: two integers, of the batch.
        classes: how many.

    Returns:
        The images, and labels, float32 [batch, classes].
    """
    shape, labels = images.shape, tf.one_hot(labels, classes)
    for operation, own_seed in _seeded(operations, seed):
        if operation.mixes:
            images, labels = operation.mix(images, labels, own_seed)
    return tf.ensure_shape(images, shape), tf.ensure_shape(labels, [shape[0], classes])


def _seeded(operations, seed):
    """Each operation with the seed of its place; a single one has the whole seed."""
    if len(operations) == 1:
        return [(operations[0], seed)]
    return zip(operations, split_seed(seed, max(_SEEDS, len(operations))), strict=False)

"""The tf.data pipelines of segmentation: batches of (image, mask), a function of (seed, epoch) alone.

They are called through `kerascnn.data.train_pipeline` and `eval_pipeline`, which choose by the task of the source.
Images are fitted whole (see `letterbox`), unless the augmentation takes them as they are.
"""

import math

import numpy as np
import tensorflow as tf

from kerascnn._preprocessing import Preprocessing
from kerascnn.data import letterbox, masks
from kerascnn.data.augment import Target, apply, parse
from kerascnn.data.epochs import Epochs, Share, finished
from kerascnn.data.source import Source, explain
from kerascnn.data.splits import Packed, cpu_constant


def train_pipeline(
    source: Source,
    *,
    image_shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    batch_size: int,
    augment: str,
    seed: int,
    first_epoch: int,
    epochs: int,
    keep: int,
    share: Share,
) -> tuple[tf.data.Dataset, int]:
    """Batches for training, epoch after epoch; the arguments are those of `kerascnn.data.train_pipeline`.

    Args:
        augment: as for `kerascnn.data.augment.parse`; with "none" the image is fitted whole.
        keep: bytes up to which the images and masks of the split are kept in memory, decoded.

    Returns:
        A dataset of (float32 [batch, height, width, channels], int32 [batch, height, width]), and the number of
        batches per epoch.

    Raises:
        InputError: an argument that cannot be used, or a damaged image or mask found while filling the memory.
    """
    operations, target = parse(augment, "segmentation"), Target(image_shape, preprocessing)
    fitted_shape = apply.fitted_shape(operations, image_shape)
    times = Epochs.of(source.sizes["train"], batch_size, seed, first_epoch, epochs, share)
    split = _remember(source, keep)

    def prepared(pair, seed):
        if fitted_shape is not None:
            pair = letterbox.fit_pairs(pair, fitted_shape, preprocessing)
        return apply.change_pair(operations, pair, seed, target)

    if isinstance(split, masks.PairStream):
        stream, read = split.read(), split.decode
        examples = times.numbers.flat_map(lambda epoch: times.stream(lambda seed: stream, epoch))
        pairs = times.own_stream(examples).map(
            lambda image, mask, seed: prepared(read(image, mask), seed), tf.data.AUTOTUNE, deterministic=True
        )
    else:
        read_pair = split.images if isinstance(split, Packed) else split.pairs
        examples = times.numbers.flat_map(
            lambda epoch: tf.data.Dataset.from_tensor_slices(times.own(*times.draws(epoch)))
        )
        pairs = examples.map(lambda index, seed: prepared(read_pair(index), seed), tf.data.AUTOTUNE, deterministic=True)
    return times.finished(_batches(pairs.batch(times.piece, drop_remainder=True), preprocessing)), times.steps


def eval_pipeline(
    source: Source,
    name: str,
    image_shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    batch_size: int,
    keep: int,
) -> tf.data.Dataset:
    """All examples of a split in their fixed order, fitted and normalized.

    Args:
        source: the examples.
        name: of the split.
        image_shape: (height, width, channels) of the network's input.
        preprocessing: the network's constants.
        batch_size: images per batch; the last batch may be smaller.
        keep: bytes up to which the fitted images and masks are kept in memory.

    Returns:
        A dataset of (float32 [batch, height, width, channels], int32 [batch, height, width]).

    Raises:
        InputError: a damaged image or mask found while filling the memory.
    """
    split = source.split(name)

    def fit(image, mask):
        return letterbox.fit_pairs(tf.concat([image, mask[..., None]], axis=-1), image_shape, preprocessing)

    pairs = split.elements().take(split.size).map(fit, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)
    if split.size * math.prod([*image_shape[:2], image_shape[2] + 1]) <= keep:
        try:
            fitted = cpu_constant(np.concatenate(list(pairs.prefetch(tf.data.AUTOTUNE).as_numpy_iterator())))
        except tf.errors.OpError as error:
            raise explain(source, error) from error
        pairs = tf.data.Dataset.range(split.size).batch(batch_size).map(lambda index: tf.gather(fitted, index))
    return finished(_batches(pairs, preprocessing), -(-split.size // batch_size))


def _batches(pairs, preprocessing):
    return pairs.map(lambda batch: letterbox.finish(batch, preprocessing), tf.data.AUTOTUNE, deterministic=True)


def _remember(source, keep) -> masks.Split | Packed:
    """The training split with its pairs end to end in memory, or as it is where that needs more than `keep` bytes."""
    split = source.split("train")
    if isinstance(split, masks.PairArrays):
        return split
    pairs, total = [], 0
    try:
        for image, mask in split.elements().take(split.size).prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
            total += image.size + mask.size
            if total > keep:
                return split
            pairs.append(np.concatenate([image, mask[..., None]], axis=-1))
    except tf.errors.OpError as error:
        raise explain(source, error) from error
    return Packed.pack(pairs, np.zeros(len(pairs), np.int64))

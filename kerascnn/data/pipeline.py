"""The one tf.data pipeline: cached, shuffled, augmented, batched, prefetched, and a function of (seed, epoch) alone."""

import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data import mask_pipeline
from kerascnn.data.augment import ALIASES, Target, apply, parse
from kerascnn.data.epochs import ALL, Epochs, Share, finished
from kerascnn.data.preprocessing import check_image_shape, fit_image, normalize_image
from kerascnn.data.sampling import SAMPLING, Balanced, labels_of
from kerascnn.data.source import Source, explain
from kerascnn.data.splits import Arrays, Files, Packed, Split, Stream, check_labels

CACHE_BYTES = 2**30  # images are kept in memory when the whole split needs no more than this
AUGMENTATIONS = ("none", *ALIASES)  # of classification, by one name
_CHUNK = 256  # images read at a time while filling the memory


def train_pipeline(
    source: Source,
    *,
    image_shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    batch_size: int,
    augment: str = "none",
    sampling: str = "shuffle",
    seed: int = 0,
    first_epoch: int = 0,
    epochs: int = 1,
    share: Share = ALL,
) -> tuple[tf.data.Dataset, int]:
    """Batches for training, epoch after epoch.

    What epoch `e` holds depends on `seed`, `e` and the other arguments, but neither on `first_epoch` nor on global
    random state: a run that starts again at epoch `k` sees exactly the batches that an uninterrupted one sees.

    Sets whose decoded images need at most `CACHE_BYTES` are read once, when this function is called, and reshuffled
    completely every epoch; larger folders are read again every epoch and also reshuffled completely; larger TFDS sets
    are shuffled through a buffer of `SHUFFLE_BUFFER` images.

    Sets for segmentation (`source.task`) give masks instead of labels; how their images are fitted and augmented is
    told in `kerascnn.data.mask_pipeline`.

    Args:
        source: the examples; split "train" is used.
        image_shape: (height, width, channels) of the network's input.
        preprocessing: the network's constants.
        batch_size: images per batch, over all devices. The remainder of an epoch is dropped; a set that is smaller
            than one batch makes one batch of its own size.
        augment: "none", or operations joined by "+", such as "pad_crop + flip + mixup(0.2)"; see
            `kerascnn.data.augment`.
        sampling: "shuffle": each image once an epoch; or "balanced": each class equally often, in epochs as long as
            before, see `kerascnn.data.sampling.Balanced`; of a large stream the labels are read once for it.
        seed: any integer.
        first_epoch: the first epoch to yield, counting from 0.
        epochs: the number of the epoch after the last one.
        share: the pieces of each batch that are made here, where several processes share it; together their pieces are
            the batch, to the bit. Only their images are read and changed, unless whole batches are changed at once (of
            sets in memory) or images are mixed, each with any other of the batch.

    Returns:
        A dataset of (float32 [batch, height, width, channels], int64 [batch]), where operations mix images with
        float32 [batch, classes], for segmentation with int32 masks [batch, height, width], that holds epochs
        `first_epoch` to `epochs - 1` one after the other, and the number of batches per epoch.

    Raises:
        InputError: an argument that cannot be used, or a damaged image that was found while filling the memory. What
            is found later raises a `tf.errors.OpError` from the iterator; see `explain`.
    """
    image_shape = check_image_shape(image_shape)
    _check.one_of("sampling", sampling, SAMPLING)
    if source.task == "segmentation":
        if sampling != "shuffle":
            raise InputError(f"Images with masks have no class by which to sample. Received: sampling={sampling}")
        return mask_pipeline.train_pipeline(
            source, image_shape=image_shape, preprocessing=preprocessing, batch_size=batch_size, augment=augment,
            seed=seed, first_epoch=first_epoch, epochs=epochs, keep=CACHE_BYTES, share=share,
        )  # fmt: skip
    operations, target = parse(augment), Target(image_shape, preprocessing)
    times = Epochs.of(source.sizes["train"], batch_size, seed, first_epoch, epochs, share)
    fitted_shape = apply.fitted_shape(operations, image_shape)
    split, fitted = _remember(source, fitted_shape, preprocessing)
    if sampling == "balanced":
        numbers = labels_of(split, len(source.class_names), "the training split")
        times = dataclasses.replace(times, balanced=Balanced.of(numbers, source.class_names))
    batch_size, steps, draws = times.batch_size, times.steps, times.draws

    def finish(image, seed, cut=False):
        """Fits what is not yet fitted, changes and normalizes, an image or a batch."""
        if fitted_shape and not fitted:
            image = fit_image(image, fitted_shape, preprocessing)
        return normalize_image(apply.change_images(operations, image, seed, target, cut=cut), preprocessing)

    def example(image, seed):
        """One image of a split that is not in memory as a whole; `image` tells where it is."""
        cut = split.windows if isinstance(split, Files) else getattr(split, "window", None)
        window = apply.window(operations, seed) if cut else None
        if window is not None:  # only that part of a file is decoded
            return finish(cut(image, window), seed, cut=True)
        return finish(split.decode(image) if isinstance(split, Stream) else split.images(image), seed)

    def mixed(images, labels, seed):
        """A batch with its labels, soft where operations mix them."""
        if not apply.mixes(operations):
            return images, labels
        return apply.mix(operations, images, labels, seed, len(source.class_names))

    if (
        isinstance(split, Arrays) and fitted_shape and apply.batched(operations)
    ):  # whole batches at once: several times faster

        def index_batches(epoch):
            order, seeds = draws(epoch)
            return tf.data.Dataset.from_tensor_slices((tf.reshape(order, [steps, batch_size]), seeds[:steps]))

        def batch_at(index, seed):
            return mixed(finish(split.images(index), seed), tf.gather(split.labels, index), seed)

        batches = times.numbers.flat_map(index_batches).map(batch_at, tf.data.AUTOTUNE, deterministic=True)
        batches = share.pieces(batches)
    else:
        whole = apply.mixes(operations)
        if isinstance(split, Stream):
            read = split.epochs()
            examples = times.numbers.flat_map(lambda epoch: times.stream(read, epoch))
            examples = examples if whole else times.own_stream(examples)
        else:
            own = (lambda *drawn: drawn) if whole else times.own
            examples = times.numbers.flat_map(lambda epoch: _shuffled_indices(split, *own(*draws(epoch))))
        examples = examples.map(
            lambda image, label, seed: (example(image, seed), label, seed), tf.data.AUTOTUNE, deterministic=True
        )
        batches = examples.batch(batch_size if whole else times.piece, drop_remainder=True)
        # What is drawn for a batch follows from the seed of its first example, at a place of its own in it.
        batches = batches.map(
            lambda images, labels, seeds: mixed(images, labels, seeds[0]), tf.data.AUTOTUNE, deterministic=True
        )
        batches = share.pieces(batches) if whole else batches
    return times.finished(batches), steps


def eval_pipeline(
    source: Source,
    split: str = "test",
    *,
    image_shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    batch_size: int,
    keep: bool = False,
) -> tf.data.Dataset:
    """All examples of a split in their fixed order, fitted and normalized.

    Args:
        source: the examples.
        split: "train", "validation" or "test".
        image_shape: (height, width, channels) of the network's input.
        preprocessing: the network's constants.
        batch_size: images per batch; the last batch may be smaller.
        keep: for passes that repeat, as the validation of a training does: images that need at most `CACHE_BYTES` when
            they are fitted are read once, when this function is called.

    Returns:
        A dataset of (float32 [batch, height, width, channels], int64 [batch]), for segmentation with int32 masks
        [batch, height, width] instead.

    Raises:
        InputError: an argument that cannot be used, or a damaged image that was found while filling the memory. What
            is found later raises a `tf.errors.OpError` from the iterator; see `explain`.
    """
    image_shape = check_image_shape(image_shape)
    batch_size = _check.whole("batch_size", batch_size, 1)
    examples, memory = source.split(split), CACHE_BYTES if _check.flag("keep", keep) else 0
    if source.task == "segmentation":
        return mask_pipeline.eval_pipeline(source, split, image_shape, preprocessing, batch_size, memory)
    fitted = examples.size * math.prod(image_shape) <= memory
    if fitted:
        try:
            examples = _read_fitted(examples, split, image_shape, preprocessing, len(source.class_names))
        except tf.errors.OpError as error:
            raise explain(source, error) from error

    def finish(image, label):
        image = image if fitted else fit_image(image, image_shape, preprocessing)
        return normalize_image(image, preprocessing), label

    if isinstance(examples, Arrays):
        indices = tf.data.Dataset.range(examples.size).batch(batch_size)
        batches = indices.map(lambda index: (examples.images(index), tf.gather(examples.labels, index)))
        batches = batches.map(finish, tf.data.AUTOTUNE, deterministic=True)
    else:
        batches = examples.elements().map(finish, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)
    return finished(batches, -(-examples.size // batch_size))


def eval_share(
    source: Source,
    split: str,
    share: Share,
    *,
    image_shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    batch_size: int,
    keep: bool = False,
) -> tuple[tf.data.Dataset, int]:
    """The pieces that are made here of each batch of `eval_pipeline`, one after the other.

    Args:
        source, split, image_shape, preprocessing, batch_size, keep: as for `eval_pipeline`; the batch size is a
            multiple of the pieces, of which each has an example of the last, smaller batch.
        share: which pieces; no other example is read.

    Returns:
        The dataset, and the number of batches.

    Raises:
        InputError: an argument that cannot be used, or a damaged image that was found while filling the memory.
    """
    examples, settings = source.split(split), {"image_shape": image_shape, "preprocessing": preprocessing, "keep": keep}
    batch_size = _check.whole("batch_size", batch_size, 1)
    steps = -(-examples.size // batch_size)
    if share.is_all:
        return eval_pipeline(source, split, batch_size=batch_size, **settings), steps
    remainder = examples.size % batch_size
    if batch_size % share.total or 0 < remainder < share.total:
        given = f"batch_size={batch_size}, {examples.size} examples"
        raise InputError(f"Each of {share.total} pieces of each batch must have an example. Received: {given}")
    whole = np.arange(examples.size - remainder).reshape(-1, batch_size)
    first, *_, last = share.bounds(batch_size)
    parts = [(whole[:, first:last].ravel(), batch_size // share.total)] if whole.size else []
    bounds = [examples.size - remainder + bound for bound in share.bounds(remainder)] if remainder else []
    parts += [(np.arange(low, high), high - low) for low, high in zip(bounds, bounds[1:], strict=False)]
    made = []
    for positions, size in parts:
        part = dataclasses.replace(source, splits={**source.splits, split: examples.select(positions)})
        made.append(eval_pipeline(part, split, batch_size=size, **settings))
    pieces = functools.reduce(tf.data.Dataset.concatenate, made)
    return finished(pieces, steps * share.count), steps


def _shuffled_indices(split, order, seeds):
    return tf.data.Dataset.from_tensor_slices((order, tf.gather(split.labels, order), seeds))


def _remember(source, shape, preprocessing) -> tuple[Split | Packed, bool]:
    """The training split in memory where that needs at most CACHE_BYTES, and whether it is fitted to `shape`.

    Images are kept fitted, unless the augmentation wants them as they are (shape None).
    """
    split, classes = source.split("train"), len(source.class_names)
    try:
        if shape is not None and split.size * math.prod(shape) <= CACHE_BYTES:
            return _read_fitted(split, "train", shape, preprocessing, classes), True
        if shape is None and not isinstance(split, Arrays):
            return _read_packed(split, classes) or split, False
    except tf.errors.OpError as error:
        raise explain(source, error) from error
    return split, False


def _read_fitted(split, part, shape, preprocessing, classes):
    if isinstance(split, Arrays):
        chunks = tf.data.Dataset.range(split.size).batch(_CHUNK)
        chunks = chunks.map(lambda index: (split.images(index), tf.gather(split.labels, index)))
        chunks = chunks.map(lambda image, label: (fit_image(image, shape, preprocessing), label))
    else:
        examples = split.elements().take(split.size)
        examples = examples.map(
            lambda image, label: (fit_image(image, shape, preprocessing), label), tf.data.AUTOTUNE, deterministic=True
        )
        chunks = examples.batch(_CHUNK)
    pixels, numbers, filled = np.empty([split.size, *shape], np.uint8), np.full([split.size], -1), 0
    for images, labels in chunks.prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
        pixels[filled : filled + len(labels)] = images
        numbers[filled : filled + len(labels)] = labels
        filled += len(labels)
    return Arrays(pixels, check_labels(numbers, classes, f"the {part} split"))


def _read_packed(split, classes):
    """All images as they are, or None as soon as they need more than CACHE_BYTES."""
    images, numbers, total = [], [], 0
    for image, label in split.elements().prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
        total += image.size
        if total > CACHE_BYTES:
            return None
        images.append(image)
        numbers.append(label)
    return Packed.pack(images, check_labels(numbers, classes, "the train split"))

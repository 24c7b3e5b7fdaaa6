"""What an augmentation makes of some images of a set, to be looked at."""

import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._preprocessing import Preprocessing
from kerascnn.data import letterbox
from kerascnn.data.augment import Target, apply, parse
from kerascnn.data.preprocessing import check_image_shape, fit_image, normalize_image
from kerascnn.data.source import Source, explain


def preview(
    source: Source,
    augment: str,
    *,
    image_shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    images: int = 6,
    copies: int = 7,
    seed: int = 0,
) -> np.ndarray:
    """Training images as they are without augmentation, and several times with it, as a network would see them.

    Args:
        source: the examples; `images` of its split "train" are taken, spread over it. Of a set for segmentation the
            masks are not shown.
        augment: as for `train_pipeline`. Operations that mix images mix the ones that are shown.
        image_shape: (height, width, channels) of the network's input.
        preprocessing: the network's constants.
        images: how many, at least 1.
        copies: how many of each, at least 1.
        seed: any integer.

    Returns:
        uint8 [images, 1 + copies, height, width, channels]: the fitted image, then the changed ones.

    Raises:
        InputError: an argument that cannot be used, or a damaged image.

    Example:

        from kerascnn import data
        from kerascnn._preprocessing import CIFAR

        data.preview(data.load("digits"), "pad_crop", image_shape=(8, 8, 1), preprocessing=CIFAR).shape
        # (6, 8, 8, 8, 1)
    """
    image_shape = check_image_shape(image_shape)
    masked = source.task == "segmentation"
    operations, target = parse(augment, source.task), Target(image_shape, preprocessing)
    images, copies = _check.whole("images", images, 1), _check.whole("copies", copies, 1)
    split = source.split("train")
    positions = np.unique(np.linspace(0, split.size - 1, min(images, split.size)).astype(np.int64))
    elements = split.select(positions).elements()
    seeds = tf.random.stateless_uniform([copies, len(positions), 2], [seed, 0], None, None, tf.int64)
    shape = apply.fitted_shape(operations, image_shape)

    def fitted(image, label, shape):
        if masked:
            pair = tf.concat([image, label[..., None]], axis=-1)
            return pair if shape is None else letterbox.fit_pairs(pair, shape, preprocessing)
        return image if shape is None else fit_image(image, shape, preprocessing)

    def changed(copy, number, example):
        own, image = seeds[copy, number], fitted(*example, shape)
        change = apply.change_pair if masked else apply.change_images
        image = change(operations, image, own, target)[..., : image_shape[2]]
        return tf.cast(image, tf.float32), tf.zeros([], tf.int64) if masked else example[1], own

    def mixed(batch, labels, own):
        """Normalized images are mixed, and shown as they are before."""
        if not apply.mixes(operations):
            return batch
        batch = normalize_image(batch, preprocessing)
        batch = apply.mix(operations, batch, labels, own[0], len(source.class_names))[0]
        constants = preprocessing.for_channels(image_shape[2])
        mean, std = (tf.constant(values, tf.float32) for values in (constants.mean, constants.std))
        return 255.0 * (batch * std + mean)

    def examples(copy):
        return elements.enumerate().map(lambda number, example: changed(copy, number, example))

    plain = elements.map(lambda image, label: fitted(image, label, image_shape)[..., : image_shape[2]])
    columns = tf.data.Dataset.range(copies).flat_map(examples).batch(len(positions), drop_remainder=True).map(mixed)
    try:
        found = [*plain.batch(len(positions)).as_numpy_iterator(), *columns.as_numpy_iterator()]
    except tf.errors.OpError as error:
        raise explain(source, error) from error
    return np.stack([np.round(np.clip(column, 0, 255)).astype(np.uint8) for column in found], axis=1)

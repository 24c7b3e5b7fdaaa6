"""The examples of a part of a set as a network takes them."""

import tensorflow as tf

from kerascnn import _check, data
from kerascnn.data.epochs import finished
from kerascnn.inference.predictor import Predictor


def batches(
    predictor: Predictor,
    source: data.Source,
    split: str = "test",
    *,
    batch_size: int = 128,
) -> tf.data.Dataset:
    """All examples of a part, in their fixed order, prepared for a network.

    Args:
        predictor: the network, perhaps with several views of an image.
        source: the set.
        split: "train", "validation" or "test".
        batch_size: images a batch, the last may be smaller.

    Returns:
        A dataset of (float32 [batch, *predictor.element_shape], int64 [batch]), for segmentation with int32 masks
        [batch, height, width] instead.

    Raises:
        InputError: an argument that cannot be used. A damaged image raises a `tf.errors.OpError` from the iterator; see
            `data.explain`.

    Example:

        predictor = inference.with_views(inference.checkpoint.load("runs/digits"), "shift(1)")
        report = evaluation.evaluate(predictor, evaluation.batches(predictor, data.load("digits")))
    """
    _check.whole("batch_size", batch_size, 1)
    if predictor.element_shape == predictor.input_shape:
        return data.eval_pipeline(
            source, split, image_shape=predictor.input_shape, preprocessing=predictor.preprocessing,
            batch_size=batch_size,
        )  # fmt: skip
    examples = source.dataset(split).map(
        lambda image, label: (predictor.prepare_tensor(image), label), tf.data.AUTOTUNE, deterministic=True
    )
    return finished(examples.batch(batch_size), -(-source.sizes[split] // batch_size))

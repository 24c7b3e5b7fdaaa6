"""The measures and the loss of segmentation by hand."""

import keras
import numpy as np
import pytest

from kerascnn.data.masks import IGNORE
from kerascnn.tasks.losses import PixelCrossentropy, SmoothedCrossentropy
from kerascnn.tasks.metrics import Accuracy, MeanIoU, PixelAccuracy, TopAccuracy

# Classes 0, 1 and 3 are there or predicted; 2 and 4 are neither. One pixel has no class.
MASK = np.array([[[0, 0, 1], [1, 1, IGNORE]]])
PREDICTED = np.array([[[0, 1, 1], [1, 3, 3]]])
SCORES = np.eye(5, dtype="float32")[PREDICTED]


def test_pixel_accuracy():
    metric = PixelAccuracy()
    assert float(metric.result()) == 0
    metric.update_state(MASK, SCORES)
    assert float(metric.result()) == pytest.approx(3 / 5)
    metric.update_state(np.full([1, 2, 3], IGNORE), SCORES)
    assert float(metric.result()) == pytest.approx(3 / 5)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_mean_iou():
    metric = MeanIoU(5)
    assert float(metric.result()) == 0
    metric.update_state(MASK, SCORES)
    # 0: 1 / 2; 1: 2 / 4; 3: 0 / 1; the others have no union.
    assert float(metric.result()) == pytest.approx((1 / 2 + 2 / 4 + 0) / 3)
    keras_metric = keras.metrics.MeanIoU(5, ignore_class=IGNORE, sparse_y_pred=False)
    random = np.random.default_rng(0)
    for _ in range(2):
        masks, scores = random.integers(0, 4, (2, 5, 6)), random.normal(size=(2, 5, 6, 5)).astype("float32")
        masks[random.uniform(size=masks.shape) < 0.2] = IGNORE
        metric.update_state(masks, scores)
        keras_metric.update_state(masks, scores)
    keras_metric.update_state(MASK, SCORES)
    assert float(metric.result()) == pytest.approx(float(keras_metric.result()), rel=1e-6)
    again = MeanIoU.from_config(metric.get_config())
    assert again.classes == 5 and again.name == "mean_iou"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("from_logits", [True, False])
def test_loss_is_the_mean_over_images_of_the_mean_over_pixels(smoothing, from_logits):
    random = np.random.default_rng(1)
    logits = random.normal(size=(3, 2, 4, 5)).astype("float32")
    outputs = logits if from_logits else np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    masks = random.integers(0, 5, (3, 2, 4))
    masks[0, 0] = IGNORE
    masks[1] = IGNORE  # counts as an image with the loss 0
    one = SmoothedCrossentropy(smoothing, from_logits)
    expected = [float(one(mask[mask != IGNORE], output[mask != IGNORE])) for mask, output in
                zip(masks[[0, 2]], outputs[[0, 2]], strict=True)]  # fmt: skip
    loss = PixelCrossentropy(smoothing, from_logits)
    assert float(loss(masks, outputs)) == pytest.approx(sum(expected) / 3, rel=1e-5)
    assert float(loss(masks[:0], outputs[:0])) == 0
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is PixelCrossentropy and again.smoothing == smoothing


def test_what_is_ignored_may_be_infinite():
    outputs = np.zeros((1, 2, 3, 5), np.float32)
    outputs[0, 1, 2, 0] = 1e38
    loss = PixelCrossentropy(0.1)(MASK, outputs)
    assert float(loss) == pytest.approx(np.log(5), rel=1e-5)


def test_measures_of_class_numbers_and_of_soft_labels():
    random = np.random.default_rng(2)
    numbers, scores = random.integers(0, 7, 20), random.normal(size=(20, 7)).astype("float32")
    soft = (0.7 * np.eye(7)[numbers] + 0.3 / 7).astype("float32")
    for ours, theirs in (
        (Accuracy(), keras.metrics.SparseCategoricalAccuracy()),
        (TopAccuracy(3, name="top3"), keras.metrics.SparseTopKCategoricalAccuracy(3)),
    ):
        theirs.update_state(numbers, scores)
        for labels in (numbers, numbers[:, None], soft):
            ours.reset_state()
            ours.update_state(labels[:12], scores[:12])
            ours.update_state(labels[12:], scores[12:])
            ours.update_state(labels[:0], scores[:0])  # a device without examples
            assert float(ours.result()) == float(theirs.result())
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
        assert type(again) is type(ours) and again.name == ours.name

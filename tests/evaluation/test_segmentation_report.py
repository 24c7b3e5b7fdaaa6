"""Measuring and drawing segmentation, and predicting the pixels of image files."""

import io
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerascnn import evaluation, inference, serving
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, Preprocessing
from kerascnn.cli import measures
from kerascnn.data.masks import IGNORE
from kerascnn.evaluation.segmentation import PixelTally
from kerascnn.inference.predict_masks import masks_to_json, masks_to_table

HALF = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
NAMES = ("background", "ellipse", "[ring]", r"$\cross$")
MASKS = np.array([[[0, 0, 1], [1, 1, IGNORE]], [[0, 0, 0], [0, 0, 0]]])
PREDICTED = np.array([[[0, 1, 1], [1, 3, 3]], [[0, 0, 0], [0, 0, 1]]])


def answering(outputs):
    """A network whose answers are known."""
    options = dict(preprocessing=HALF, input_shape=(*outputs.shape[1:3], 3), task="segmentation")
    return inference.Predictor(class_names=NAMES, function=lambda images: outputs, **options)


def batches(masks):
    return tf.data.Dataset.from_tensors((np.zeros([*masks.shape, 3], np.float32), masks))


def test_report_by_hand():
    outputs = np.eye(4)[PREDICTED] * 0.7 + 0.075
    seen = []
    report = evaluation.evaluate(answering(outputs), batches(MASKS), advance=seen.append)
    assert seen == [2] and report.examples == 2
    # background: 6 of 8 and never wrongly said; ellipse: 2 of 3, and twice wrongly said; cross: wrongly said once.
    np.testing.assert_allclose(report.iou, [6 / 8, 2 / 5, np.nan, 0])
    assert report.mean_iou == pytest.approx((6 / 8 + 2 / 5 + 0) / 3)
    assert report.pixel_accuracy == pytest.approx(8 / 11)
    np.testing.assert_allclose(report.recall, [6 / 8, 2 / 3, np.nan, np.nan])
    right, wrong = -np.log(0.775), -np.log(0.075)
    assert report.loss == pytest.approx(((3 * right + 2 * wrong) / 5 + (5 * right + wrong) / 6) / 2)
    assert report.confused() == [(0, 1, 2), (1, 3, 1)]
    record = json.loads(json.dumps(report.to_dict()))
    assert record["iou"][2] is None and record["mean_iou"] == report.mean_iou
    assert record["confusion"] == [[6, 2, 0, 0], [0, 2, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    tally = PixelTally(NAMES, logits=True)
    predicted, right, losses = tally.add(np.log(outputs) + 3, MASKS)
    assert tally.report().loss == pytest.approx(report.loss) == pytest.approx(losses.mean())
    np.testing.assert_array_equal(predicted, PREDICTED)
    np.testing.assert_allclose(right, [3 / 5, 5 / 6])


@pytest.mark.parametrize(
    ("outputs", "masks", "message"),
    [
        (np.full([2, 2, 3, 3], 1 / 3), MASKS, r"4 outputs for each pixel of a mask \(2, 3\). Received: \(2, 3, 3\)"),
        (np.full([2, 2, 3, 4], np.nan), MASKS, "finite"),
        (np.full([2, 2, 3, 4], 1.0), MASKS, "probabilities"),
        (np.full([2, 2, 3, 4], 0.25), MASKS + 3, r"in \[0, 4\) or 255. Received: 4"),
        (np.full([2, 2, 3, 4], 0.25), np.full_like(MASKS, IGNORE), "nothing to evaluate on"),
    ],
)
def test_what_cannot_be_measured(outputs, masks, message):
    with pytest.raises(InputError, match=message):
        evaluation.evaluate_segmentation(answering(outputs), batches(masks))


def test_pictures_and_tables(tmp_path):
    outputs = np.eye(4)[PREDICTED]
    report = evaluation.evaluate_segmentation(answering(outputs), batches(MASKS))
    evaluation.plot_confusion(report, tmp_path / "confusion.png", "a title")
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 3, 1), dtype="uint8")
    masks = np.where(MASKS == IGNORE, 3, MASKS)
    evaluation.plot_segmentation(images, MASKS, PREDICTED, NAMES, tmp_path / "with.png", "a title")
    evaluation.plot_segmentation(images, None, {"one": masks, "two": PREDICTED}, NAMES, tmp_path / "without.png")
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3
    console = Console(width=100, record=True, file=io.StringIO())
    for table in measures.segmentation(report, "a title"):
        console.print(table, markup=False)
    shown = " ".join(console.export_text().split())
    assert "mean IoU" in shown and "[ring] │ - │ - │ 0" in shown and "ellipse │ 40.00% │ 66.67% │ 3" in shown
    with pytest.raises(InputError, match="as many masks as images"):
        evaluation.plot_segmentation(images, MASKS[:1], PREDICTED, NAMES, tmp_path / "a.png")
    with pytest.raises(InputError, match="of the image's size"):
        evaluation.overlay(images[0], np.zeros([5, 5], int), NAMES)


def test_an_overlay_leaves_the_background_and_marks_borders():
    image = np.full([4, 6, 3], 100, np.uint8)
    mask = np.zeros([4, 6], int)
    mask[:, 3:] = 2
    drawn = evaluation.overlay(image, mask, NAMES)
    assert (drawn[:, :3] == 100).all() and (drawn[:, 3] > 180).all() and (drawn[:, 4:] != 100).any(axis=2).all()
    assert (evaluation.overlay(image, mask, ("sky", "b", "c"))[:, :3] != 100).any()


def brightness_net(size=8):
    """Bright pixels are ellipses, others background: [n, size, size, 3] -> logits."""
    inputs = keras.Input((size, size, 3))
    outputs = keras.layers.Conv2D(2, 1, use_bias=False, name="logits")(inputs)
    model = keras.Model(inputs, outputs)
    kernel = np.zeros([1, 1, 3, 2])
    kernel[..., 1] = 10
    model.set_weights([kernel])
    return model


@pytest.fixture
def picture(tmp_path):
    """An image 20 high and 10 wide whose right half is bright."""
    pixels = np.zeros([20, 10, 3], np.uint8)
    pixels[:, 5:] = 255
    path = tmp_path / "images" / "half.png"
    tf.io.write_file(str(path), tf.io.encode_png(pixels))
    return path


def test_predictions_have_the_size_of_the_image(tmp_path, picture):
    described = dict(class_names=("background", "ellipse"), preprocessing=HALF, input_shape=(8, 8, 3))
    (found,) = inference.predict_masks(
        [picture.parent], out=tmp_path / "out", checkpoint_model=brightness_net(), draw=evaluation.plot_overlay,
        **described,
    )  # fmt: skip
    assert found.path == str(picture) and found.classes == ("background", "ellipse") and found.shares == (0.5, 0.5)
    mask = tf.io.decode_png(tf.io.read_file(found.mask)).numpy()[..., 0]
    np.testing.assert_array_equal(mask, np.repeat([[0] * 5 + [1] * 5], 20, axis=0))
    assert tf.io.decode_png(tf.io.read_file(found.overlay)).shape[2] == 4
    assert json.loads(masks_to_json([found]))[0]["shares"] == [0.5, 0.5]
    assert masks_to_table([found]).row_count == 2 and masks_to_json([]) == "[]"
    exported = serving.export(brightness_net(), tmp_path / "exported", **described, check=False)
    (again,) = inference.predict_masks(picture, out=tmp_path / "again", saved_model=exported)
    assert (tmp_path / "again" / "half_mask.png").read_bytes() == (tmp_path / "out" / "half_mask.png").read_bytes()
    assert again.classes == found.classes and again.overlay is None
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["half_mask.png"]
    with pytest.raises(InputError, match="is for segmentation; use predict_masks"):
        inference.predict([picture], saved_model=exported)


def test_predictions_that_are_refused(tmp_path, picture):
    described = dict(class_names=("a", "b"), preprocessing=CIFAR, input_shape=(8, 8, 3))
    model = brightness_net()
    other = tmp_path / "half.jpg"
    other.write_bytes(tf.io.encode_jpeg(np.zeros([4, 4, 3], np.uint8)).numpy())
    for arguments, message in (
        (dict(), "either saved_model or checkpoint_model"),
        (dict(checkpoint_model=model, preprocessing=CIFAR), "needs class_names"),
        (dict(saved_model="a", **described), "brings class_names"),
        (dict(checkpoint_model=model, **{**described, "class_names": ("a",)}), "one class name for each"),
    ):
        with pytest.raises(InputError, match=message):
            inference.predict_masks([picture], out=tmp_path / "out", **arguments)
    with pytest.raises(InputError, match="must differ in name.*half.png and .*half.jpg"):
        inference.predict_masks([picture, other], model, tmp_path / "out", **described)


def test_a_bad_image_does_not_stop_the_others(tmp_path, picture):
    predictor = inference.Predictor.from_model(brightness_net(), ("a", "b"), preprocessing=HALF)
    (picture.parent / "broken.png").write_bytes(b"no image")
    broken, half = inference.predict_masks(picture.parent, predictor, tmp_path / "out")
    assert "whole JPEG" in broken.error and broken.mask is None and half.shares == (0.5, 0.5)
    assert json.loads(masks_to_json([broken]))[0]["error"] == broken.error
    with pytest.raises(InputError, match="must be a whole JPEG"):
        inference.predict_masks(picture.parent / "broken.png", predictor, tmp_path / "out")


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (5000, 4000), (1, 1)])
def test_no_picture_is_larger_than_a_screen(tmp_path, size):
    mask = np.zeros(size, np.uint8)
    mask[: size[0] // 2, : size[1] // 2 + 1] = 1
    image = np.broadcast_to(np.uint8(100), [*size, 3])
    evaluation.plot_overlay(image, mask, NAMES, tmp_path / "overlay.png")
    evaluation.plot_segmentation([image, image], None, [mask, mask], NAMES, tmp_path / "several.png")
    for name in ("overlay.png", "several.png"):
        height, width, _ = tf.io.decode_png((tmp_path / name).read_bytes()).shape
        assert 100 < min(height, width) and max(height, width) < 4100


def test_examples_of_masks(tmp_path):
    outputs = np.eye(4)[PREDICTED] * 0.7 + 0.075
    report = evaluation.evaluate(answering(outputs), batches(MASKS), keep=2)
    assert [example.share for example in report.worst] == pytest.approx([3 / 5, 5 / 6])
    evaluation.plot_examples(report.worst, NAMES, tmp_path / "worst.png", "worst")
    assert (tmp_path / "worst.png").stat().st_size > 1000

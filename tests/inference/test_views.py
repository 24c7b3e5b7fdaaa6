"""Views against torchvision's crops and against crops by hand; what a network with several views answers."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data, inference
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.preprocessing import fit_image, resize
from kerascnn.evaluation import batches, evaluate
from kerascnn.inference import Predictor, parse_views, predict, views, with_views

GOLDEN = Path(__file__).parents[1] / "golden" / "views.npz"
WHOLE = Preprocessing(mean=(0.4,), std=(0.3,), crop_fraction=1.0)
RANDOM = np.random.default_rng(0)


def recorded():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("case", [key.removeprefix("image ") for key in recorded() if key.startswith("image ")])
def test_crops_are_those_of_torchvision(case):
    arrays = recorded()
    height, width = map(int, case.split(",")[1].split("x"))
    image = arrays[f"image {case}"]
    np.testing.assert_array_equal(views.five_crop(image, height, width), arrays[f"five {case}"])
    np.testing.assert_array_equal(views.ten_crop(image, height, width), arrays[f"ten {case}"])


def of(text, image, shape, preprocessing=WHOLE):
    """The views of a text, made in a graph that does not know the image's size."""
    parsed = parse_views(text)
    signature = [tf.TensorSpec([None, None, image.shape[-1]], tf.uint8)]
    made = tf.function(lambda x: parsed.of(x, shape, preprocessing), input_signature=signature)(image).numpy()
    assert made.shape == (parsed.count, *shape) and made.dtype == np.uint8
    return made


def test_ten_crops_are_of_the_central_square_of_alexnet():
    """256 rows of a 256 x 300 image: nothing is resized, the square begins at column 22."""
    image = RANDOM.integers(0, 256, (256, 300, 3), dtype=np.uint8)
    square = image[:, 22 : 22 + 256]
    made = of("ten_crop", image, (224, 224, 3))
    np.testing.assert_array_equal(made, views.ten_crop(square, 224, 224))
    np.testing.assert_array_equal(made[4], square[16:240, 16:240])
    imagenet = Preprocessing(mean=(0.4,), std=(0.3,), crop_fraction=224 / 256)
    np.testing.assert_array_equal(of("ten_crop", image, (224, 224, 3), imagenet), made)
    np.testing.assert_array_equal(of("five_crop(1.1428571)", image, (224, 224, 3)), made[:5])


def test_the_144_views_of_googlenet():
    """At 28 pixels the sizes are 32, 36, 40 and 44, as 256, 288, 320, 352 are at 224."""
    image = RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    made = of("googlenet", image, (28, 28, 3))
    expected = []
    for side in (32, 36, 40, 44):
        large = resize(image, side, 60 * side // 40, "bilinear").numpy()
        free = large.shape[1] - side
        for left in (0, round(free / 2), free):
            square = large[:, left : left + side]
            expected += [*views.five_crop(square, 28, 28).numpy(), resize(square, 28, 28, "bilinear").numpy()]
    np.testing.assert_array_equal(made[:72], expected)
    np.testing.assert_array_equal(made[72:], made[:72, :, ::-1])
    np.testing.assert_array_equal(made[11], resize(resize(image, 32, 48, "bilinear")[:, 8:40], 28, 28, "bilinear"))
    assert len({view.tobytes() for view in made}) > 130


def test_grids_scales_and_shifts():
    image = RANDOM.integers(0, 256, (16, 22, 1), dtype=np.uint8)
    grid = of("grid(3, 2)", image, (8, 8, 1))
    tops, lefts = (0, 4, 8), (0, 7, 14)
    np.testing.assert_array_equal(grid, [image[t : t + 8, x : x + 8] for t in tops for x in lefts])
    np.testing.assert_array_equal(of("grid(1, 2)", image, (8, 8, 1)), grid[4:5])
    scales = of("multi_scale(1, 2)", image, (8, 8, 1))
    np.testing.assert_array_equal(scales[0], fit_image(tf.constant(image), (8, 8, 1), WHOLE))
    np.testing.assert_array_equal(scales[1], image[4:12, 7:15])
    small = image[:8, :8]
    shifted = of("shift(2) + flip", small, (8, 8, 1))
    np.testing.assert_array_equal(shifted[4], small)
    np.testing.assert_array_equal(shifted[0][2:, 2:], small[:-2, :-2])
    assert not shifted[0][:2].any() and not shifted[8][:, -2:].any()
    np.testing.assert_array_equal(shifted[9:], shifted[:9, :, ::-1])
    np.testing.assert_array_equal(of("flip", small, (8, 8, 3)), np.repeat([small, small[:, ::-1]], 3, axis=-1))


def test_small_images_are_enlarged_by_whole_factors_first():
    pad = Preprocessing(mean=(0.4,), std=(0.3,), crop_fraction=1.0, fit="pad")
    image = RANDOM.integers(0, 256, (8, 8, 1), dtype=np.uint8)
    usual = fit_image(tf.constant(image), (28, 28, 1), pad)
    np.testing.assert_array_equal(of("flip", image, (28, 28, 1), pad)[0], usual)
    np.testing.assert_array_equal(of("multi_scale(1)", image, (28, 28, 1), pad)[0], usual)
    large = resize(usual, 32, 32, "bilinear")
    np.testing.assert_array_equal(of("five_crop", image, (28, 28, 1), pad), views.five_crop(large, 28, 28))


@pytest.fixture(scope="module")
def predictor():
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(inputs))
    names = [str(digit) for digit in range(10)]
    return Predictor.from_model(keras.Model(inputs, outputs), names, preprocessing=WHOLE)


def test_the_answer_is_the_mean_over_the_views(predictor, tmp_path):
    nine = with_views(predictor, "shift(1)")
    image = RANDOM.integers(0, 256, (8, 8, 1), dtype=np.uint8)
    prepared = nine.prepare(image)
    assert prepared.shape == nine.element_shape == (9, 8, 8, 1)
    answer = nine.predict(prepared[None])
    np.testing.assert_allclose(answer[0], predictor.predict(prepared).mean(axis=0), rtol=1e-5)
    (tmp_path / "a.png").write_bytes(tf.io.encode_png(image).numpy())
    (found,) = predict(tmp_path / "a.png", nine, top=10)
    np.testing.assert_allclose(found.probabilities, sorted(answer[0], reverse=True), atol=1e-6)


def test_a_set_is_evaluated_by_views(predictor, source, monkeypatch):
    five = with_views(predictor, "five_crop")
    monkeypatch.setattr(inference.tta, "_AT_ONCE", 7)  # more than one call a batch, the last smaller
    report = evaluate(five, batches(five, source, batch_size=16), keep=2, answers=True)
    images = source.split("test").pixels
    shares = [predictor.predict(five.prepare(image)).mean(axis=0) for image in images]
    np.testing.assert_allclose(report.answers.probabilities, shares, rtol=1e-4, atol=1e-7)
    large = resize(images[0], 9, 9, "bilinear").numpy()
    np.testing.assert_allclose(report.first[0].image, large[0:8, 0:8], atol=1)  # (9 - 8) / 2 is rounded to even: 0
    one = evaluate(predictor, batches(predictor, source, batch_size=16))
    plain = data.eval_pipeline(source, image_shape=(8, 8, 1), preprocessing=predictor.preprocessing, batch_size=50)
    assert one.top1 == evaluate(predictor, plain).top1


@pytest.mark.parametrize(
    "text, words",
    [
        ("eleven_crop", "one of these: flip, five_crop"),
        ("", r"NAME or NAME\(NUMBERS\)"),
        ("grid(x)", r"NAME or NAME\(NUMBERS\)"),
        ("grid", "of the form grid"),
        ("grid(2.5)", "whole number from 1 to 30"),
        ("grid(3, 0.5)", "scales from 1 to 8"),
        ("grid(30) + flip", "at most 1000 views"),
        ("ten_crop + flip", "has mirror images"),
        ("flip + grid(3)", r"one with \+ flip"),
        ("grid(2) + flip + flip", r"one with \+ flip"),
        ("multi_scale(nan)", "finite"),
        ("shift(0)", "whole number from 1"),
        ("five_crop(1, 2)", "of the form"),
        ("x" * 300, "at most 200"),
        (3, "views must be"),
    ],
)
def test_what_are_no_views_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        parse_views(text)


def test_a_network_has_its_views_once_and_is_a_classifier(predictor):
    with pytest.raises(InputError, match="its views once"):
        with_views(with_views(predictor, "flip"), "flip")
    inputs = keras.Input((8, 8, 1))
    pixels = keras.Model(inputs, keras.layers.Conv2D(3, 1, activation="softmax")(inputs))
    with pytest.raises(InputError, match="for classification"):
        with_views(Predictor.from_model(pixels, "abc", preprocessing=WHOLE), "flip")

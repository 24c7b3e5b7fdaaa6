"""Exporting a network for segmentation: the signatures, the check, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving_nets import conv_bn, randomize

from kerascnn import serving
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data.letterbox import fit_whole_image
from kerascnn.data.preprocessing import decode_image
from kerascnn.inference import saved_model as saved_models
from kerascnn.serving import checking

SHAPE = (8, 12, 3)
NAMES = ("background", "ellipse", "rectangle")


def small_net(activation="softmax", classes=3, upsample=2):
    """conv-BN on half the size, a map of classes, bilinear to the full size."""
    inputs = keras.Input(SHAPE)
    x = keras.layers.ReLU()(conv_bn(inputs, 6, strides=2))
    x = keras.layers.UpSampling2D(upsample, interpolation="bilinear")(keras.layers.Conv2D(classes, 1)(x))
    return randomize(keras.Model(inputs, keras.layers.Activation(activation)(x), name="small"))


def options(**changes):
    return {"class_names": NAMES, "preprocessing": CIFAR, "input_shape": SHAPE, "check": False, **changes}


@pytest.mark.after
def test_signatures_and_answers(tmp_path):
    model = small_net()
    folder = serving.export(model, tmp_path / "a", **options(check=True))
    report = checking.read_report(folder)
    assert report.requests == 6 and max(report.fresh_process.values()) < 1e-5
    described = {
        key: (tf.dtypes.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim))
        for key, info in saved_models.meta_graph(folder).signature_def["serving_default"].outputs.items()
    }
    assert described == {
        "class_map": ("uint8", (-1, 8, 12)),
        "probabilities": ("float32", (-1, 8, 12, 3)),
        "errors": ("string", (-1,)),
    }
    loaded = serving.load(tmp_path / "a")
    assert loaded.task == saved_models.task_of(folder) == "segmentation" and loaded.class_names == NAMES
    picture = np.random.default_rng(0).integers(0, 256, (20, 9, 3), dtype="uint8")
    contents = tf.io.encode_png(picture).numpy()
    fitted = fit_whole_image(decode_image(tf.constant(contents)), SHAPE, CIFAR).numpy()[None]
    expected = model.predict_on_batch(fitted)
    numbers, probabilities = loaded.classify([contents])
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_array_equal(numbers, probabilities.argmax(axis=-1))
    np.testing.assert_allclose(loaded.predict(fitted), expected, atol=1e-5)
    (tmp_path / "picture.png").write_bytes(contents)
    assert serving.check(folder, [tmp_path / "picture.png"]).requests == 2


def test_logits_get_a_softmax(tmp_path):
    loaded = serving.load(serving.export(small_net("linear"), tmp_path, **options()))
    probabilities = loaded.predict(np.random.default_rng(0).normal(size=(1, *SHAPE)))
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


def test_another_class_of_almost_equal_probability_is_no_error():
    expected = np.array([[[[0.5, 0.5 - 1e-6], [0.9, 0.1]]]])
    assert checking._same_map(np.array([[[1, 0]]], np.uint8), expected)
    assert not checking._same_map(np.array([[[0, 1]]], np.uint8), expected)


def test_a_map_of_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"each pixel of its input.*Received: outputs \(4, 6, 3\) for images"):
        serving.export(small_net(upsample=1), tmp_path / "a", **options())
    assert not (tmp_path / "a").exists()

"""Features of a data set: what the head is given, from any layer, kept in a file."""

import dataclasses

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import data
from kerascnn._errors import InputError


@pytest.fixture(scope="module")
def source():
    digits = data.load("digits")
    return dataclasses.replace(digits, splits={name: digits.split(name).first(20, 0) for name in digits.sizes})


@pytest.fixture(scope="module")
def model():
    return kerascnn.create_model("resnet20", input_shape=(16, 16, 1))


def images(source, model, split="train"):
    constants = kerascnn.model_preprocessing(model).for_channels(1)
    shape = model.input_shape[1:]
    return np.stack([data.preprocess_image(image, shape, constants) for image, _ in source.dataset(split)])


def test_what_the_head_is_given(model, source):
    found = kerascnn.features(model, source, batch_size=7)
    x = images(source, model)
    pooled = keras.Model(model.input, model.get_layer("head").input)(x)
    np.testing.assert_allclose(found.values, pooled, rtol=1e-5, atol=1e-5)
    assert found.values.dtype == np.float32 and found.values.shape == (20, 64) and len(found) == 20
    np.testing.assert_array_equal(found.labels, source.split("train").numbers)
    assert found.class_names == tuple(source.class_names) and found.layer == "head"
    with_head = model.get_layer("head")
    np.testing.assert_allclose(with_head(found.values), model(x), rtol=1e-5, atol=1e-5)


def test_a_map_is_averaged(model, source):
    found = kerascnn.features(model, source, "test", layer="stage2_block1_relu1")
    maps = keras.Model(model.input, model.get_layer("stage2_block1_relu1").output)(images(source, model, "test"))
    np.testing.assert_allclose(found.values, np.mean(maps, axis=(1, 2)), atol=1e-5)
    assert found.layer == "stage2_block1_relu1"


def test_they_are_kept_for_these_weights_alone(model, source, tmp_path, monkeypatch):
    first = kerascnn.features(model, source, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr(data, "eval_pipeline", None)  # no image is read again
    again = kerascnn.features(model, source, cache=tmp_path)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.labels, again.labels)
    monkeypatch.undo()
    kernel = model.get_layer("stem_conv").kernel
    kernel.assign(2 * kernel)
    other = kerascnn.features(model, source, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2 and not np.array_equal(first.values, other.values)
    kernel.assign(kernel / 2)
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match=f"Received: .*{file.name}"):
        kerascnn.features(model, source, cache=tmp_path)


def test_what_is_refused(model, source):
    with pytest.raises(InputError, match="resnet20 must have the layer.*Received: 'stage9'"):
        kerascnn.features(model, source, layer="stage9")
    with pytest.raises(InputError, match="A network without a layer called head needs the name of one"):
        kerascnn.features(kerascnn.create_model("resnet20", include_top=False, input_shape=(32, 32, 1)), source)
    with pytest.raises(InputError, match=r"input_shape must be \(height, width, channels\)"):
        kerascnn.features(kerascnn.create_model("resnet20", input_shape=(None, None, 1)), source)
    with pytest.raises(InputError, match="Features are for sets with labels"):
        kerascnn.features(model, data.load("shapes:16x16x3,examples=4,test=2"))
    with pytest.raises(InputError, match="batch_size"):
        kerascnn.features(model, source, batch_size=0)
    with pytest.raises(InputError, match="a built keras.Model"):
        kerascnn.features("resnet20", source)

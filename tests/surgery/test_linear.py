"""A linear head on an inner layer."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.surgery import freeze, linear_head


def test_a_head_on_a_stage(tmp_path):
    network = kerascnn.create_model("resnet20", classes=0, input_shape=(32, 32, 1))
    model = linear_head(network, "stage2", 3)
    assert model.name == "resnet20" and model.output_shape == (None, 3)
    assert not any(layer.name.startswith("stage3") for layer in model.layers)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    maps = keras.Model(network.inputs, network.get_layer("stage2").output).predict(x, verbose=0)
    kernel, bias = model.get_layer("head").get_weights()
    mean, variance = np.array([0.1] * 32, "float32"), np.array([4.0] * 32, "float32")
    model.get_layer("head_norm").set_weights([mean, variance])
    expected = (maps.mean(axis=(1, 2)) - 0.1) / np.sqrt(4 + 1e-3) @ kernel + bias
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)
    assert kerascnn.model_preprocessing(model) == kerascnn.model_info("resnet20").preprocessing
    freeze(model, "head")
    assert [weight.path for weight in model.trainable_weights] == ["head/kernel", "head/bias"]
    assert model.get_layer("head_norm").trainable  # its statistics are learned
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_on_vectors_and_tokens():
    lenet = kerascnn.create_model("lenet5")
    assert linear_head(lenet, "f6", 2, name="codes").name == "codes"
    vit = kerascnn.create_model("vit_tiny_patch16_224", input_shape=(32, 32, 3))
    layer = next(x.name for x in vit.layers if len(x.output.shape) == 3)
    assert linear_head(vit, layer, 2).output_shape == (None, 2)


def test_a_head_on_a_head():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head"), keras.layers.ReLU(name="end")])
    assert linear_head(inner, "end", 2).layers[-1].name == "head_1"


def test_what_is_refused():
    lenet = kerascnn.create_model("lenet5")
    with pytest.raises(InputError, match="must have the layer.*Received: 'stage9'"):
        linear_head(lenet, "stage9", 2)
    with pytest.raises(InputError, match="classes must be a whole number"):
        linear_head(lenet, "f6", 0)

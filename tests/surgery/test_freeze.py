"""Freezing the first part of a network: what stays, what learns, and what a file keeps of it."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.surgery import freeze


def values(model):
    return {variable.path: variable.numpy() for variable in model.weights}


@pytest.mark.parametrize(
    "until, last", [("stage1", "stage1_block3_bn2"), ("stage2_block1_conv1", "stage2_block1_conv1")]
)
def test_what_is_frozen_stays_in_training_too(until, last, tmp_path):
    model = kerascnn.create_model("resnet20", input_shape=(8, 8, 1))
    names = freeze(model, until)
    assert names[0] == "stem_conv" and last in names and "head" not in names
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = values(model)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(3, 2, size=(8, 8, 8, 1)), rng.integers(0, 10, 8), verbose=0)
    for path, value in values(model).items():
        frozen = path.split("/")[0] in names  # moving statistics of frozen batch norms too
        assert np.array_equal(value, before[path]) == frozen, path
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert {layer.name for layer in again.layers if layer.weights and not layer.trainable} == set(names)


def test_the_head_alone_learns():
    model = kerascnn.create_model("lenet5", classes=3)
    freeze(model, "head")
    assert [variable.path for variable in model.trainable_weights] == ["head/kernel", "head/bias"]
    with pytest.raises(InputError, match="Something must be left to be trained. Received: until='output' of all"):
        everything = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="output")], name="all")
        freeze(everything, "output")


def test_what_is_refused():
    model = kerascnn.create_model("lenet5")
    with pytest.raises(InputError, match="its layers begin with image, c1, s2.*Received: 'stage9'"):
        freeze(model, "stage9")
    with pytest.raises(InputError, match="until must be the name of a layer"):
        freeze(model, "")
    headless = kerascnn.create_model("lenet5", include_top=False, input_shape=(32, 32, 1))
    with pytest.raises(InputError, match="Something must be left to be trained"):
        freeze(headless, headless.layers[-1].name)


def test_batch_norms_alone():
    """Frankle, Schwab, Morcos 2020: scales and offsets learn, the statistics follow, all else stays as it was drawn."""
    model = kerascnn.create_model("resnet20", input_shape=(8, 8, 1))
    names = freeze(model, "but_batch_norms")
    assert "head" in names and not any(name.endswith("_bn") or "_bn" in name for name in names)
    assert {variable.path.rpartition("/")[2] for variable in model.trainable_variables} == {"gamma", "beta"}
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = values(model)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(3, 2, size=(8, 8, 8, 1)), rng.integers(0, 10, 8), verbose=0)
    for path, value in values(model).items():
        assert np.array_equal(value, before[path]) == (path.split("/")[0] in names), path
    plain = kerascnn.create_model("lenet5")
    with pytest.raises(InputError, match="Something must be left to be trained. Received: until='but_batch_norms'"):
        freeze(plain, "but_batch_norms")

"""A run of a network whose middle classifies too: trained with those heads, used without them."""

import keras
import numpy as np
import pytest

from kerascnn.inference import checkpoint
from kerascnn.models import AuxiliaryModel
from kerascnn.training import history

SHAPE = (8, 8, 1)


def build():
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="first")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    y = keras.layers.Conv2D(6, 3, activation="relu", name="second")(x)
    heads = [keras.layers.Dense(10, dtype="float32", name=name) for name in ("head", "aux_head")]
    outputs = [head(keras.layers.Flatten()(z)) for head, z in zip(heads, (y, x), strict=True)]
    return AuxiliaryModel(inputs, outputs, name="tiny", auxiliary_weights=(0.3,))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        pytest.param({"strategy": "mirrored", "virtual_devices": 2}, marks=pytest.mark.after),
        pytest.param({"mixed_precision": "bfloat16"}, marks=pytest.mark.after),
    ],
)
def test_all_heads_learn_and_one_is_used(train, tmp_path, fields):
    result = train(tmp_path / "run", build, epochs=2, **fields)
    assert result.rows[-1]["loss"] < result.rows[0]["loss"]
    trained = keras.models.load_model(tmp_path / "run/checkpoints/epoch_0002.keras", compile=False)
    assert isinstance(trained, AuxiliaryModel)
    for name in ("head", "aux_head"):
        assert np.any(trained.get_layer(name).bias), name  # they start at zero
    loaded = checkpoint.load(tmp_path / "run").model
    assert "aux_head" not in {layer.name for layer in loaded.layers}
    np.testing.assert_allclose(np.sum(loaded(np.ones((2, *SHAPE), "float32")), axis=1), 1, rtol=1e-3)


@pytest.mark.after
def test_a_run_goes_on_with_all_heads(train, tmp_path):
    whole = train(tmp_path / "run", build, epochs=2)
    rows = tmp_path / "run/history.csv"
    history.write(
        rows, history.read(rows)[:1], history.columns(["accuracy", "top5"])
    )  # as if killed in the second epoch
    again = train(tmp_path / "run", build, epochs=2)
    assert again.first_epoch == 1
    assert again.rows[1]["loss"] == pytest.approx(whole.rows[1]["loss"], rel=1e-5)

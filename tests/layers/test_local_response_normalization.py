"""The layer: shapes, configuration, saving, precision, compilation by XLA, no custom op where none is wanted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.layers import LocalResponseNormalization
from kerascnn.ops import local_response_normalization, native


def test_it_calls_the_op():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 9)).astype("float32")
    y = LocalResponseNormalization(3, 1.0, 0.5, 0.6, "mean")(x)
    np.testing.assert_array_equal(y, local_response_normalization(x, 3, 1.0, 0.5, 0.6, "mean"))


def test_round_trip(tmp_path):
    inputs = keras.Input((None, None, 6))
    model = keras.Model(inputs, LocalResponseNormalization(1, 1.5, 0.3, 0.5, "mean", name="norm1")(inputs))
    assert model.output_shape == (None, None, None, 6)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("norm1").get_config() == model.get_layer("norm1").get_config()
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 6)).astype("float32")
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_policies(policy):
    y = LocalResponseNormalization(dtype=policy)(np.ones((2, 5)))
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")


@pytest.mark.parametrize("jit", [False, True])
def test_training(jit):
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(5, 1), LocalResponseNormalization(alpha=1.0)])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit)
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype("float32")
    before = model.evaluate(x, np.ones((8, 4, 4, 5)), verbose=0)
    model.fit(x, np.ones((8, 4, 4, 5)), epochs=5, verbose=0)
    assert model.evaluate(x, np.ones((8, 4, 4, 5)), verbose=0) < before


def test_an_export_without_native_ops_is_stock(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 3)), LocalResponseNormalization()])
    with native("off"):
        served = tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([None, 4, 4, 3])])
        types = {operation.type for operation in served.get_concrete_function().graph.get_operations()}
    assert "Pad" in types or "PadV2" in types
    assert not any(name.startswith("Kerascnn") for name in types)


def test_refusals():
    with pytest.raises(InputError, match="beta must be positive. Received: 0"):
        LocalResponseNormalization(beta=0)
    with pytest.raises(InputError, match="depth_radius must be a whole number"):
        LocalResponseNormalization(depth_radius=1.5)

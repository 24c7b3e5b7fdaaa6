"""Our own .safetensors: saved, read back, refused where they cannot be."""

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import kerascnn
from kerascnn._errors import InputError
from kerascnn.weights import load_weights, save_safetensors


def network():
    model = kerascnn.create_model("lenet5", classes=4)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.normal(size=variable.shape))
    return model


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_round_trip(tmp_path, dtype):
    model = network()
    path = tmp_path / "lenet.safetensors"
    save_safetensors(model, path, dtype)
    again = kerascnn.create_model("lenet5", classes=4, weights=path)
    for mine, kept in zip(model.weights, again.weights, strict=True):
        rounded = mine.numpy().astype(dtype) if mine.ndim > 1 else mine.numpy()
        np.testing.assert_array_equal(kept.numpy(), rounded, err_msg=mine.path)
    assert {array.dtype.name for array in load_file(path).values()} == {dtype, "float32"}
    (tmp_path / "other").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode  # others may read it, where the umask lets them
    other = kerascnn.create_model("lenet5", classes=7, weights=path)  # a new head
    np.testing.assert_array_equal(other.get_layer("c1").bias, model.get_layer("c1").bias)


def test_batch_norms_and_scalars(tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Conv2D(3, 3, name="conv")(inputs))
    model = keras.Model(inputs, x)
    save_safetensors(model, tmp_path / "m.safetensors", "float16")
    copy = keras.models.clone_model(model)
    load_weights(copy, tmp_path / "m.safetensors")
    for mine, kept in zip(model.weights, copy.weights, strict=True):
        np.testing.assert_allclose(kept, mine, atol=1e-3)


def test_what_cannot_be_saved(tmp_path):
    model = network()
    with pytest.raises(InputError, match="must end in .safetensors. Received: x.h5"):
        save_safetensors(model, "x.h5")
    with pytest.raises(InputError, match="dtype must be one of float32, float16"):
        save_safetensors(model, tmp_path / "x.safetensors", "int8")
    with pytest.raises(InputError, match="a built keras.Model"):
        save_safetensors("lenet5", tmp_path / "x.safetensors")
    model.get_layer("c1").kernel.assign(np.full((5, 5, 1, 6), 1e6))
    with pytest.raises(InputError, match="within the range of float16. Received: c1/0/kernel"):
        save_safetensors(model, tmp_path / "x.safetensors", "float16")
    model.get_layer("c1").kernel.assign(np.full((5, 5, 1, 6), np.nan))
    with pytest.raises(InputError, match="must be finite. Received: c1/0/kernel"):
        save_safetensors(model, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


def test_variables_that_are_not_numbered(tmp_path):
    save_file({"c1/1/kernel": np.zeros(3, "float32")}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"numbered 0, 1, 2, .... Received: \[1\] of c1"):
        load_weights(network(), tmp_path / "x.safetensors")
    save_file({"c1/0/kernel": np.zeros(3, "float32")}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="missing: c3.* mis-shaped: c1"):
        load_weights(network(), tmp_path / "x.safetensors")

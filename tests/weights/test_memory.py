"""Memory of loading: little more than the model that is there already, whatever the format."""

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from kerascnn import weights
from kerascnn.weights.memory import is_finite, own

SIDE = 3500  # 49 MB
RULES = {"torch": (("fc", "dense"),)}


def peak() -> int:
    """Bytes that were in memory at most since `reset`."""
    with open("/proc/self/status") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def reset() -> int:
    """Forgets the peak; returns what is in memory now."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pytest.skip("this system does not tell the peak of a process")
    return peak()


@pytest.fixture(scope="module")
def model():
    image = keras.Input((SIDE,), name="image")
    return keras.Model(image, keras.layers.Dense(SIDE, use_bias=False, name="dense")(image))


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5", ".safetensors"])
def test_loading_takes_no_more_than_the_file(ending, model, tmp_path):
    path = tmp_path / f"model{ending}"
    value = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype("f4")
    model.layers[-1].kernel.assign(value)
    if ending == ".safetensors":
        save_file({"fc.weight": np.ascontiguousarray(value.T)}, path)
    elif ending == ".weights.h5":
        model.save_weights(path)
    else:
        model.save(path)
    model.layers[-1].kernel.assign(np.zeros((SIDE, SIDE), "f4"))
    before = reset()
    weights.load_weights(model, path, RULES)
    assert peak() - before < 1.15 * path.stat().st_size
    np.testing.assert_array_equal(model.layers[-1].kernel, value)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", "i8"])
def test_copies(order, kind, monkeypatch):
    """Piece by piece in any order, aligned, of another type; once is enough."""
    monkeypatch.setattr("kerascnn.weights.memory._PIECE", 100)
    array = np.arange(3 * 50 * 7).reshape(3, 50, 7).astype(kind).transpose(order)
    copy = own(array, "f4")
    assert copy.flags.c_contiguous and copy.ctypes.data % 64 == 0 and copy.dtype == np.float32
    np.testing.assert_array_equal(copy, array)
    assert own(copy) is copy and own(copy.T) is not copy
    assert own(np.float32(3).reshape(())).shape == () and own(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("place", [0, 57, 149])
def test_numbers_that_are_not_finite(value, place, monkeypatch):
    monkeypatch.setattr("kerascnn.weights.memory._PIECE", 100)
    array = np.zeros(150)
    assert is_finite(array)
    array[place] = value
    assert not is_finite(array) and not is_finite(array.reshape(10, 15).T)

"""The effective receptive field: linear networks whose field is known exactly, and refusals."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import studies
from kerascnn._errors import InputError


def stack(count, window, size=41):
    """Convolutions of one channel without activation, all weights 1."""
    layers = [keras.layers.Conv2D(1, window, padding="same", kernel_initializer="ones") for _ in range(count)]
    return keras.Sequential([keras.Input((size, size, 1)), *layers], name="stack")


@pytest.mark.parametrize("count, window", [(1, 5), (4, 3), (6, 5)])
def test_equal_convolutions(count, window):
    """n boxes of k, one after the other: variance n (k^2 - 1) / 12 along each axis, field n (k - 1) + 1."""
    found = studies.effective_field(stack(count, window), samples=2)
    np.testing.assert_allclose(found.arrays["variance"], count * (window**2 - 1) / 12, rtol=1e-5)
    low, high = found.arrays["box"][0]
    assert high - low + 1 == count * (window - 1) + 1 and (low + high) // 2 == 20
    assert found.arrays["field"].max() == 1 and found.claims["Nothing outside of the theoretical field counts"]
    assert found.claims["Fewer pixels count than the theoretical field has"] == (count > 1)


def test_a_network(tmp_path):
    model = kerascnn.create_model("resnet20", classes=0, input_shape=(28, 28, 1))
    found = studies.effective_field(model, "stage1", samples=4)
    assert all(found.claims.values()) and 1 < found.arrays["size"] < 28
    found.save(tmp_path)
    images = np.random.default_rng(0).standard_normal((4, 28, 28, 1), dtype="float32")
    again = studies.effective_field(model, "stage1", images=images)
    np.testing.assert_allclose(again.arrays["field"], found.arrays["field"], rtol=1e-4, atol=1e-6)
    assert studies.effective_field(model, samples=1).settings["layer"]  # the last map


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"layer": "none"}, "layer"), ({"samples": 0}, "samples"), ({"images": np.zeros((1, 8, 8, 1))}, "images"),
        ({"images": np.zeros((0, 28, 28, 1))}, "images"), ({"layer": "head"}, "map"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        studies.effective_field(kerascnn.create_model("resnet20", input_shape=(28, 28, 1)), **arguments)

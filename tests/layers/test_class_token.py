"""kerascnn.layers.ClassToken: its place, file, training."""

import numpy as np
import pytest
from layer_checks import check_round_trip, images, stacked

from kerascnn.layers import ClassToken


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_tokens_come_first(policy):
    layer = ClassToken(2, initializer="ones", dtype=policy)
    x = images(3, 5, 4)
    y = np.asarray(layer(x))
    np.testing.assert_array_equal(y[:, :2], np.ones((3, 2, 4)))
    np.testing.assert_array_equal(y[:, 2:], x.astype(y.dtype))
    assert layer.compute_output_shape((None, None, 4)) == (None, None, 4)
    assert layer.compute_output_shape((None, 5, 4)) == (None, 7, 4)
    assert layer.token.dtype == "float32" and y.dtype == layer.compute_dtype


def test_file(tmp_path):
    check_round_trip([ClassToken(initializer="random_normal")], (5, 4), tmp_path)


def test_the_batch_may_be_open():
    model = stacked([ClassToken()], (5, 4))
    assert model.output_shape == (None, 6, 4)
    assert model.predict(images(3, 5, 4), verbose=0).shape == (3, 6, 4)

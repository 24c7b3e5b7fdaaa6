"""SamePadding2D: as much as TensorFlow adds, for known and open sizes."""

import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.layers import SamePadding2D


@pytest.mark.parametrize("size, stride", [(3, 2), (2, 2), (7, 2), (5, 3), (1, 2), ((3, 5), (2, 1))])
@pytest.mark.parametrize("side", [8, 9])
def test_a_pool_after_it_is_one_with_same(size, stride, side, tmp_path):
    x = np.random.default_rng(0).uniform(1, 2, (2, side, side + 3, 3)).astype("float32")  # zeros are no maximum
    wanted = keras.layers.MaxPooling2D(size, stride, "same")(x)
    for sizes in ((side, side + 3), (None, None)):
        inputs = keras.Input((*sizes, 3))
        padded = SamePadding2D(size, stride)(inputs)
        model = keras.Model(inputs, [padded, keras.layers.MaxPooling2D(size, stride)(padded)])
        border, pooled = model(x)
        np.testing.assert_array_equal(pooled, wanted)
        assert float(keras.ops.sum(border)) == pytest.approx(float(x.sum()), rel=1e-5)
        if None not in sizes:
            assert padded.shape[1:] == border.shape[1:]
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x)[1], wanted)


def test_errors():
    with pytest.raises(InputError, match="`strides` must be"):
        SamePadding2D(3, 0)
    with pytest.raises(InputError, match="`pool_size` must be"):
        SamePadding2D((1, 2, 3), 1)

import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.layers import BatchStochasticDepth


def test_scales_by_survival_when_not_training():
    x = np.ones((3, 2), "float32")
    np.testing.assert_allclose(BatchStochasticDepth(0.7)(x), 0.7 * x, rtol=1e-6)


def test_keeps_or_drops_the_whole_batch_unscaled():
    layer = BatchStochasticDepth(0.7, seed=1)
    x = np.ones((4, 2), "float32")
    draws = [keras.ops.convert_to_numpy(layer(x, training=True)) for _ in range(200)]
    assert all((y == y[0, 0]).all() and y[0, 0] in (0, 1) for y in draws)
    assert 0.6 < np.mean([y[0, 0] for y in draws]) < 0.8  # 3 standard deviations: 0.097


def test_comes_back_from_its_config():
    config = BatchStochasticDepth(0.25, seed=3).get_config()
    again = BatchStochasticDepth.from_config(config)
    assert (again.survival, again.seed) == (0.25, 3)


@pytest.mark.parametrize("survival", [0, -0.1, 1.1])
def test_survival_outside_its_range_is_refused(survival):
    with pytest.raises(InputError, match="survival must be in"):
        BatchStochasticDepth(survival)

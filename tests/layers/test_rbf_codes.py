import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.layers import RBFCodes


def test_negative_squared_distance():
    rng = np.random.default_rng(0)
    codes = rng.choice([-1, 1], (4, 9))
    x = rng.normal(size=(5, 9)).astype("float32")
    layer = RBFCodes(codes)
    expected = -((x[:, None] - codes[None]) ** 2).sum(-1)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)
    assert layer.compute_output_shape(x.shape) == (5, 4)
    assert layer.count_params() == 0


def test_comes_back_from_its_config():
    codes = [[1, -1, 1], [-1, -1, 1]]
    assert RBFCodes.from_config(RBFCodes(codes).get_config()).codes == codes


def test_bad_codes_and_inputs_are_refused():
    with pytest.raises(InputError, match=r"\+1 and -1"):
        RBFCodes([[0, 1]])
    with pytest.raises(InputError, match="2 features"):
        RBFCodes([[1, 1]])(np.zeros((1, 3), "float32"))

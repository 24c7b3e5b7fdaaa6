"""kerascnn.layers.BilinearUpsampling2D: it interpolates, does not train, saves; refusals."""

import keras
import numpy as np
import pytest
from layer_checks import check_export, check_round_trip, images

from kerascnn._errors import InputError
from kerascnn.layers import BilinearInitializer, BilinearUpsampling2D, ResizeLike


def test_kernel():
    kernel = np.array(BilinearInitializer()((4, 3, 2, 2)))
    expected = np.outer([0.25, 0.75, 0.75, 0.25], [0.5, 1, 0.5])  # 3 taps: factor 2, center 1
    np.testing.assert_allclose(kernel[..., 0, 0], expected)
    np.testing.assert_allclose(kernel[..., 1, 1], expected)
    assert not kernel[..., 0, 1].any() and not kernel[..., 1, 0].any()


@pytest.mark.parametrize("factor", [2, 4, 16])
def test_it_is_a_resized_image_inside_and_fades_at_the_border(factor):
    x = images(1, 5, 6, 3)
    y = BilinearUpsampling2D(3, factor)(x)
    assert y.shape == (1, 5 * factor, 6 * factor, 3)
    inside = slice(factor // 2, -(factor // 2))
    resized = ResizeLike()([x, y])
    np.testing.assert_allclose(y[:, inside, inside], resized[:, inside, inside], atol=1e-5)
    assert np.abs(y[:, 0]).mean() < np.abs(resized[:, 0]).mean()
    wide = BilinearUpsampling2D(3, factor, "valid")(x)
    half = factor // 2
    np.testing.assert_allclose(wide[:, half:-half, half:-half], y, atol=1e-5)


def test_weights_do_not_train_and_come_back_from_files(tmp_path):
    layer = BilinearUpsampling2D(2, 4, "valid", name="up")
    model = check_round_trip([layer], (5, 6, 2), tmp_path)
    assert not model.trainable_weights and model.count_params() == 8 * 8 * 2 * 2
    check_export(BilinearUpsampling2D(2, 2), 2, tmp_path)


def test_refusals():
    for factor in (0, 3, 2.0, True):
        with pytest.raises(InputError, match="even whole number"):
            BilinearUpsampling2D(3, factor)
    with pytest.raises(InputError, match="`filters` must be the channels"):
        BilinearUpsampling2D(3, 2)(keras.Input((4, 4, 2)))
    with pytest.raises(InputError, match="channels, channels"):
        BilinearInitializer()((4, 4, 2, 3))

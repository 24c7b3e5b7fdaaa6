"""The kernel that resizes images of bytes, on NumPy arrays: threads and refusals; its values are in tests/ops."""

import numpy as np
import pytest
from kernel_arrays import kernels


@pytest.mark.parametrize("bicubic", [False, True])
def test_threads_do_not_matter(bicubic):
    x = np.random.default_rng(0).integers(0, 256, (2, 31, 17, 3)).astype("uint8")
    y = kernels.resize2d(x, 12, 40, bicubic=bicubic)
    assert y.shape == (2, 12, 40, 3) and y.dtype == np.uint8
    for threads in (2, 5, 100):
        np.testing.assert_array_equal(kernels.resize2d(x, 12, 40, bicubic=bicubic, n_threads=threads), y)


@pytest.mark.parametrize("shape, size", [((1, 0, 3, 3), (2, 2)), ((0, 3, 3, 3), (2, 2)), ((1, 3, 3, 3), (0, 2))])
def test_what_is_refused(shape, size):
    with pytest.raises(ValueError, match="Received"):
        kernels.resize2d(np.zeros(shape, "uint8"), *size)
    with pytest.raises(ValueError, match="four dimensions"):
        kernels.resize2d(np.zeros((3, 3, 3), "uint8"), 2, 2)

"""NAS: skip connections by hand, and the orientation of kernels that are not square."""

import dataclasses

import numpy as np
import pytest

from kerascnn import applications
from kerascnn._errors import InputError
from kerascnn.applications import nas


def small(layers):
    """A network of a few layers of one kind as `nas_v1`."""
    spec = dataclasses.replace(applications.model_info("nas_v1").spec, layers=layers)
    return applications.create_model("nas_v1", spec=spec, input_shape=(None, None, 1), features_only=True)


def test_a_layer_sees_the_named_layers_in_order():
    model = small(((1, 1, 2, (0,)), (1, 1, 3, (1,)), (1, 1, 1, (1, 2))))
    kernel = np.array([1, 10, 100, 1000, 10000], "float32").reshape(1, 1, 5, 1)
    model.get_layer("layer1_conv").set_weights([np.array([1, 2], "float32").reshape(1, 1, 1, 2)])
    model.get_layer("layer2_conv").set_weights([np.array([[1, 2, 3], [0, 0, 0]], "float32").reshape(1, 1, 2, 3)])
    model.get_layer("layer3_conv").set_weights([kernel])
    scale = (1 + 1e-5) ** -0.5  # of a new batch norm
    expected = (21 * scale + 32100 * scale**2) * scale  # 1 + 2 * 10, then 1 * 100 + 2 * 1000 + 3 * 10000
    np.testing.assert_allclose(model(np.ones((1, 1, 1, 1), "float32")), [[[[expected]]]], rtol=1e-6)


def test_the_first_side_of_a_kernel_is_its_height():
    model = small(((3, 7, 1, (0,)),))
    model.get_layer("layer1_conv").set_weights([np.ones((3, 7, 1, 1), "float32")])
    image = np.zeros((1, 9, 9, 1), "float32")
    image[0, 4, 4, 0] = 1
    reached = np.argwhere(model(image)[0, :, :, 0] > 0)
    assert (reached.max(0) - reached.min(0) + 1).tolist() == [3, 7]


def test_a_map_as_large_as_the_image():
    model = applications.create_model("nas_v1", features_only=True)
    assert model.feature_strides == [1] and model.output_shape == (None, None, None, 48)


@pytest.mark.parametrize("layer", [(3, 3, 8, ()), (3, 3, 8, (2,)), (3, 3, 8, (-1,)), (3, 0, 8, (0,))])
def test_a_layer_sees_earlier_ones(layer):
    with pytest.raises(InputError, match=r"Layer 2 must have .* Received: \(3,"):
        nas.Spec(((3, 3, 8, (0,)), layer))

"""ResNeXt: grouped bottlenecks."""

import numpy as np

import kerascnn
from kerascnn.applications import resnext, resnext_cifar


def test_widths_of_the_paper():
    """Table 1 gives 128, 256, 512, 1024 for 32x4d; section 5.4 gives 8 and 16 groups of 64 channels."""
    assert [resnext.VARIANTS["resnext50_32x4d"].width(s) for s in range(4)] == [128, 256, 512, 1024]
    assert [resnext_cifar.VARIANTS["resnext29_16x64d"].width(s) for s in range(3)] == [1024, 2048, 4096]


def test_stride_is_in_the_grouped_convolution():
    model = kerascnn.create_model("resnext50_32x4d", include_top=False)
    grouped = model.get_layer("stage3_block1_conv2")
    assert (grouped.groups, grouped.strides) == (32, (2, 2))
    assert model.get_layer("stage3_block1_conv1").strides == (1, 1)


def test_cifar_form_on_small_images():
    model = kerascnn.create_model("resnext29_8x64d", features_only=True, input_shape=(16, 16, 3))
    assert [tuple(shape[1:]) for shape in model.output_shape] == [(16, 16, 256), (8, 8, 512), (4, 4, 1024)]
    assert model.feature_strides == [1, 2, 4]
    assert all(np.isfinite(stage).all() for stage in model(np.ones((1, 16, 16, 3), "float32")))

"""ZFNet: the published map sizes and the order of pool and normalization."""

from kerascnn import applications


def test_published_map_sizes():
    model = applications.ZFNet(include_top=False, input_shape=(224, 224, 3))
    sizes = [model.get_layer(name).output.shape[1] for name in ("conv1", "pool1", "conv2", "pool2", "conv5", "pool5")]
    assert sizes == [110, 55, 26, 13, 13, 6]  # figure 3


def test_pool_comes_before_normalization():
    names = [layer.name for layer in applications.ZFNet(include_top=False).layers]
    assert names[names.index("conv1") : names.index("conv2")] == ["conv1", "pool1_pad", "pool1", "norm1"]

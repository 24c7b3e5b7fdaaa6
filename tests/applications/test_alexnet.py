"""AlexNet: what the paper fixes, and torchvision's numbers."""

import keras

from kerascnn import applications


def test_order_of_the_first_block_and_the_groups_of_2012():
    model = applications.AlexNet2012(input_shape=(67, 67, 3))
    names = [layer.name for layer in model.layers]
    assert names[names.index("conv1") : names.index("conv2")] == ["conv1", "norm1", "pool1"]
    assert [model.get_layer(f"conv{i}").groups for i in range(1, 6)] == [1, 2, 1, 2, 2]
    config = model.get_layer("norm1").get_config()
    assert [config[key] for key in ("depth_radius", "bias", "alpha", "beta")] == [2, 2.0, 1e-4, 0.75]


def test_biases_start_as_in_the_paper():
    model = applications.AlexNet2012(input_shape=(67, 67, 3), classes=3)
    starts = {layer.name: float(layer.bias[0]) for layer in model.layers if layer.weights}
    assert starts == {f"conv{i}": float(i in (2, 4, 5)) for i in range(1, 6)} | {"fc6": 1, "fc7": 1, "head": 0}


def test_published_map_sizes():
    for name, size, maps in [("alexnet", 224, (27, 13, 6)), ("alexnet_2012", 227, (27, 13, 6))]:
        model = applications.create_model(name, features_only=True)
        assert tuple(s[1] for s in model.compute_output_shape((1, size, size, 3))) == maps


def test_dropout_rate_is_an_option():
    model = applications.AlexNetCIFAR10(dropout_rate=0.25)
    assert {layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)} == {0.25}

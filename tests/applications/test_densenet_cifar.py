"""DenseNet for CIFAR: width of the stem, transitions and dropout with and without bottlenecks."""

import keras
import pytest

from kerascnn.applications import densenet_cifar


@pytest.mark.parametrize("bottleneck, stem, widths", [(False, 16, [28, 40, 52]), (True, 24, [36, 30, 27])])
def test_stem_and_compression(bottleneck, stem, widths):
    spec = densenet_cifar.Spec(10 if bottleneck else 7, 12, bottleneck)  # one layer in each block
    inputs = keras.Input((8, 8, 3))
    stages = densenet_cifar.features(inputs, spec)
    model = keras.Model(inputs, stages)
    assert model.get_layer("stem_conv").filters == stem
    assert [stage.shape[1:] for stage in stages] == [(8, 8, widths[0]), (4, 4, widths[1]), (2, 2, widths[2])]


@pytest.mark.parametrize("bottleneck", [False, True])
def test_dropout_follows_every_convolution_but_the_stem(bottleneck):
    inputs = keras.Input((8, 8, 3))
    spec = densenet_cifar.Spec(16, 4, bottleneck)
    model = keras.Model(inputs, densenet_cifar.features(inputs, spec, dropout_rate=0.2))
    dropouts = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    convolutions = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert dropouts == [name.replace("conv", "dropout") for name in convolutions[1:]]

"""compile with partial=True: what becomes programs, what stays layers, and that the numbers are the network's."""

import keras
import numpy as np
import pytest
from compiled_checks import shaken

import kerascnn
from kerascnn import inference, surgery
from kerascnn._errors import InputError
from kerascnn.inference.partial_lowering import parts_of

L = keras.layers


def check(model, shape, batch=2):
    """The network's outputs, and the parts: True for a program."""
    model = shaken(surgery.logits_of(model))
    images = np.random.default_rng(1).normal(size=(batch, *shape)).astype("float32")
    expected = model(images, training=False).numpy()
    got = inference.compile(model, partial=True)(images)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    return [part.program is not None for part in parts_of(model)]


def block(x, filters):
    x = L.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    return L.ReLU()(L.BatchNormalization()(x))


def test_a_layer_in_the_middle():
    images = L.Input((12, 9, 3))
    x = block(block(images, 8), 8)
    x = block(L.LeakyReLU()(x), 5)
    model = keras.Model(images, L.Dense(4)(L.GlobalAveragePooling2D()(x)))
    assert check(model, (12, 9, 3)) == [True, False, True]


def test_a_connection_that_skips_it():
    """All between the places where one map alone goes on stays as it is; several layers, one of them with options."""
    images = L.Input((12, 9, 3))
    x = block(images, 6)
    y = block(L.LeakyReLU(negative_slope=0.2)(x), 6)
    x = L.Concatenate()([L.Add()([x, y]), L.UpSampling2D((1, 1), interpolation="bilinear")(y)])
    x = block(x, 4)
    model = keras.Model(images, L.Conv2D(2, 1)(x))
    assert check(model, (12, 9, 3), 3) == [True, False, True]


def test_the_ends():
    """Layers first and last; what is left in between is a program, and a sum alone is none."""
    images = L.Input((8, 8, 4))
    x = block(L.LeakyReLU()(images), 4)
    x = L.LeakyReLU()(x)
    x = L.LeakyReLU()(L.ReLU()(x))
    model = keras.Model(images, L.LeakyReLU()(L.GlobalAveragePooling2D()(x)))
    assert check(model, (8, 8, 4)) == [False, True, False]


def test_a_network_that_is_lowered_whole():
    assert check(kerascnn.create_model("lenet5"), (32, 32, 1)) == [True]


@pytest.mark.after
def test_a_network():
    assert True in check(kerascnn.create_model("alexnet_cifar10", input_shape=(32, 32, 3), classes=5), (32, 32, 3))


def test_a_network_that_reads_its_images_at_the_end_has_no_such_part():
    model = kerascnn.create_model("deeplabv3_resnet18_slim", input_shape=(33, 33, 3), classes=5)
    with pytest.raises(InputError, match="must have a part that an inference program can stand for"):
        inference.compile(model, partial=True)  # the masks are resized as the images are


def test_what_has_no_such_part():
    images = L.Input((8, 8, 4))
    for model in (keras.Model(images, L.LeakyReLU()(images)), keras.Model(images, L.ReLU()(images))):
        with pytest.raises(InputError, match="must have a part that an inference program can stand for"):
            inference.compile(model, partial=True)
    with pytest.raises(InputError, match="one list of images"):
        inference.compile(keras.Model([images, other := L.Input((8, 8, 4))], L.Add()([images, other])), partial=True)
    model = keras.Model(images, L.Conv2D(3, 1)(L.LeakyReLU()(images)))
    with pytest.raises(InputError, match="an instruction of an inference program stands for"):
        inference.compile(model)

"""LeNet-5 layer by layer against the paper, and that both forms learn."""

import itertools

import keras
import numpy as np
import pytest

from kerascnn import applications, data, layers
from kerascnn.applications import lenet


def test_parameters_of_each_layer_of_1998():
    model = applications.LeNet5_1998()
    counts = {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}
    assert counts == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164}


def test_parameters_of_each_modern_layer():
    model = applications.LeNet5()
    counts = {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}
    assert counts == {"c1": 156, "c3": 2416, "c5": 48120, "f6": 10164, "head": 850}


def test_the_connection_table_is_the_papers():
    table = lenet.VARIANTS["lenet5_1998"].table
    seen_by = ["".join("X" if i in row else "." for row in table) for i in range(6)]  # rows as printed in table I
    assert seen_by == [
        "X...XXX..XXXX.XX",
        "XX...XXX..XXXX.X",
        "XXX...XXX..X.XXX",
        ".XXX..XXXX..X.XX",
        "..XXX..XXXX.XX.X",
        "...XXX..XXXX.XXX",
    ]


def test_codes_are_far_apart_and_fit_the_paper():
    for classes in (10, 7):
        codes = np.array(lenet.codes(classes))
        assert codes.shape == (classes, 84) and set(codes.ravel()) == {-1, 1}
        assert min((a != b).sum() for a, b in itertools.combinations(codes, 2)) >= 5
    assert lenet.codes(7) == lenet.codes(7)


def test_scaled_tanh_keeps_plus_and_minus_one():
    np.testing.assert_allclose(layers.scaled_tanh(np.array([-1.0, 0, 1], "float32")), [-1, 0, 1], atol=1e-4)


def test_without_activation_the_outputs_are_negative_squared_distances():
    model = applications.LeNet5_1998(classifier_activation=None)
    x = keras.random.normal((2, 32, 32, 1), seed=3)
    f6 = keras.Model(model.input, model.get_layer("f6_squash").output)(x).numpy()
    expected = -((f6[:, None] - np.array(lenet.codes(10))) ** 2).sum(-1)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4)
    probabilities = keras.Model(model.input, keras.layers.Softmax()(model.output))(x)
    assert np.allclose(probabilities.numpy().sum(-1), 1)


@pytest.mark.parametrize("name, rate", [("lenet5", 0.02), ("lenet5_1998", 0.005)])
def test_learns_digits(name, rate):
    info = applications.model_info(name)
    source = data.load("digits")
    batches, steps = data.train_pipeline(
        source,
        image_shape=info.input_shape,
        preprocessing=info.preprocessing,
        batch_size=32,
        augment="none",
        seed=0,
        first_epoch=0,
        epochs=4,
    )
    model = applications.create_model(name)
    model.compile(keras.optimizers.SGD(rate, 0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(batches, steps_per_epoch=steps, epochs=4, shuffle=False, verbose=0).history
    assert history["accuracy"][-1] > 0.9

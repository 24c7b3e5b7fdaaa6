"""Deeply-supervised net: the companions see what ReLUs have not cut, count as published, and vanish."""

import keras
import numpy as np
import pytest

from kerascnn import applications
from kerascnn._errors import InputError


def test_companions_of_the_release():
    model = applications.DeeplySupervisedNiN(auxiliary_heads=True)
    heads = [model.get_layer(f"companion{s}") for s in (1, 2, 3)]
    assert [head.count_params() for head in heads] == [1_966_090, 491_530, 122_890]
    assert model.count_params() == 3_547_496
    for s in (1, 2, 3):
        seen = model.get_layer(f"companion{s}_flatten").input._keras_history.operation
        assert seen.name == f"stage{s}_conv1" and seen.activation is keras.activations.linear
    x = np.zeros((1, 32, 32, 3), "float32")
    assert model(x).shape == (1, 10)
    assert [y.shape for y in model(x, training=True)] == [(1, 10)] * 4


def test_trains_with_the_loss_of_the_paper():
    options = {"input_shape": (8, 8, 1), "classifier_activation": None}
    model = applications.DeeplySupervisedNiN(auxiliary_heads=True, **options)
    before = model.get_layer("companion2").get_weights()[0]
    model.compile("sgd", "squared_hinge")
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")
    loss = model.fit(x, np.eye(10, dtype="float32")[:4], verbose=0).history["loss"][0]
    assert 3 < loss < 5  # four times about 1, the squared margin
    assert (model.get_layer("companion2").get_weights()[0] != before).any()


def test_companions_need_a_size():
    with pytest.raises(InputError, match="known size"):
        applications.DeeplySupervisedNiN(auxiliary_heads=True, input_shape=(None, None, 3))


def test_the_head_has_no_relu():
    head = applications.DeeplySupervisedNiN().get_layer("head")
    assert head.activation is keras.activations.linear

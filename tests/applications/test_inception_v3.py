"""Inception v3: the auxiliary head, and what sets the two releases apart."""

import keras
import numpy as np
import pytest

from kerascnn import applications
from kerascnn._errors import InputError


def test_auxiliary_head_has_the_published_size():
    model = applications.InceptionV3(auxiliary_heads=True)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 27_161_264
    assert model.auxiliary_weights == (0.4,)
    assert model.get_layer("aux_pool").input.shape[1:] == (17, 17, 768)
    assert model.get_layer("aux_conv2").output.shape[1:] == (1, 1, 768)


def test_auxiliary_head_needs_its_windows():
    with pytest.raises(InputError, match="299"):
        applications.InceptionV3(auxiliary_heads=True, input_shape=(298, 298, 3))


def test_releases():
    for name, factors, layer, dropout in [
        ("inception_v3", True, keras.layers.ZeroPadding2D, 0.5),
        ("inception_v3_keras", False, keras.layers.AveragePooling2D, 0.2),
    ]:
        model = applications.create_model(name, input_shape=(75, 75, 3))
        norms = [item for item in model.layers if isinstance(item, keras.layers.BatchNormalization)]
        assert len(norms) == 94
        assert {norm.scale for norm in norms} == {factors} and {norm.epsilon for norm in norms} == {1e-3}
        pool = next(item for item in model.layers if item.name.startswith("mixed5b_pool"))
        assert isinstance(pool, layer)
        assert model.get_layer("head_dropout").rate == dropout

"""Costs of small networks against sums done by hand."""

import keras
import pytest

from kerascnn import analysis
from kerascnn._errors import InputError


def _small(height=8, width=8):
    x = inputs = keras.Input((height, width, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, padding="valid")(x)
    x = keras.layers.SeparableConv2D(6, 3, padding="same")(x)
    x = keras.layers.Conv2D(6, 3, padding="same", groups=2)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(5)(x))


SMALL_MACS = 4 * 4 * 27 * 4 + 2 * 2 * (9 * 4 + 9 * 4 + 4 * 6 + 9 * 3 * 6) + 6 * 5


def test_macs_and_parameters_by_hand():
    cost = analysis.count(_small())
    assert cost.macs == SMALL_MACS
    # conv, batch norm, depthwise, separable, grouped conv, dense
    assert cost.params_trainable == (108 + 4) + 8 + (36 + 4) + (36 + 24 + 6) + (162 + 6) + 35
    assert cost.params_other == 8
    assert cost.unknown == ()


def test_open_size_needs_an_input_shape():
    model = _small(None, None)
    assert analysis.count(model, (8, 8, 3)).macs == SMALL_MACS
    with pytest.raises(InputError, match="pass input_shape"):
        analysis.count(model)


def test_another_size_than_the_one_built_for():
    assert analysis.count(_small(16, 16), (8, 8, 3)).macs == SMALL_MACS


def test_transposed_convolution_counts_input_positions():
    inputs = keras.Input((5, 5, 2))
    model = keras.Model(inputs, keras.layers.Conv2DTranspose(3, 4, strides=2)(inputs))
    assert analysis.count(model).macs == 25 * 16 * 2 * 3


def test_shared_layers_count_per_call_and_nested_models_are_followed():
    shared = keras.layers.Dense(3)
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, keras.layers.Dense(4)(inner_in))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.add([shared(inputs), shared(inner(inputs))]))
    before = len(model.layers), [len(layer.weights) for layer in model.layers]
    assert analysis.count(model).macs == 2 * 12 + 16
    assert analysis.count(model).params_trainable == 15 + 20
    assert (len(model.layers), [len(layer.weights) for layer in model.layers]) == before
    assert inner.output.shape == (None, 4)  # one node still: counting did not call the model's layers


def test_sequential():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    assert analysis.count(model).macs == 12 + 6


def test_layers_without_a_formula_are_reported():
    @keras.saving.register_keras_serializable(package="test")
    class Gain(keras.layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],))

        def call(self, x):
            return x * self.gain

    inputs = keras.Input((4,))
    x = Gain(name="mine")(inputs)
    cost = analysis.count(keras.Model(inputs, keras.ops.relu(x)))
    assert cost.unknown == ("mine (Gain)",)
    assert cost.macs == 0
    assert cost.params_trainable == 4


def test_models_without_a_graph_are_refused():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(InputError, match="functional"):
        analysis.count(Subclassed())
    with pytest.raises(InputError, match="one input"):
        a, b = keras.Input((2,)), keras.Input((2,))
        analysis.count(keras.Model([a, b], keras.layers.add([a, b])), (2,))

"""kerascnn.layers.LayerNormalization and gelu: equal to Keras', and what they trace."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import POLICIES, check_export, check_round_trip, check_training, check_training_by_xla, images

from kerascnn import layers
from kerascnn.blocks import transformer
from kerascnn.ops import native


def pair(shape, **options):
    """Keras' layer and ours with the same random weights."""
    both = keras.layers.LayerNormalization(**options), layers.LayerNormalization(**options)
    for layer in both:
        layer.build(shape)
        layer.set_weights([images(*w.shape, seed=1) + 1 for w in layer.weights])
    return both


def run(layer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
    return [y, *tape.gradient(loss, [x, *(variable.value for variable in layer.trainable_variables)])]


@pytest.mark.parametrize("mode", ("auto", "off"))
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((4, 5, 7), {}),
        ((4, 5, 6, 7), {"axis": 3, "epsilon": 1e-6}),
        ((4, 7), {"scale": False}),
        ((4, 5, 7), {"center": False}),
        ((4, 5, 7), {"center": False, "scale": False}),
        ((4, 5, 7), {"axis": 1}),
        ((4, 5, 7), {"axis": (1, 2)}),
        ((4, 5, 7), {"dtype": "float64"}),
        ((4, 5, 7), {"dtype": "mixed_bfloat16"}),
    ],
)
def test_equals_keras(mode, shape, options):
    theirs, ours = pair(shape, **options)
    x = tf.cast(images(*shape), ours.compute_dtype)
    tolerance = 0.1 if ours.compute_dtype == "bfloat16" else 1e-4
    with native(mode):
        found = run(ours, x)
    for got, want in zip(found, run(theirs, x), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(
            tf.cast(got, "float32"), tf.cast(want, "float32"), rtol=tolerance, atol=2 * tolerance
        )
    assert {**ours.get_config(), "name": ""} == {**theirs.get_config(), "name": ""}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", ("auto", "off"))
def test_trains(policy, mode):
    def make():
        yield keras.layers.Dense(8, activation=layers.gelu)
        yield layers.LayerNormalization()

    check_training(make, (4, 3, 6), policy, mode)


def test_saves_exports_and_compiles(tmp_path):
    makes = [layers.LayerNormalization(epsilon=1e-5), keras.layers.Activation(layers.gelu)]
    loaded = check_round_trip(makes, (4, 3, 6), tmp_path)
    assert loaded.layers[-1].activation is layers.gelu
    for number, layer in enumerate(makes):
        check_export(layer, 6, tmp_path / f"export{number}")
    check_training_by_xla(layers.LayerNormalization(), (4, 3, 6))


def test_gelu_is_keras_own():
    x = tf.constant(images(4, 33) * 3)
    np.testing.assert_allclose(layers.gelu(x), keras.activations.gelu(x, approximate=False), atol=1e-6)
    symbolic = layers.gelu(keras.Input((4, 5)))
    assert symbolic.shape == (None, 4, 5)


def test_networks_of_tokens_run_it():
    """Of the ops of a training step, those of norms, attention and activations are ours."""
    inputs = keras.Input((6, 8))
    model = keras.Model(inputs, transformer.encoder_block(inputs, transformer.Encoder(heads=2), name="block"))

    @tf.function(autograph=False)
    def step(x):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(model(x, training=True))
        return tape.gradient(y, model.trainable_variables)

    with native("require"):
        kinds = [op.type for op in step.get_concrete_function(tf.TensorSpec((2, 6, 8))).graph.get_operations()]
    assert kinds.count("Kerascnn>LayerNormalization") == kinds.count("Kerascnn>LayerNormalizationGradient") == 2
    assert kinds.count("Kerascnn>SelfAttention") == kinds.count("Kerascnn>SelfAttentionGradient") == 1
    assert kinds.count("Kerascnn>Gelu") == kinds.count("Kerascnn>GeluGradient") == 1

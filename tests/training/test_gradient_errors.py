"""How exact gradients in float32 are, beside our own in float64 of the same weights and images.

tools/gradient_error.py compares them with PyTorch's. ReLUs are SiLUs here, as a sum that is almost 0 falls on the other
side of a ReLU now and then, which changes gradients more than all rounding.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn

# Name -> the side of the images and the limit, four times what was measured; sums of large squares, or of halves, would
# be far beyond. Four images of 64 pixels leave a batch norm 16 values a channel at least: of 4 errors grow tenfold.
NETWORKS = {"resnet20": (32, 1e-5), "tf_mobilenetv1_025_128": (64, 4e-5)}
BATCH, CLASSES = 4, 10


def gradients(name, dtype, images, labels, weights):
    """Of the cross-entropy in training mode, and the weights that the network had; `weights` None: new ones."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        options = {"input_shape": images.shape[1:], "classes": CLASSES, "classifier_activation": None}
        model = kerascnn.create_model(name, **options)
    finally:
        keras.config.set_dtype_policy(before)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif isinstance(layer, keras.layers.ReLU):
            layer.call = keras.activations.silu
        elif getattr(layer, "activation", None) is keras.activations.relu:
            layer.activation = keras.activations.silu
    if weights is not None:
        model.set_weights(weights)
    weights = model.get_weights()
    with tf.GradientTape() as tape:
        logits = model(images.astype(dtype), training=True)
        assert logits.dtype == dtype
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    found = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return [value.numpy().astype("float64") for value in found], weights


@pytest.mark.parametrize(("name", "size", "limit"), [(name, *row) for name, row in NETWORKS.items()])
def test_gradients_are_near_those_in_float64(name, size, limit):
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((BATCH, size, size, 3)).astype("float32")
    labels = generator.integers(0, CLASSES, BATCH)
    single, weights = gradients(name, "float32", images, labels, None)
    double, _ = gradients(name, "float64", images, labels, weights)
    square = sum(np.square(one - two).sum() for one, two in zip(single, double, strict=True))
    error = (square / sum(np.square(two).sum() for two in double)) ** 0.5
    assert 0 < error < limit

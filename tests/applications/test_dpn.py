"""Dual path networks: widths of the two paths, and a block by hand."""

import keras
import numpy as np
import parity

from kerascnn import applications
from kerascnn.applications import dpn


def test_paths():
    """Stage 1 of DPN-92 carries 256 channels that are added to and 16 * (3 + 2) that grew; see table 1."""
    model = applications.create_model("dpn92", features_only=True)
    assert [shape[-1] for shape in model.output_shape] == [336, 704, 1552, 2688]
    name = "stage4_block3"
    assert model.get_layer(f"{name}_add").output.shape[-1] == 2048
    assert model.get_layer(f"{name}_append").output.shape[-1] == 2688 - 2048
    assert model.get_layer(f"{name}_conv2").groups == 32


def test_a_block_adds_and_appends():
    inputs = [keras.Input((5, 5, 8)), keras.Input((5, 5, 6))]
    spec = dpn.Spec((1,), (2,), groups=2, width=4)
    added, appended = dpn.block(inputs, 8, 2, 4, 1, spec, name="b_block1")
    model = keras.Model(inputs, [added, appended])
    inner = keras.Model(inputs, model.get_layer("b_block1_conv3").output)
    parity.randomize(model)
    x = [np.random.default_rng(i).normal(size=(2, 5, 5, c)).astype("float32") for i, c in enumerate((8, 6))]
    y = np.asarray(inner(x))
    assert y.shape[-1] == 8 + 2
    np.testing.assert_allclose(model(x)[0], x[0] + y[..., :8], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model(x)[1], np.concatenate([x[1], y[..., 8:]], -1), rtol=1e-5, atol=1e-5)


def test_68b_is_68_with_one_convolution_in_two():
    one, two = (applications.create_model(name, input_shape=(32, 32, 3), classes=5) for name in ("dpn68", "dpn68b"))
    parity.randomize(one)
    for layer in one.layers:
        if layer.name.endswith("_conv3"):
            first = two.get_layer(f"{layer.name}_residual").filters
            (kernel,) = layer.get_weights()
            two.get_layer(f"{layer.name}_residual").set_weights([kernel[..., :first]])
            two.get_layer(f"{layer.name}_dense").set_weights([kernel[..., first:]])
        elif layer.weights:
            two.get_layer(layer.name).set_weights(layer.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(two(x), one(x), rtol=1e-4)

"""The supernet of chains with skips."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.search import spaces
from kerascnn.search.one_shot import MacroSupernet
from kerascnn.search.one_shot.macro import ends
from kerascnn.search.spaces import Chain, Layer, Row

SPACE = Chain(4, {"operation": ("conv_3x3", "conv_5x5", "sep_3x3", "avg_3x3", "max_3x3")})
IMAGES = np.random.default_rng(0).normal(size=(6, 9, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def supernet():
    return MacroSupernet(SPACE, filters=4, input_shape=(9, 8, 1), classes=3)


def test_a_network_that_is_cut_out_computes_the_same(supernet):
    rng = np.random.default_rng(1)
    for _ in range(4):
        layers = SPACE.decode(SPACE.sample(rng))
        supernet.activate(layers)
        expected = supernet(IMAGES).numpy()
        network = supernet.cut(layers)
        np.testing.assert_allclose(network(IMAGES, training=True), expected, rtol=1e-4, atol=1e-5)
        assert np.ptp(expected) > 0.01
        assert supernet.parameters(layers) == sum(int(np.prod(w.shape)) for w in network.trainable_weights)


def test_gradients_reach_the_drawn_layers_alone(supernet):
    layers = tuple(Layer(Row({"operation": name})) for name in ("conv_3x3", "avg_3x3", "sep_3x3", "conv_5x5"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(supernet.logits(IMAGES, layers)[:, 0] ** 2)
    gradients = tape.gradient(loss, supernet.weights_of())
    reached = {id(w) for w, g in zip(supernet.weights_of(), gradients, strict=True) if g is not None}
    places = {place for place in supernet.places if {id(w) for w in supernet.weights_of([place])} <= reached}
    assert places == {
        "stem", "layer1_conv_3x3", "layer2_avg_3x3", "layer2", "layer3_sep_3x3", "layer3", "layer4_conv_5x5", "layer4",
        "reduction1_layer1", "reduction2_layer2", "head",
    }  # fmt: skip


def test_a_skip_adds_the_map_of_its_layer(supernet):
    plain = [Layer(Row({"operation": "conv_3x3"})) for _ in range(4)]
    skipped = [*plain[:3], Layer(plain[3].values, (0, 2))]
    assert np.abs(supernet.logits(IMAGES, plain) - supernet.logits(IMAGES, skipped)).max() > 0.01
    names = {layer.name for layer in supernet.cut(skipped).layers}
    assert {"layer4_add", "reduction2_layer0_join", "reduction1_layer0_join"} <= names
    assert "reduction1_layer0_join" not in {layer.name for layer in supernet.cut(plain).layers}


def test_maps_are_halved_after_thirds():
    assert (ends(12), ends(4), ends(2)) == ((4, 8), (1, 2), ())


def test_what_cannot_be_used_is_refused(supernet):
    with pytest.raises(InputError, match="a Chain whose layers choose an operation"):
        MacroSupernet(spaces.nas(3))
    with pytest.raises(InputError, match="choice must be 4 layers of conv_3x3"):
        supernet.logits(IMAGES, SPACE.decode(SPACE.sample(np.random.default_rng(0)))[:3])
    with pytest.raises(InputError, match="skips to earlier ones"):
        supernet.logits(IMAGES, [Layer(Row({"operation": "conv_3x3"}), (1,)) for _ in range(4)])

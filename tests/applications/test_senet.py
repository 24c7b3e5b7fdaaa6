"""SE networks: the gate by hand, the rounding of the first pool, and timm's numbers."""

import keras
import numpy as np
import parity
import pytest

from kerascnn import applications, blocks


def test_gate_by_hand():
    inputs = keras.Input((None, None, 6))
    model = keras.Model(inputs, blocks.squeeze_excite(inputs, 2, name="se"))
    parity.randomize(model)
    w1, b1, w2, b2 = (w.squeeze() for w in model.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    hidden = np.maximum(x.mean((1, 2)) @ w1 + b1, 0)
    gate = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    np.testing.assert_allclose(model(x), x * gate[:, None, None], rtol=1e-4, atol=1e-5)


def test_first_pool_rounds_up_without_padding():
    model = applications.create_model("seresnet18", include_top=False)
    pool = keras.Model(model.input, model.get_layer("stem_pool").output)
    for size, pooled in [(224, 56), (225, 56), (228, 57), (33, 8), (35, 9)]:  # ceil((ceil(size / 2) - 3) / 2) + 1
        assert pool.compute_output_shape((1, size, size, 3))[1] == pooled


@pytest.mark.peers
def test_basic_blocks_equal_timm_but_for_a_relu(tmp_path, monkeypatch):
    """timm alone has a ReLU before the gate there (see Departures), which is added for the comparison."""
    gate = blocks.squeeze_excite
    monkeypatch.setattr(blocks, "squeeze_excite", lambda x, *args, **names: gate(keras.ops.relu(x), *args, **names))
    arrays = parity.peer("timm", "legacy_seresnet18", tmp_path, size=76)  # 38 after the stem, 19 after the pool
    path = parity.save_state(arrays, tmp_path / "peer.safetensors")
    model = applications.SEResNet18(classifier_activation=None, input_shape=(76, 76, 3), weights=path)
    label = f"{arrays['versions']} `legacy_seresnet18`, its ReLU before the gate added to ours"
    parity.check("seresnet18", label, model(parity.images(arrays)), arrays["output"])

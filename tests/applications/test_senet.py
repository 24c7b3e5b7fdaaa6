"""SE networks: the gate by hand, the rounding of the first pool, and timm's numbers."""

import re

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


def timm_name(module):
    """Module of timm's legacy SE networks -> our layer."""
    if module in ("layer0.conv1", "layer0.bn1"):
        return module.replace("layer0.", "stem_")[:-1]
    if module == "last_linear":
        return "head"
    stage, block, rest = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", module).groups()
    others = {
        "downsample.0": "shortcut_conv",
        "downsample.1": "shortcut_bn",
        "se_module.fc1": "se_reduce",
        "se_module.fc2": "se_expand",
    }
    return f"stage{stage}_block{int(block) + 1}_{others.get(rest, rest)}"


@pytest.mark.peers
@pytest.mark.parametrize(
    "name",
    ["seresnet18"] + [pytest.param(n, marks=pytest.mark.slow) for n in ("seresnet50", "seresnext50_32x4d")],
)
def test_equals_timm(tmp_path, name, monkeypatch):
    peer = f"timm `legacy_{name}`"
    if not applications.model_info(name).spec.bottleneck:  # timm alone has a ReLU there; see Departures
        gate, peer = blocks.squeeze_excite, f"{peer} (its ReLU before the gate added)"
        monkeypatch.setattr(blocks, "squeeze_excite", lambda x, *args, **names: gate(keras.ops.relu(x), *args, **names))
    arrays = parity.peer("timm", f"legacy_{name}", tmp_path, size=76)  # 38 after the stem, 19 after the pool
    model = applications.create_model(name, classifier_activation=None, input_shape=(76, 76, 3))
    parity.copy_state(arrays, model, timm_name)
    parity.check(name, peer, model(parity.images(arrays)), arrays["output"])

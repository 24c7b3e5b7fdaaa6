"""GoogLeNet: what sets its forms apart, and the auxiliary heads."""

import keras
import numpy as np
import parity
import pytest
from safetensors.numpy import save_file

from kerascnn import applications, layers


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.mark.parametrize("name, params", [("googlenet_2014", 13_378_280), ("googlenet", 13_004_888)])
def test_auxiliary_heads_have_the_published_size(name, params):
    model = applications.create_model(name, auxiliary_heads=True)
    assert trainable(model) == params
    windows = {"googlenet_2014": keras.layers.AveragePooling2D, "googlenet": keras.layers.AdaptiveAveragePooling2D}
    for head, channels in (("aux1", 512), ("aux2", 528)):
        pool = model.get_layer(f"{head}_pool")
        assert isinstance(pool, windows[name])
        assert pool.input.shape[1:] == (14, 14, channels) and pool.output.shape[1:] == (4, 4, channels)


def test_auxiliary_heads_weigh_0_3_and_vanish_at_inference():
    model = applications.GoogLeNetCIFAR10(auxiliary_heads=True)
    assert model.auxiliary_weights == (0.3, 0.3)
    x = np.zeros((2, 32, 32, 3), "float32")
    assert [y.shape for y in model(x, training=True)] == [(2, 10)] * 3
    assert model(x, training=False).shape == (2, 10)
    assert {layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)} == {0.4, 0.7}


def test_caffe_constants():
    model = applications.GoogLeNet2014(input_shape=(64, 64, 3))
    order = [layer.name for layer in model.layers if layer.name in ("pool1", "norm1", "stem_conv2", "norm2", "pool2")]
    assert order == ["pool1", "norm1", "stem_conv2", "norm2", "pool2"]
    norm = model.get_layer("norm1")
    assert (norm.depth_radius, norm.bias, norm.alpha, norm.beta, norm.alpha_convention) == (2, 1, 1e-4, 0.75, "mean")
    starts = {layer.name: float(layer.bias[0]) for layer in model.layers if layer.weights}
    assert starts.pop("head") == 0
    assert set(starts.values()) == {np.float32(0.2)}


def test_torchvisions_form_is_another_network():
    model = applications.GoogLeNet(input_shape=(64, 64, 3))
    assert model.get_layer("inception3a_branch3_conv2").kernel_size == (3, 3)
    assert model.get_layer("pool4").pool_size == (2, 2)
    assert not any(isinstance(layer, layers.LocalResponseNormalization) for layer in model.layers)
    assert model.get_layer("head_dropout").rate == 0.2


def test_pools_round_up():
    model = applications.create_model("googlenet_2014", features_only=True)
    for size, maps in [(224, (56, 28, 14, 7)), (231, (58, 29, 14, 7)), (33, (8, 4, 2, 1)), (31, (8, 4, 2, 1))]:
        assert tuple(s[1] for s in model.compute_output_shape((1, size, size, 3))) == maps


@pytest.mark.slow
@pytest.mark.peers
def test_torchvisions_auxiliary_heads_are_read(tmp_path):
    arrays = parity.peer("torchvision", "googlenet", tmp_path, size=64)
    state = {key.removeprefix("state/"): arrays[key] for key in arrays if key.startswith("state/")}
    save_file({key: np.ascontiguousarray(value) for key, value in state.items()}, tmp_path / "peer.safetensors")
    shape = (64, 64, 3)
    model = applications.GoogLeNet(auxiliary_heads=True, input_shape=shape, weights=tmp_path / "peer.safetensors")
    for i in (1, 2):
        assert np.array_equal(model.get_layer(f"aux{i}_head").kernel, state[f"aux{i}.fc2.weight"].T)
        # [1024, 128 channels, 4, 4] flattened, to [4, 4, 128 channels] flattened, 1024
        kernel = state[f"aux{i}.fc1.weight"].reshape(1024, 128, 4, 4).transpose(2, 3, 1, 0).reshape(2048, 1024)
        assert np.array_equal(model.get_layer(f"aux{i}_fc").kernel, kernel)

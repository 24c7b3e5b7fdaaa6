"""T2T-ViT against loops and products in NumPy, by files with the authors' names; what is fixed; other sizes."""

import math

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import kerascnn
from kerascnn import layers
from kerascnn.applications import t2t_vit

PERFORMER = t2t_vit.Spec(12, 2, 3, 2, token_width=8)
FULL = t2t_vit.Spec(12, 2, 3, 2, performer=False, token_width=8, released_scale=True)
CASES = [("t2t_vit_7", PERFORMER), ("t2t_vit_t_14", FULL)]


def authors_state(spec, patches):
    """Random weights by the authors' names, in PyTorch's layouts."""
    rng, state = np.random.default_rng(0), {}

    def draw(name, *shape):
        state[name] = (rng.normal(size=shape) / math.sqrt(shape[-1])).astype("float32")

    def linear(name, inputs, outputs, bias=True):
        draw(f"{name}.weight", outputs, inputs)
        if bias:
            draw(f"{name}.bias", outputs)

    def norm(name, width):
        state[f"{name}.weight"] = rng.uniform(0.5, 1.5, width).astype("float32")
        draw(f"{name}.bias", width)

    for i, inputs in ((1, 3 * 49), (2, spec.token_width * 9)):
        name, width = f"tokens_to_token.attention{i}", spec.token_width
        norm(f"{name}.norm1", inputs)
        norm(f"{name}.norm2", width)
        parts = ("kqv", "proj", "mlp.0", "mlp.2") if spec.performer else ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
        linear(f"{name}.{parts[0]}", inputs, 3 * width, spec.performer)
        for part in parts[1:]:
            linear(f"{name}.{part}", width, width)
        if spec.performer:
            draw(f"{name}.w", width // 2, width)
    linear("tokens_to_token.project", spec.token_width * 9, spec.width)
    draw("cls_token", 1, 1, spec.width)
    draw("pos_embed", 1, 1 + patches, spec.width)
    for b in range(spec.depth):
        name, hidden = f"blocks.{b}", int(spec.width * spec.mlp_ratio)
        norm(f"{name}.norm1", spec.width)
        norm(f"{name}.norm2", spec.width)
        linear(f"{name}.attn.qkv", spec.width, 3 * spec.width, False)
        linear(f"{name}.attn.proj", spec.width, spec.width)
        linear(f"{name}.mlp.fc1", spec.width, hidden)
        linear(f"{name}.mlp.fc2", hidden, spec.width)
    norm("norm", spec.width)
    linear("head", spec.width, 5)
    return state


class ByNumpy:
    """One image through the network, in float64."""

    def __init__(self, state, spec):
        self.state, self.spec = {key: value.astype("float64") for key, value in state.items()}, spec

    def linear(self, x, name):
        return x @ self.state[f"{name}.weight"].T + self.state.get(f"{name}.bias", 0)

    def norm(self, x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def mlp(self, x, first, second):
        x = self.linear(x, first)
        return self.linear(x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))), second)

    @staticmethod
    def softmax(x):
        x = np.exp(x - x.max(-1, keepdims=True))
        return x / x.sum(-1, keepdims=True)

    @staticmethod
    def windows(image, taps, stride, before):
        """A channels-first image to the channels, then rows, then columns of each window, row by row of windows."""
        padded = np.pad(image, ((0, 0), (before, taps), (before, taps)))
        rows, columns = ((size + 2 * before - taps) // stride + 1 for size in image.shape[1:])
        return np.stack([
            padded[:, r * stride : r * stride + taps, c * stride : c * stride + taps].reshape(-1)
            for r in range(rows) for c in range(columns)
        ]), (rows, columns)  # fmt: skip

    def performer(self, x, name):
        key, query, value = np.split(self.linear(x, f"{name}.kqv"), 3, axis=-1)
        w = self.state[f"{name}.w"]
        features = [np.exp(p @ w.T - (p**2).sum(-1, keepdims=True) / 2) for p in (query, key)]
        weights = features[0] @ features[1].T
        y = value + self.linear(weights / weights.sum(-1, keepdims=True) @ value, f"{name}.proj")
        return y + self.mlp(self.norm(y, f"{name}.norm2"), f"{name}.mlp.0", f"{name}.mlp.2")

    def transformer(self, x, name):
        query, key, value = np.split(self.linear(x, f"{name}.attn.qkv"), 3, axis=-1)
        weights = self.softmax(query @ key.T / math.sqrt(x.shape[-1]))
        y = value + self.linear(weights @ value, f"{name}.attn.proj")
        return y + self.mlp(self.norm(y, f"{name}.norm2"), f"{name}.mlp.fc1", f"{name}.mlp.fc2")

    def block(self, x, name):
        heads, scale = (
            self.spec.heads,
            self.spec.width if self.spec.released_scale else self.spec.width / self.spec.heads,
        )
        parts = self.linear(self.norm(x, f"{name}.norm1"), f"{name}.attn.qkv").reshape(len(x), 3, heads, -1)
        query, key, value = parts.transpose(1, 2, 0, 3)
        y = self.softmax(query @ key.transpose(0, 2, 1) / math.sqrt(scale)) @ value
        x = x + self.linear(y.transpose(1, 0, 2).reshape(x.shape), f"{name}.attn.proj")
        return x + self.mlp(self.norm(x, f"{name}.norm2"), f"{name}.mlp.fc1", f"{name}.mlp.fc2")

    def __call__(self, image):
        layer = self.performer if self.spec.performer else self.transformer
        x = image.astype("float64").transpose(2, 0, 1)
        for i, (taps, stride, before) in ((1, (7, 4, 2)), (2, (3, 2, 1))):
            name = f"tokens_to_token.attention{i}"
            x, grid = self.windows(x, taps, stride, before)
            x = layer(self.norm(x, f"{name}.norm1"), name).T.reshape(-1, *grid)
        x = self.linear(self.windows(x, 3, 2, 1)[0], "tokens_to_token.project")
        x = np.concatenate([self.state["cls_token"][0], x]) + self.state["pos_embed"][0]
        for b in range(self.spec.depth):
            x = self.block(x, f"blocks.{b}")
        return self.linear(self.norm(x[0], "norm"), "head")


@pytest.mark.parametrize("name, spec", CASES)
def test_equals_numpy_with_the_authors_names(name, spec, tmp_path):
    state = authors_state(spec, 4)
    save_file(state, tmp_path / "state.safetensors")
    options = {"input_shape": (32, 32, 3), "classes": 5, "classifier_activation": None}
    model = kerascnn.create_model(name, spec=spec, weights=tmp_path / "state.safetensors", **options)
    image = np.random.default_rng(1).normal(size=(1, 32, 32, 3)).astype("float32")
    expected = ByNumpy(state, spec)(image[0])
    np.testing.assert_allclose(model(image)[0], expected, rtol=1e-4, atol=1e-5 * np.std(expected))


def test_what_is_fixed_is_saved_but_not_trained(tmp_path):
    model = kerascnn.create_model("t2t_vit_7", spec=PERFORMER, input_shape=(32, 48, 3))
    fixed = model.non_trainable_weights
    assert [tuple(weight.shape) for weight in fixed] == [(4, 8), (4, 8), (1, 12), (2, 3, 12)]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(fixed, again.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.abs(fixed[0].numpy() - fixed[1].numpy()).max() > 0.1  # each layer has random features of its own


def test_stage_outputs_of_an_oblong_image():
    model = kerascnn.create_model("t2t_vit_7", spec=PERFORMER, input_shape=(32, 48, 3), features_only=True)
    assert [shape[1:] for shape in model.output_shape] == [(8, 12, 8), (4, 6, 8), (2, 3, 12)]
    assert model.feature_strides == [4, 8, 16]


def test_scores_are_scaled_as_in_training_by_default():
    for spec, scale in ((PERFORMER, None), (FULL, 12**-0.5)):
        model = kerascnn.create_model("t2t_vit_7", spec=spec, input_shape=(32, 32, 3))
        assert model.get_layer("block1_attention").scale == scale
    attention = kerascnn.create_model("t2t_vit_7", spec=FULL, input_shape=(32, 32, 3)).get_layer("tokens1_attention")
    assert isinstance(attention, layers.SelfAttention) and attention.scale == 147**-0.5

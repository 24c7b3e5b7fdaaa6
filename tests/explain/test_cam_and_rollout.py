"""CAM and attention rollout: the identities that define them, and what they are not defined for."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError

L = keras.layers


def images(count=2, shape=(10, 8, 2)):
    return np.random.default_rng(0).normal(size=(count, *shape)).astype("float32")


def pooled(head, convolution="relu"):
    keras.utils.set_random_seed(0)
    x = image = keras.Input((10, 8, 2))
    x = L.Conv2D(6, 3, strides=2, padding="same", activation=convolution, name="conv")(x)
    model = keras.Model(image, head(x))
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


HEADS = {
    "dense": lambda x: L.Dense(3, "softmax")(L.GlobalAveragePooling2D()(x)),
    "no bias": lambda x: L.Dense(3, use_bias=False)(L.Dropout(0.5)(L.GlobalAveragePooling2D()(x))),
    "convolution": lambda x: L.Softmax()(L.Flatten()(L.Conv2D(3, 1)(L.GlobalAveragePooling2D(keepdims=True)(x)))),
    "pooling alone": lambda x: L.GlobalAveragePooling2D()(L.Conv2D(3, 1, activation="relu", name="last")(x)),
}


@pytest.mark.parametrize("head", HEADS)
def test_the_mean_of_the_map_is_the_score_without_the_bias(head):
    model, x = pooled(HEADS[head]), images()
    found = explain.cam(model, x, target=[2, 0])
    np.testing.assert_allclose(found.raw.mean((1, 2)) + found.options["bias"], found.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(20 * explain.grad_cam(model, x, target=[2, 0]).raw, np.maximum(found.raw, 0), atol=1e-4)
    assert found.raw.shape == (2, 5, 4) and found.layer == ("last" if head == "pooling alone" else "conv")
    assert found.raw.min() < 0 or head == "pooling alone"  # what speaks against the class is in it


@pytest.mark.parametrize(
    "head, received",
    [
        (lambda x: L.Dense(3)(L.GlobalMaxPooling2D()(x)), "GlobalMaxPooling2D"),
        (lambda x: L.Dense(3)(L.Flatten()(x)), "Flatten"),
        (lambda x: L.Dense(3)(L.Dense(4)(L.GlobalAveragePooling2D()(x))), "Dense"),
        (lambda x: L.Dense(3)(L.Dense(4, "relu")(L.GlobalAveragePooling2D()(x))), "Dense"),
        (lambda x: L.Dense(3)(L.BatchNormalization()(L.GlobalAveragePooling2D()(x))), "BatchNormalization"),
    ],
)
def test_what_has_no_class_activation_map(head, received):
    with pytest.raises(InputError, match=f"cam needs a network .*Received: .*{received}"):
        explain.cam(pooled(head), images())
    with pytest.raises(InputError, match="target must be a class"):
        explain.cam(pooled(HEADS["dense"]), images(), lambda y: y[:, 0])


def test_grad_cam_takes_what_the_mean_is_taken_of_in_networks_of_this_package():
    for name in ("resnet20", "squeezenet1_1"):
        model = kerascnn.create_model(name, input_shape=(40, 48, 3), classes=5)
        x = images(1, (40, 48, 3))
        found = explain.cam(model, x, target=1)
        np.testing.assert_allclose(found.raw.mean((1, 2)) + found.options["bias"], found.scores, rtol=1e-3, atol=1e-4)
        assert found.layer == explain.grad_cam(model, x, target=1).layer


def transformer(attention, class_token=True, layers=3, grid=(4, 3)):
    """Attention alone: no norm, no MLP; `attention(x, number)` gives the branch."""
    image = keras.Input((grid[0] * 2, grid[1] * 2, 2))
    x = L.Conv2D(8, 2, 2)(image)
    x = L.Reshape((grid[0] * grid[1], 8))(x)
    x = kerascnn.layers.ClassToken(initializer="ones")(x) if class_token else x
    for number in range(layers):
        x = L.Add()([x, attention(x, number)])
    x = x[:, 0] if class_token else L.GlobalAveragePooling1D()(x)
    return keras.Model(image, L.Dense(3)(x))


def uniform(x, number):
    """All scores are 0: each token sees all alike."""
    queries = L.Dense(24, kernel_initializer="zeros")(x)
    return kerascnn.layers.SelfAttention(2)(queries)


def test_uniform_attention():
    model, x = transformer(uniform), images(2, (8, 6, 2))
    found = explain.attention_rollout(model, x)
    expected = 2.0**-3 * np.eye(13) + (1 - 2.0**-3) * np.full((13, 13), 1 / 13)
    np.testing.assert_allclose(found.raw, [expected, expected], atol=1e-6)
    np.testing.assert_allclose(found.maps, (1 - 2.0**-3) / 13, rtol=1e-5)


def by_numpy(matrices):
    product = np.eye(matrices[0].shape[-1])
    for matrix in matrices:
        product = (0.5 * matrix + 0.5 * np.eye(matrix.shape[-1])) @ product
    return product


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


@pytest.mark.parametrize("kind", ["ours", "keras"])
def test_by_numpy_from_the_weights(kind):
    """The attention's input and weights are read; all else, the order of the products too, is written out."""

    def ours(x, number):
        return kerascnn.layers.SelfAttention(2, name=f"attention{number}")(L.Dense(24, name=f"qkv{number}")(x))

    def theirs(x, number):
        return L.MultiHeadAttention(2, 4, name=f"attention{number}")(x, x)

    keras.utils.set_random_seed(1)
    model, x = transformer(ours if kind == "ours" else theirs, class_token=kind == "ours"), images(2, (8, 6, 2))
    matrices = []
    for number in range(3):
        layer = model.get_layer(f"{'qkv' if kind == 'ours' else 'attention'}{number}")
        given = layer.input if kind == "ours" else layer.input[0]
        tokens = keras.Model(model.inputs[0], given)(x).numpy().astype("float64")
        if kind == "ours":
            query, key, _ = np.split(tokens @ layer.kernel.numpy() + layer.bias.numpy(), 3, axis=-1)
            query, key = (y.reshape(*y.shape[:2], 2, 4) for y in (query, key))
        else:
            parts = [w.numpy() for w in layer.weights[:4]]
            query, key = (np.einsum("btc,chd->bthd", tokens, parts[i]) + parts[i + 1] for i in (0, 2))
        matrices.append(softmax(np.einsum("bqhd,bkhd->bhqk", query, key) / 2).mean(1))
    found = explain.attention_rollout(model, x, batch_size=1)
    expected = by_numpy(matrices)
    assert np.abs(expected - by_numpy(matrices[::-1])).max() > 1e-5
    np.testing.assert_allclose(found.raw, expected, atol=1e-6)
    row = expected[:, 0, 1:] if kind == "ours" else expected.mean(1)
    np.testing.assert_allclose(found.raw.sum(-1), 1, rtol=1e-5)
    enlarged = keras.ops.image.resize(row.reshape(2, 4, 3, 1).astype("float32"), (8, 6))[..., 0]
    np.testing.assert_allclose(found.maps, enlarged, rtol=1e-4)


def windows(x, number):
    qkv = L.Reshape((2, 6, 24))(L.Dense(24)(x))
    return L.Reshape((12, 8))(kerascnn.layers.WindowAttention(2, 2)(qkv))


def fewer(x, number):
    """Attention among the first tokens alone, then they are put back."""
    few = kerascnn.layers.SelfAttention(2)(L.Dense(24)(x[:, :5]))
    return L.ZeroPadding1D((0, x.shape[1] - 5))(few)


@pytest.mark.parametrize(
    "attention, received",
    [
        (windows, "WindowAttention.*windows alone"),
        (lambda x, n: kerascnn.layers.PerformerAttention(4)(L.Dense(24)(x)), "PerformerAttention.*never makes it"),
        (lambda x, n: (uniform, fewer)[n % 2](x, n), "no places of the image"),
        (lambda x, n: L.MultiHeadAttention(2, 4)(x, L.Dense(8)(x)), "no self-attention that is known"),
        (lambda x, n: L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True), "no self-attention that is known"),
        (lambda x, n: L.Dense(8)(x), "no attention"),
    ],
)
def test_where_rollout_is_not_defined(attention, received):
    with pytest.raises(InputError, match=f"attention_rollout needs .*Received: .*{received}"):
        explain.attention_rollout(transformer(attention, class_token=False), images(1, (8, 6, 2)))


def test_rollout_of_a_vision_transformer():
    model, x = kerascnn.create_model("vit_thin_patch4_32", input_shape=(32, 48, 3)), images(2, (32, 48, 3))
    found = explain.attention_rollout(model, x)
    assert found.raw.shape == (2, 97, 97) and len(found.options["attentions"]) == 6
    np.testing.assert_allclose(found.raw.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(explain.attention_rollout(model, x, target=3).maps, found.maps)

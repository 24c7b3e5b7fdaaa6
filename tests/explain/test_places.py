"""The maps that methods look at: tokens with their grids, layers of nested models, precision, and what is asked."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError
from kerascnn.inference import Predictor

L = keras.layers
SHAPE = (8, 6, 3)  # patches of 2: a grid of 4 x 3


def images(count=2, shape=SHAPE):
    return np.random.default_rng(0).normal(size=(count, *shape)).astype("float32")


def transformer(head, tokens=lambda x: x):
    """One attention block over the tokens of 4 x 3 patches."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    x = L.Conv2D(8, 2, 2, name="patches")(image)
    x = tokens(L.Reshape((12, 8), name="tokens")(x))
    y = L.LayerNormalization(name="norm1")(x)
    y = kerascnn.layers.SelfAttention(2, name="attention")(L.Dense(24, name="qkv")(y))
    x = L.Add(name="sum")([x, L.Dense(8, name="projection")(y)])
    x = L.LayerNormalization(name="final")(x)
    return keras.Model(image, L.Dense(3, "softmax")(head(x)))


def last_two(x):
    """Class tokens behind the patches."""
    return L.Concatenate(axis=1)([x, x[:, :2] * 0.5])


CASES = {
    "class token": (kerascnn.layers.ClassToken(initializer="ones"), lambda x: x[:, 0], "norm1", 1, 0),
    "cropped": (
        kerascnn.layers.ClassToken(2, "ones"), lambda x: L.Flatten()(L.Cropping1D((0, 12))(x)), "norm1", 2, 0,
    ),
    "behind": (last_two, lambda x: x[:, -1], "norm1", 0, 2),
    "mean of tokens": (lambda x: x, L.GlobalAveragePooling1D(), "final", 0, 0),
    "all tokens": (lambda x: x, L.Flatten(), "final", 0, 0),
    "map again": (lambda x: x, lambda x: L.Flatten()(L.Reshape((4, 3, 8), name="map")(x)), "map", None, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_grad_cam_of_tokens(case):
    """The layer that is found, and the map by the definition from the tokens and their gradient."""
    tokens, head, layer, before, after = CASES[case]
    model, x = transformer(head, tokens), images()
    found = explain.grad_cam(model, x, target=1)
    assert found.layer == layer and found.raw.shape == (2, 4, 3) and found.maps.shape == (2, 8, 6)
    seen = keras.Model(model.inputs[0], model.get_layer(layer).output)(x).numpy()
    if before is not None:
        seen = seen[:, before : seen.shape[1] - after].reshape(2, 4, 3, 8)
    slope = explain.gradients(model, x, target=1, layer=layer).raw
    assert slope.shape == seen.shape and np.abs(slope).max() > 0
    expected = np.maximum(np.einsum("nhwc,nc->nhw", seen, slope.mean((1, 2))), 0)
    np.testing.assert_allclose(found.raw, expected, rtol=1e-4, atol=1e-7)


def test_the_gradient_at_tokens_by_finite_differences():
    model, x = transformer(*reversed(CASES["class token"][:2])), images(1)
    slope = explain.gradients(model, x, target=2, layer="norm1").raw
    tail = [model.get_layer(name) for name in ("qkv", "attention", "projection", "sum", "final")]
    cut = keras.Model(model.inputs[0], [model.get_layer("norm1").output, model.get_layer("sum").input[0]])
    given, shortcut = (y.numpy() for y in cut(x))
    kernel, bias = model.layers[-1].get_weights()

    def score(tokens):
        qkv, attention, projection, _, final = tail
        token = final(shortcut + projection(attention(qkv(tokens))))[:, 0]
        return float((token.numpy().astype("float64") @ kernel + bias)[0, 2])

    for token, channel in ((1, 0), (7, 5), (12, 7)):
        step = np.zeros_like(given)
        step[0, token, channel] = 1e-2
        expected = (score(given + step) - score(given - step)) / 2e-2
        row, column = divmod(token - 1, 3)
        np.testing.assert_allclose(slope[0, row, column, channel], expected, rtol=2e-2, atol=2e-5)


def test_what_is_no_map():
    model = transformer(L.GlobalAveragePooling1D())
    for layer in ("dense", "global_average_pooling1d", "input_layer"):
        layer = next(x.name for x in model.layers if x.name.startswith(layer))
        with pytest.raises(InputError, match="layer must give a map"):
            explain.grad_cam(model, images(), layer=layer)
    image = keras.Input(SHAPE)
    moved = L.Permute((2, 1), name="moved")(L.Reshape((12, 12))(L.Conv2D(12, 2, 2)(image)))
    moved = keras.Model(image, L.Dense(3)(L.Flatten()(moved)))
    with pytest.raises(InputError, match="layer must give a map"):
        explain.grad_cam(moved, images(), layer="moved")


def encoder(name, seed):
    keras.utils.set_random_seed(seed)
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")(image)
    x = L.Conv2D(5, 3, 2, padding="same", activation="relu", name=f"last_{name}")(x)
    return keras.Model(image, L.GlobalAveragePooling2D(name="pool")(x), name=name)


def nested():
    """Preprocessing, an encoder that is called twice, and another whose layers have the same names."""
    image = keras.Input(SHAPE)
    x = L.Rescaling(1 / 127.5, -1.0)(image)
    first, second = encoder("first", 0), encoder("second", 1)
    x = L.Concatenate()([first(x), second(x), first(L.Activation("relu")(x))])
    return keras.Model(image, L.Dense(3, "softmax", name="head")(x))


def test_layers_inside_models():
    model = nested()
    x = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype("float32")
    found = explain.gradients(model, x, target=1, layer="second/conv")
    inner = model.get_layer("second")
    scaled = x / 127.5 - 1
    middle = keras.Model(inner.inputs[0], inner.get_layer("conv").output)(scaled)
    after = inner.get_layer("last_second")
    # dS / d conv: through ReLU, mean and the head's weights of the second encoder, by the kernel's own transpose.
    weights = model.get_layer("head").kernel.numpy()[5:10, 1] / 12
    signal = (after(middle).numpy() > 0) * weights
    expected = keras.ops.conv_transpose(signal.astype("float32"), after.kernel, 2, padding="same")
    np.testing.assert_allclose(found.raw, expected, rtol=1e-4, atol=1e-7)
    assert explain.grad_cam(model, x, layer="last_second").layer == "second/last_second"
    with pytest.raises(InputError, match="layer must name one layer, one of first/conv, second/conv"):
        explain.grad_cam(model, x, layer="conv")
    with pytest.raises(InputError, match="layer must be the name of a layer"):
        explain.grad_cam(model, x, layer="second/absent")


def test_every_method_takes_nested_models():
    model = nested()
    x = np.random.default_rng(0).uniform(0, 255, (1, *SHAPE)).astype("float32")
    before = model(x).numpy()
    few = {"samples": 2, "steps": 2}
    for name in ("gradients", "smoothgrad", "integrated_gradients", "guided_backprop", "deconvnet", "occlusion"):
        options = {key: value for key, value in few.items() if key in explain.METHODS[name].__kwdefaults__}
        assert explain.METHODS[name](model, x, target=2, **options).raw.any(), name
    assert explain.grad_cam(model, x, layer="first/conv").raw.shape == (1, 8, 6)
    np.testing.assert_array_equal(model(x), before)


def test_targets_by_name_and_by_function():
    model, x = transformer(L.GlobalAveragePooling1D()), images()
    preprocessing = kerascnn.model_info("lenet5").preprocessing
    predictor = Predictor.from_model(model, ["cat", "dog", "cup"], preprocessing=preprocessing)
    named = explain.gradients(predictor, x, target=["cup", "cat"])
    np.testing.assert_array_equal(named.raw, explain.gradients(model, x, target=[2, 0]).raw)
    of = [explain.gradients(model, x, target=target).raw for target in (0, 2)]
    difference = explain.gradients(model, x, target=lambda y: y[:, 2] - y[:, 0])
    np.testing.assert_allclose(difference.raw, of[1] - of[0], rtol=1e-4, atol=1e-6)
    assert difference.target.tolist() == [-1, -1]
    scores = [explain.gradients(model, x, target=target).scores for target in (0, 2)]
    np.testing.assert_allclose(difference.scores, scores[1] - scores[0], rtol=1e-4, atol=1e-6)
    parts = explain.integrated_gradients(model, x, target=lambda y: y[:, 2] - y[:, 0], steps=40)
    assert np.abs(parts.options["gap"]).max() < 1e-2
    for method in (explain.occlusion, explain.smoothgrad, explain.grad_cam_plus_plus):
        assert method(model, x, target=lambda y: y[:, 2]).raw.shape[0] == 2
    with pytest.raises(InputError, match="target must be a class, cat, dog, cup"):
        explain.gradients(predictor, x, target="bird")
    with pytest.raises(InputError, match="target by name needs class names"):
        explain.gradients(model, x, target="cat")
    for function in (lambda y: y, lambda y: keras.ops.sum(y), lambda y: y[:1, 0], lambda y: keras.ops.argmax(y, 1)):
        with pytest.raises(InputError, match="must give one score an image"):
            explain.gradients(model, x, target=function)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_explained_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    half = encoder("half", 0)
    keras.config.set_dtype_policy("float32")
    full = encoder("full", 0)
    full.set_weights(half.get_weights())
    x = images() * 1e-4  # gradients of such images are lost in half precision, by SmoothGrad's noise
    for method in (explain.gradients, explain.grad_cam, explain.guided_backprop):
        np.testing.assert_allclose(method(half, x, target=1).raw, method(full, x, target=1).raw, rtol=1e-5)
    assert half.compute_dtype != "float32"

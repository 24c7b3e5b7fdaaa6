"""Guided backpropagation, the deconvnet and guided Grad-CAM by their rules, written out in NumPy."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import explain, surgery
from kerascnn._errors import InputError

L = keras.layers
SHAPE = (4, 3, 2)
METHODS = {"gradients": explain.gradients, "deconvnet": explain.deconvnet, "guided": explain.guided_backprop}


def images(count=3, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("float32")


def handed_back(rule, signal, given, bound=np.inf):
    """What a ReLU with the input `given` hands back of a signal."""
    signal = signal * (given < bound)
    if rule == "gradients":
        return signal * (given > 0)
    return np.maximum(signal, 0) * (given > 0 if rule == "guided" else 1)


def forms(bound):
    """Two hidden layers with ReLUs, in all forms in which Keras writes them: dense kernels are the weights."""
    plain = "relu" if bound is None else "relu6"
    functions = {
        "fused": lambda n, x: L.Dense(n, activation=plain)(x),
        "activation": lambda n, x: L.Activation(plain)(L.Dense(n)(x)),
        "layer": lambda n, x: L.ReLU(max_value=bound)(L.Dense(n)(x)),
        "operation": lambda n, x: (keras.ops.relu if bound is None else keras.ops.relu6)(L.Dense(n)(x)),
        "function": lambda n, x: keras.activations.relu(L.Dense(n)(x), max_value=bound),
        "layer in layer": lambda n, x: L.Dense(n, activation=L.ReLU(max_value=bound))(x),
    }
    return functions.items()


def hidden(form, scale=1.0):
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    x = form(8, L.Flatten()(image))
    model = keras.Model(image, L.Dense(3, "softmax")(form(7, x)))
    rng = np.random.default_rng(1)
    model.set_weights([scale * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("rule", METHODS)
@pytest.mark.parametrize("bound", [None, 6.0])
def test_the_rules_in_every_form_of_a_relu(rule, bound):
    for name, form in forms(bound):
        model, x = hidden(form), images()
        (k1, b1, k2, b2, k3, _) = (w.astype("float64") for w in model.get_weights())
        f1 = x.reshape(3, -1) @ k1 + b1
        f2 = np.clip(f1, 0, bound) @ k2 + b2
        limit = np.inf if bound is None else bound
        signal = handed_back(rule, np.tile(k3[:, 1], (3, 1)), f2, limit)
        signal = handed_back(rule, signal @ k2.T, f1, limit) @ k1.T
        found = METHODS[rule](model, x, target=1)
        np.testing.assert_allclose(found.raw, signal.reshape(x.shape), rtol=1e-4, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(found.maps, np.abs(found.raw).max(-1))
        assert bound is None or (f1 > 6).any()


def convolutional(activation="relu", pool=True):
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 6, 2))
    x = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", activation=activation)(x))
    x = L.MaxPooling2D(3, 2, padding="same")(x) if pool else x
    return keras.Model(image, L.Dense(3)(L.Flatten()(x)))


def test_without_negative_weights_guided_backprop_is_the_gradient():
    model, x = convolutional(), images(2, (8, 6, 2))
    model.set_weights([np.abs(w) for w in model.get_weights()])
    expected = explain.gradients(model, x, target=0).raw
    np.testing.assert_allclose(explain.guided_backprop(model, x, target=0).raw, expected, rtol=1e-5)
    assert np.abs(expected).max() > 0


def test_the_deconvnet_puts_what_was_pooled_at_its_place():
    """Signal: the pooled values themselves. Windows do not overlap."""
    image = keras.Input((6, 4, 1))
    model = keras.Model(image, L.ReLU()(L.MaxPooling2D(2)(image)))
    x = np.random.default_rng(0).permutation(24).reshape(1, 6, 4, 1).astype("float32") + 1
    found = explain.deconvnet(model, x, lambda y: keras.ops.sum(keras.ops.stop_gradient(y) * y, axis=(1, 2, 3)))
    expected = np.zeros_like(x)
    for row in range(0, 6, 2):
        for column in range(0, 4, 2):
            window = x[0, row : row + 2, column : column + 2, 0]
            place = np.unravel_index(window.argmax(), (2, 2))
            expected[0, row + place[0], column + place[1], 0] = window.max()
    np.testing.assert_array_equal(found.raw, expected)
    assert found.target.tolist() == [explain.explanation.BY_FUNCTION]


def test_overlapping_windows_add_what_they_hand_back():
    image = keras.Input((3, 3, 1))
    model = keras.Model(image, L.ReLU()(L.MaxPooling2D(2, 1)(image)))
    x = np.zeros((1, 3, 3, 1), "float32")
    x[0, 1, 1] = 1.0  # the maximum of all four windows
    raw = explain.deconvnet(model, x, lambda y: keras.ops.sum(y, axis=(1, 2, 3))).raw
    assert raw[0, 1, 1, 0] == 4 and np.count_nonzero(raw) == 1


def test_one_unit_inside_a_network():
    model = kerascnn.create_model("resnet20", weights="fashion_mnist")
    part = surgery.up_to(model, "stage1_block2_relu")
    x = images(2, (28, 28, 1))
    found = explain.deconvnet(part, x, lambda maps: maps[:, 14, 14, 3])
    rows, columns = np.nonzero(found.maps.any(axis=0))
    field = kerascnn.analysis.receptive_field(part, (28, 28, 1)).size[0]
    assert len(rows) and max(abs(rows - 14).max(), abs(columns - 14).max()) <= field // 2


def test_guided_grad_cam_is_the_product():
    model, x = kerascnn.create_model("resnet20", weights="fashion_mnist"), images(2, (28, 28, 1))
    found = explain.guided_grad_cam(model, x, target=3)
    guided, where = explain.guided_backprop(model, x, target=3), explain.grad_cam(model, x, target=3)
    np.testing.assert_allclose(found.raw, guided.raw * where.maps[..., None], rtol=1e-5)
    assert found.layer == where.layer and found.method == "guided_grad_cam"


@pytest.mark.parametrize("method", [explain.guided_backprop, explain.deconvnet, explain.guided_grad_cam])
def test_what_has_no_relu_is_refused(method):
    x = images(1, (8, 6, 2))
    with pytest.raises(InputError, match=f"{method.__name__} changes what ReLUs hand back.*activations conv2d"):
        method(convolutional("gelu"), x)
    image = keras.Input((8, 6, 2))
    leaky = keras.Model(image, L.Dense(2)(L.Flatten()(L.ReLU(negative_slope=0.1)(image))))
    with pytest.raises(InputError, match="must have one"):
        method(leaky, x)


def test_other_activations_are_named_and_the_model_stays_as_it_is():
    image = keras.Input((8, 6, 2))
    x = L.Conv2D(3, 1, activation="relu", name="first")(image)
    x = L.Conv2D(3, 1, activation="silu", name="second")(x)
    model = keras.Model(image, L.Dense(2)(L.Flatten()(L.LeakyReLU(name="third")(x))))
    given, weights = images(1, (8, 6, 2)), model.get_weights()
    before = model(given).numpy()
    assert explain.guided_backprop(model, given).options == {"unchanged": ["second", "third"]}
    np.testing.assert_array_equal(model(given), before)
    assert model.get_layer("first").activation is keras.activations.relu
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))


def test_shared_layers_and_batches():
    """A ReLU that is called twice has the rule twice; batches change nothing."""
    relu, image = L.ReLU(), keras.Input(SHAPE)
    x = relu(L.Dense(5)(L.Flatten()(image)))
    x = relu(L.Dense(4)(x))
    model, given = keras.Model(image, L.Dense(2)(x)), images(5)
    k1, k2, k3 = (layer.kernel.numpy() for layer in model.layers if isinstance(layer, L.Dense))
    f1 = given.reshape(5, -1) @ k1
    f2 = np.maximum(f1, 0) @ k2
    expected = handed_back("guided", handed_back("guided", np.tile(k3[:, 0], (5, 1)), f2) @ k2.T, f1) @ k1.T
    found = explain.guided_backprop(model, given, target=0, batch_size=2)
    np.testing.assert_allclose(found.raw, expected.reshape(given.shape), rtol=1e-4, atol=1e-6)


def test_a_place_in_the_padding_takes_no_signal():
    """Zeros around a ReLU's output change no maximum; a window of zeros hands back to its own first place."""
    image = keras.Input((4, 4, 1))
    x = L.ZeroPadding2D(1)(L.ReLU()(image))
    model = keras.Model(image, L.MaxPooling2D(3, 2)(x))
    raw = explain.deconvnet(model, -np.ones((1, 4, 4, 1), "float32"), lambda y: keras.ops.sum(y, axis=(1, 2, 3))).raw
    expected = np.zeros((4, 4))
    expected[0, 0] = expected[0, 1] = expected[1, 0] = expected[1, 1] = 1
    np.testing.assert_array_equal(raw[0, ..., 0], expected)

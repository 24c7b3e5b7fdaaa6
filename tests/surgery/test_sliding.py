"""kerascnn.fully_convolutional: the same answers at the original size, windows at larger ones, refusals."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import analysis, layers
from kerascnn._errors import InputError

L = keras.layers


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def drawn(model):
    """Weights so large that the answers differ."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([
            rng.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else rng.normal(0, (2 / np.prod(w.shape[:-1])) ** 0.5, w.shape)
            for w in layer.get_weights()
        ])  # fmt: skip
    return model


def check_same(model):
    found = kerascnn.fully_convolutional(model)
    x = images(2, *model.input_shape[1:])
    expected = model(x).numpy()
    assert found.output_shape == (None, None, None, expected.shape[1])
    np.testing.assert_allclose(found(x), expected[:, None, None], rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    return found


@pytest.mark.parametrize(
    "name, size",
    [
        ("lenet5", 32),  # flattens a map of 5x5
        ("resnet20", 32),  # averages one of 8x8
        ("squeezenet1_1", 64),  # scores before it averages
        pytest.param("resnet18", 64, marks=pytest.mark.slow),
        pytest.param("seresnet18", 64, marks=pytest.mark.slow),
        pytest.param("alexnet", 224, marks=pytest.mark.slow),
        pytest.param("vgg11", 224, marks=pytest.mark.slow),
        pytest.param("tf_mobilenetv1_025_128", 128, marks=pytest.mark.slow),  # 1x1 convolution after the pool
    ],
)
def test_networks_of_this_package(name, size):
    channels = kerascnn.model_info(name).input_shape[2]
    model = kerascnn.create_model(name, input_shape=(size, size, channels), classifier_activation=None)
    found = check_same(drawn(model))
    assert len(found.weights) == len(model.weights)
    step = round(analysis.receptive_field(found, (2 * size, 2 * size, channels)).stride[0])
    assert found(images(1, 2 * size, size + step, channels)).shape[1:3] == (1 + size // step, 2)


def head(*steps):
    """A network without padding before the head, so that sliding it is the same as cutting windows out."""
    image = keras.Input((12, 10, 2))
    x = L.MaxPooling2D(2)(L.Conv2D(3, 3, activation="relu")(image))
    for step in steps:
        x = step(x)
    return drawn(keras.Model(image, x))


HEADS = {
    "flatten": lambda: (L.Flatten(), L.Dense(7, "relu"), L.Dropout(0.5), L.Dense(4, "softmax")),
    "norm and activations": lambda: (
        L.Flatten(), L.Dropout(0.2), L.Dense(7, use_bias=False), L.BatchNormalization(), L.ReLU(),
        L.LayerNormalization(axis=1), L.Dense(4), L.Softmax(),
    ),
    "global average": lambda: (L.GlobalAveragePooling2D(), L.BatchNormalization(axis=1), L.Dense(4)),
    "global maximum": lambda: (L.GlobalMaxPooling2D(), L.Dense(4)),
    "kept dimensions": lambda: (
        L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(6, 1), L.ReLU(), L.Flatten(), L.Dense(4),
    ),
    "scores first": lambda: (L.Conv2D(4, 1), L.ReLU(), L.GlobalAveragePooling2D(), L.Activation("softmax")),
    "regions": lambda: (L.Cropping2D(((1, 0), (0, 0))), L.AdaptiveAveragePooling2D((2, 2)), L.Flatten(), L.Dense(4)),
    "reshape": lambda: (L.Reshape((60,)), L.Dense(5), L.Reshape((1, 1, 5)), L.Conv2D(4, 1), L.Flatten()),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in HEADS])
def test_every_place_is_the_answer_for_one_window(name):
    model = head(*HEADS[name]())
    found = check_same(model)
    x = images(1, 18, 14, 2)
    maps = found(x).numpy()
    step = 4 if name == "regions" else 2  # its pool has a stride too
    assert maps.shape[1:3] == ((2, 2) if name == "regions" else (4, 3))
    assert analysis.receptive_field(found, (18, 14, 2)).stride == (step, step)
    for row in range(maps.shape[1]):
        for column in range(maps.shape[2]):
            window = x[:, step * row : step * row + 12, step * column : step * column + 10]
            np.testing.assert_allclose(maps[:, row, column], model(window), rtol=1e-3, atol=1e-4)


def test_scores_of_places_average_to_the_answer():
    model = head(*HEADS["global average"]())
    x = images(2, 12, 10, 2)
    maps = kerascnn.fully_convolutional(model, pooled=False)(x).numpy()
    assert maps.shape == (2, 5, 4, 4)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), model(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="global average pool"):
        kerascnn.fully_convolutional(head(*HEADS["flatten"]()), pooled=False)


def test_the_result_shares_nothing_saves_and_trains(tmp_path):
    model = keras.Sequential(
        [keras.Input((12, 10, 2)), L.Conv2D(3, 3), L.Flatten(), L.Dense(4, "softmax", name="head")]
    )
    found = check_same(model)
    found.save(tmp_path / "model.keras")
    x = images(1, 20, 20, 2)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), found(x))
    before = model.get_weights()
    found.compile("sgd", "sparse_categorical_crossentropy")
    found.fit(x, np.zeros(found(x).shape[:3]), verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_mixed_precision_ends_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    found = kerascnn.fully_convolutional(kerascnn.create_model("resnet20"))
    assert found.output.dtype == "float32" and "float16" in {layer.compute_dtype for layer in found.layers}


def attention(x):
    x = L.Reshape((20, 3))(x)
    return L.Flatten()(L.MultiHeadAttention(1, 2)(x, x))


@pytest.mark.parametrize(
    "steps, message",
    [
        (lambda: (L.Conv2D(4, 1),), "must end in Flatten or a global pool"),
        (lambda: (L.Flatten(),), "A dense layer must follow"),
        (lambda: (L.Flatten(), L.BatchNormalization(), L.Dense(4)), "normalization of channels"),
        (lambda: (L.Flatten(), L.Dense(4), L.UnitNormalization()), "normalization of channels"),
        (lambda: (L.Flatten(), L.Dense(84), layers.RBFCodes([[1] * 84] * 4)), "normalization of channels"),
        (lambda: (attention, L.Dense(4)), "begin on a map"),
        (lambda: (L.AdaptiveAveragePooling2D((2, 2)), L.Flatten(), L.Dense(4)), "must have one size"),
        (lambda: (L.Permute((2, 1, 3)), L.Flatten(), L.Dense(4)), "windows of the image"),
    ],
)
def test_heads_that_do_not_slide_are_refused(steps, message):
    with pytest.raises(InputError, match=message):
        kerascnn.fully_convolutional(head(*steps()))


def test_layers_that_other_models_use_too():
    layer = L.Dense(4)
    one, other = head(L.Flatten(), layer), head(L.Flatten(), layer)
    assert one.get_layer(layer.name) is other.get_layer(layer.name)
    check_same(one), check_same(other)


def test_other_models_are_refused():
    image, other = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    x = L.Dense(3)(L.Flatten()(image))
    with pytest.raises(InputError, match="one input and one output"):
        kerascnn.fully_convolutional(keras.Model(image, [x, x]))
    with pytest.raises(InputError, match="one input and one output"):
        kerascnn.fully_convolutional(keras.Model([image, other], L.Dense(3)(L.Flatten()(L.add([image, other])))))
    with pytest.raises(InputError, match="known size"):
        kerascnn.fully_convolutional(kerascnn.create_model("resnet20", input_shape=(None, None, 3)))
    with pytest.raises(InputError, match="model inside the model"):
        inner = keras.Sequential([keras.Input((8, 8, 1)), L.Flatten(), L.Dense(3)])
        kerascnn.fully_convolutional(keras.Sequential([keras.Input((8, 8, 1)), L.ReLU(), inner]))

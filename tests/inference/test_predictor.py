"""One object for a network in use: what its outputs are is told by its graph, never by numbers."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import evaluation, serving
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.inference import Predictor, predict
from kerascnn.models import AuxiliaryModel

SHAPE = (6, 5, 3)
L = keras.layers


def headed(*ends, units=3, policy=None, activation=None, scale=1.0):
    """Global pooling and a dense layer with seeded weights, then `ends`."""
    inputs = keras.Input(SHAPE)
    x = L.Dense(units, activation, dtype=policy)(L.GlobalAveragePooling2D(dtype=policy)(inputs))
    for end in ends:
        x = end(x)
    model = keras.Model(inputs, x)
    random = np.random.default_rng(3)
    model.set_weights([scale * random.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def softmaxed(model):
    return keras.Model(model.inputs, L.Softmax()(model.outputs[0]))


def nested():
    inner = headed(activation="softmax")
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, inner(inputs))


def sequential():
    return keras.Sequential([keras.Input(SHAPE), L.Flatten(), L.Dense(3, "softmax")])


def auxiliary():
    inputs = keras.Input(SHAPE)
    x = L.GlobalAveragePooling2D()(inputs)
    return AuxiliaryModel(inputs, [L.Dense(3, "softmax")(x), L.Dense(3)(x)], auxiliary_weights=[0.3])


PROBABILITIES = {
    "softmax": lambda: headed(activation="softmax"),
    "bfloat16": lambda: headed(activation="softmax", policy="bfloat16", scale=3.0),
    "mixed_float16": lambda: headed(activation="softmax", policy="mixed_float16"),
    "sigmoid": lambda: headed(activation="sigmoid"),
    "one sigmoid": lambda: headed(activation="sigmoid", units=1),
    "Activation": lambda: headed(L.Activation("softmax")),
    "Softmax": lambda: headed(L.Softmax(), L.Dropout(0.5)),
    "keras.ops": lambda: headed(lambda x: keras.ops.softmax(x)),
    "cast": lambda: headed(L.Softmax(), lambda x: keras.ops.cast(x, "float32"), policy="bfloat16"),
    "nested": nested,
    "sequential": sequential,
    "auxiliary": auxiliary,
}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")


@pytest.mark.parametrize("name", PROBABILITIES)
def test_probabilities_stay_as_they_are(name, images):
    model = PROBABILITIES[name]()
    expected = np.asarray(keras.ops.cast(model(images, training=False), "float32"))
    found = Predictor.from_model(model, "abc"[: expected.shape[1]], preprocessing=CIFAR).predict(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-2 if "16" in name or name == "cast" else 1e-5)


@pytest.mark.parametrize("ends", [(), (L.Dropout(0.5),), (L.Activation("linear"),), (L.BatchNormalization(),)])
def test_logits_get_one_softmax(ends, images):
    model = headed(*ends, scale=1e-4)  # logits that look like no logits: all are between -1 and 1
    model.set_weights([np.abs(weight) for weight in model.get_weights()])
    found = Predictor.from_model(model, "abc", preprocessing=CIFAR).predict(images)
    np.testing.assert_allclose(found, keras.ops.softmax(model(images, training=False)), rtol=1e-5)


@pytest.mark.parametrize(
    "make, logits, message",
    [
        (lambda: headed(activation="tanh"), None, "give logits=True or logits=False. Received: tanh"),
        (lambda: headed(L.Lambda(lambda x: x)), None, "Received: an unknown end"),
        (lambda: headed(L.Softmax(axis=0)), None, "Received: softmax over another axis"),
        (lambda: headed(activation="softmax"), True, "those of a softmax, no logits. Received: logits=True"),
        (lambda: headed(units=1), None, "softmax of a single number is always 1"),
    ],
)
def test_what_cannot_be_told_is_asked_for(make, logits, message):
    model = make()
    with pytest.raises(InputError, match=message):
        Predictor.from_model(model, "abc"[: model.output_shape[-1]], preprocessing=CIFAR, logits=logits)


def test_logits_can_be_told(images):
    model = headed(L.Lambda(lambda x: x, output_shape=(3,)))
    outputs = np.asarray(model(images))
    described = {"class_names": "abc", "preprocessing": CIFAR}
    np.testing.assert_allclose(Predictor.from_model(model, **described, logits=False).predict(images), outputs)
    found = Predictor.from_model(model, **described, logits=True).predict(images)
    np.testing.assert_allclose(found, keras.ops.softmax(outputs), rtol=1e-5)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"class_names": "ab"}, "one class name for each of the model's 3 outputs. Received: 2"),
        ({"class_names": ["a", "b", ""]}, "one line, not empty"),
        ({"class_names": ["a", "b", "c\nd"]}, "one line, not empty"),
        ({"class_names": 3}, "a list of names. Received: 3"),
        ({"input_shape": (7, 5, 3)}, r"must fit the model's input \(6, 5, 3\)"),
        ({"input_shape": "6x5"}, "image_shape must be|input_shape"),
        ({"preprocessing": "imagenet"}, "must be a Preprocessing. Received: 'imagenet'"),
        ({"model": keras.Model}, "functional or built sequential"),
    ],
)
def test_arguments_that_do_not_fit(changes, message):
    arguments = {"model": headed(), "class_names": "abc", "preprocessing": CIFAR, **changes}
    with pytest.raises(InputError, match=message) as caught:
        Predictor.from_model(**arguments)
    assert "\n" not in str(caught.value)


def test_shapes_of_images_and_tasks(images):
    predictor = Predictor.from_model(headed(), "abc", preprocessing=CIFAR)
    assert (predictor.task, predictor.input_shape, predictor.path) == ("classification", SHAPE, None)
    assert predictor.prepare(np.zeros((9, 4, 1), np.uint8)).shape == SHAPE
    with pytest.raises(InputError, match=r"shape \[n, \*\(6, 5, 3\)\]. Received: \(4, 6, 5, 2\)"):
        predictor.predict(images[..., :2])
    inputs = keras.Input((None, None, 3))
    pixels = keras.Model(inputs, L.Conv2D(2, 1)(inputs))
    with pytest.raises(InputError, match="input_shape must be given"):
        Predictor.from_model(pixels, "ab", preprocessing=CIFAR)
    assert Predictor.from_model(pixels, "ab", preprocessing=CIFAR, input_shape=(4, 4, 3)).task == "segmentation"
    inputs = keras.Input(SHAPE)
    with pytest.raises(InputError, match="as many for each pixel of its input"):
        Predictor.from_model(keras.Model(inputs, L.Conv2D(2, 3)(inputs)), "ab", preprocessing=CIFAR)


def diverged(images):
    """(model whose weights are not finite, model of finite weights whose outputs are not)"""
    weights, outputs = headed(), headed(scale=1e30)
    weights.layers[-1].kernel.assign(np.full((3, 3), np.nan))
    outputs.layers[-1].bias.assign([np.finfo(np.float32).max] * 3)
    outputs.layers[-1].kernel.assign(np.full((3, 3), np.finfo(np.float32).max))
    return weights, outputs


def test_a_diverged_network_is_refused(images, tmp_path):
    weights, outputs = diverged(images)
    options = {"class_names": "abc", "preprocessing": CIFAR}
    with pytest.raises(InputError, match="training diverged. Received: NaN or infinity in 1 of 2, such as .*kernel"):
        Predictor.from_model(weights, **options)
    for use in (
        lambda model: predict([save(tmp_path)], model, **options),
        lambda model: serving.export(model, tmp_path / "exported", **options, check=False),
        lambda model: evaluation.evaluate(Predictor.from_model(model, **options), dataset(images)),
        lambda model: evaluation.evaluate(model, dataset(images), "abc"),
    ):
        for model in (weights, outputs):
            with pytest.raises(InputError, match="must be finite, but .* diverged") as caught:
                use(model)
            assert "\n" not in str(caught.value)
    assert not (tmp_path / "exported").exists()


def save(folder):
    path = folder / "a.png"
    if not path.exists():
        keras.utils.save_img(path, np.full(SHAPE, 200.0), scale=False)
    return path


def dataset(images):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((np.abs(images) + 1, np.zeros(len(images), int))).batch(2)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_the_loss_of_evaluate_is_that_of_the_logits(activation, images):
    model = headed(activation=activation, scale=300.0)  # probabilities down to exp(-1000)
    logits = headed(scale=300.0)
    labels = np.argmin(np.asarray(logits(np.abs(images) + 1)), axis=1)
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((np.abs(images) + 1, labels)).batch(2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = float(loss(labels, logits(np.abs(images) + 1)))
    assert expected > 200
    predictor = Predictor.from_model(model, "abc", preprocessing=CIFAR)
    assert evaluation.evaluate(predictor, data).loss == pytest.approx(expected, rel=1e-5)
    assert evaluation.evaluate(model, data, "abc").loss == pytest.approx(expected, rel=1e-5)


def test_the_example_of_the_docstring(images):
    model = kerascnn.create_model("lenet5", classes=2)
    predictor = Predictor.from_model(model, ["cat", "dog"], preprocessing=kerascnn.model_info("lenet5").preprocessing)
    image = predictor.prepare(np.zeros((40, 50, 1), np.uint8))
    assert predictor.predict(image[None]).shape == (1, 2)

"""Ends of models: what they are, logits, probabilities, inner layers; nothing is decided by numbers."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel, DeepModel
from kerascnn.surgery.cut import final_activation, logits_of, probabilities_of, up_to

L = keras.layers


class Own(L.Layer):
    def call(self, x):
        return x


class Steeper(L.Dense):
    """A subclass whose code the activation's name says nothing about."""

    def call(self, x):
        return super().call(x) ** 2


def made(*steps, shape=(6, 6, 2)):
    x = image = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(image, x, name="made")


def images(model, seed=0):
    return np.random.default_rng(seed).normal(size=(2, *model.input_shape[1:])).astype("float32")


def heads():
    flat = L.Flatten()
    return {
        "dense": (flat, L.Dense(3, "softmax")),
        "activation": (flat, L.Dense(3), L.Activation("softmax")),
        "layer": (flat, L.Dense(3), L.Softmax()),
        "operation": (flat, L.Dense(3), keras.ops.softmax),
        "function": (flat, L.Dense(3), keras.activations.softmax),
        "cast": (flat, L.Dense(3, "softmax"), lambda x: keras.ops.cast(x, "float32"), L.Activation("linear")),
        "pixels": (L.Conv2D(3, 1, activation="softmax"), L.Reshape((36, 3)), L.Dropout(0.5)),
        "own convolution": (layers.Conv2D(3, 3, padding=1, activation="softmax"),),
        "einsum": (flat, L.EinsumDense("ab,bc->ac", 3, bias_axes="c", activation="softmax")),
        "separable": (L.SeparableConv2D(3, 3, activation="softmax"),),
        "depthwise": (L.DepthwiseConv2D(3, activation="softmax"),),
        "transposed": (L.Conv2DTranspose(3, 3, activation="softmax"),),
    }


@pytest.mark.parametrize("name", heads())
def test_logits_are_what_the_softmax_was_given(name):
    model = made(*heads()[name])
    assert final_activation(model) == "softmax" and probabilities_of(model) is model
    cut = logits_of(model)
    assert final_activation(cut) == "linear" and cut.name == model.name
    assert [id(x) for x in cut.weights] == [id(x) for x in model.weights]
    assert [x.name for x in cut.layers][-1] == model.layers[-1].name or name in ("operation", "function")
    x = images(model)
    np.testing.assert_allclose(keras.ops.softmax(cut(x)), model(x), rtol=1e-5, atol=1e-7)
    assert np.ptp(cut(x)) > 1e-3 and not np.allclose(np.sum(cut(x), -1), 1)


def test_training_the_logits_trains_the_model(tmp_path):
    model = made(L.Flatten(), L.Dense(3, "softmax", kernel_regularizer="l2"))
    cut = logits_of(model)
    before, x = model.get_weights(), images(model)
    cut.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    cut.fit(x, np.array([0, 1]), verbose=0)
    assert all(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
    assert len(cut.losses) == len(model.losses) == 1
    np.testing.assert_allclose(keras.ops.softmax(cut(x)), model(x), rtol=1e-5)
    cut.save(tmp_path / "cut.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "cut.keras")(x), cut(x))


def test_the_model_stays_as_it_is():
    model = made(L.Flatten(), L.Dense(3, "softmax", name="last"))
    x, outputs = images(model), model.outputs[0]
    answers = np.asarray(model(x))
    logits_of(model), logits_of(model)
    assert model.get_layer("last").activation is keras.activations.softmax and model.outputs[0] is outputs
    assert model.get_layer("last").output is outputs  # called once, as before
    np.testing.assert_array_equal(model(x), answers)


def test_without_a_softmax_the_model_is_its_own_logits():
    model = made(L.GlobalAveragePooling2D(), L.Dense(3))
    assert logits_of(model) is model
    served = probabilities_of(model)
    assert served.layers[-1].name == "probabilities" and served.output.dtype == "float32"
    np.testing.assert_allclose(served(images(model)), keras.ops.softmax(model(images(model))), rtol=1e-6)
    assert probabilities_of(served) is served


def test_the_softmax_finds_a_free_name():
    model = made(L.Dense(3, name="probabilities_1"), L.GlobalAveragePooling2D(), L.Dense(3, name="probabilities"))
    served = probabilities_of(model)
    assert served.layers[-1].name == "probabilities_2"
    np.testing.assert_allclose(served(images(model)), keras.ops.softmax(model(images(model))), rtol=1e-6)
    classic = kerascnn.create_model(
        "lenet5_1998", classifier_activation=None
    )  # its last layer is called so with any activation
    assert probabilities_of(classic).output.shape == (None, 10)


@pytest.mark.parametrize(
    "steps, kind",
    [
        ((L.Dense(1, "sigmoid"),), "sigmoid"),
        ((L.Dense(3), L.ReLU()), "relu"),
        ((L.Dense(3, "tanh"),), "tanh"),
        ((L.Dense(3), L.BatchNormalization()), "linear"),
        ((L.Dense(3, "relu"), L.GlobalAveragePooling2D()), "linear"),
        ((L.Dense(3), L.Softmax(1)), "softmax over another axis"),
        ((L.Dense(3), lambda x: keras.ops.softmax(x, 1)), "softmax over another axis"),
        ((L.Dense(3, "softmax"), L.GlobalAveragePooling2D()), "softmax"),
        ((L.Dense(3, "softmax"), L.Permute((3, 1, 2))), "linear"),
        ((L.Dense(3, "softmax"), Own()), None),
        ((Steeper(3, "softmax"),), None),
        ((L.Dense(3, lambda x: x),), None),
        ((L.Lambda(lambda x: x),), None),
        ((L.Dense(3), keras.ops.log_softmax), "log_softmax"),
    ],
)
def test_ends_are_read_off_the_graph(steps, kind):
    model = made(*steps)
    assert final_activation(model) == kind
    if kind is None:
        with pytest.raises(InputError, match="must be one of Keras or kerascnn"):
            logits_of(model)
        with pytest.raises(InputError, match="must end in a softmax, a sigmoid, or logits"):
            probabilities_of(model)


def test_averages_of_probabilities_have_no_logits():
    image = keras.Input((4,))
    model = keras.Model(image, L.Average()([L.Dense(3, "softmax")(image), L.Dense(3, "softmax")(image)]))
    assert final_activation(model) == "softmax" and probabilities_of(model) is model
    with pytest.raises(InputError, match="averages of probabilities"):
        logits_of(model)
    mixed = keras.Model(image, L.Average()([L.Dense(3, "softmax")(image), L.Dense(3)(image)]))
    assert final_activation(mixed) == "linear"


def test_sequential_nested_and_shared():
    inner = keras.Sequential([keras.Input((5,)), L.Dense(4, "relu"), L.Dense(3, "softmax")], name="inner")
    model = keras.Sequential([keras.Input((6, 6, 2)), L.GlobalAveragePooling2D(), L.Dense(5), inner])
    cut = logits_of(model)
    assert final_activation(model) == "softmax" and final_activation(cut) == "linear"
    assert cut.get_layer("inner").layers[-1].activation is keras.activations.linear
    assert cut.get_layer("inner").layers[-2] is inner.layers[0]
    x = images(model)
    np.testing.assert_allclose(keras.ops.softmax(cut(x)), model(x), rtol=1e-5)
    assert [id(w) for w in cut.weights] == [id(w) for w in model.weights]


def test_several_outputs_each_lose_theirs():
    image = keras.Input((4,))
    outputs = {"kind": L.Dense(3, "softmax")(image), "size": L.Dense(1)(image), "there": L.Dense(1, "sigmoid")(image)}
    model = keras.Model(image, outputs)
    x = images(model)
    cut, whole = logits_of(model)(x), model(x)
    np.testing.assert_allclose(keras.ops.softmax(cut["kind"]), whole["kind"], rtol=1e-5)
    np.testing.assert_allclose(keras.ops.sigmoid(cut["there"]), whole["there"], rtol=1e-5)
    np.testing.assert_array_equal(cut["size"], whole["size"])
    with pytest.raises(InputError, match="one output"):
        final_activation(model)


def test_auxiliary_heads_give_logits_too():
    x = image = keras.Input((4,))
    outputs = [L.Dense(3, "softmax", name=name)(x) for name in ("head", "aux1", "aux2")]
    model = AuxiliaryModel(image, outputs, name="supervised", auxiliary_weights=(0.5, 0.25))
    cut = logits_of(model)
    assert type(cut) is AuxiliaryModel and cut.auxiliary_weights == (0.5, 0.25) and cut.name == "supervised"
    x = images(model)
    for logits, probabilities in zip(cut(x, training=True), model(x, training=True), strict=True):
        np.testing.assert_allclose(keras.ops.softmax(logits), probabilities, rtol=1e-5)
    assert probabilities_of(cut)(x).shape == (2, 3)


class WithStep(keras.Model):
    """Adds a method, keeps the constructor."""

    def described(self):
        return "mine"


def test_classes_and_frozen_models_stay():
    for kind in (WithStep, DeepModel):
        image = keras.Input((4,))
        model = kind(image, L.Dense(3, "softmax")(image))
        assert type(logits_of(model)) is kind
    model.trainable = False
    assert not logits_of(model).trainable and not logits_of(model).trainable_weights


def test_lora_and_quantized_heads():
    for change in (lambda m: m.layers[-1].enable_lora(2), lambda m: m.layers[-1].quantize("int8")):
        model = made(L.Flatten(), L.Dense(3, "softmax"))
        change(model)
        for weight in model.layers[-1].weights:
            if "lora" in weight.name:
                weight.assign(np.random.default_rng(1).normal(size=weight.shape))
        cut, x = logits_of(model), images(model)
        np.testing.assert_allclose(keras.ops.softmax(cut(x)), model(x), rtol=1e-5)
        assert {id(w) for w in cut.weights} == {id(w) for w in model.weights}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    model = kerascnn.create_model("lenet5")
    assert logits_of(model).output.dtype == "float32"
    narrow = made(L.Flatten(), L.Dense(3, "softmax"))
    assert logits_of(narrow).output.dtype == narrow.output.dtype
    assert final_activation(narrow) == "softmax"


@pytest.mark.parametrize("name", ["lenet5", "lenet5_1998", "squeezenet1_1", "fcn32s_vgg11_bn_small", "resnet20"])
def test_networks_of_this_package(name):
    model = kerascnn.create_model(name)
    plain = kerascnn.create_model(name, classifier_activation=None)
    assert final_activation(model) == "softmax"
    assert final_activation(plain) == "linear" and logits_of(plain) is plain
    cut = logits_of(model)
    assert cut.output.shape == plain.output.shape and len(cut.weights) == len(plain.weights)


def test_the_part_up_to_a_layer():
    model = kerascnn.create_model("lenet5")
    codes = up_to(model, "f6")
    assert codes.output_shape == (None, 84) and codes.get_layer("f6") is model.get_layer("f6")
    assert up_to(model, lambda layer: isinstance(layer, L.Conv2D), name="maps").output_shape == (None, 1, 1, 120)
    with pytest.raises(InputError, match="'f7'"):
        up_to(model, "f7")
    with pytest.raises(InputError, match="function is true"):
        up_to(model, lambda layer: False)


def test_a_layer_that_other_models_call_too():
    layer = L.Dense(3, name="shared")
    one = made(L.Flatten(), layer)
    made(L.Flatten(), layer)
    assert up_to(one, "shared").outputs[0] is one.outputs[0]


def test_a_softmax_written_by_hand_cannot_be_told():
    """exp(x) / sum(exp(x)) are probabilities, x + bias are not, and a quotient alone may be either."""
    inputs = keras.Input((4,))
    exponential = keras.ops.exp(keras.layers.Dense(3)(inputs))
    by_hand = exponential / keras.ops.sum(exponential, axis=-1, keepdims=True)
    assert final_activation(keras.Model(inputs, by_hand)) is None
    shifted = keras.layers.Dense(3)(inputs) + 1.0
    assert final_activation(keras.Model(inputs, shifted)) == "linear"

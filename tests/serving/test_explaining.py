"""The signature `explain`: the same maps as kerascnn.explain.grad_cam, in a graph that needs nothing of ours."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving_nets import NAMES, SHAPE, randomize, small_net

import kerascnn
from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.inference import Predictor
from kerascnn.serving import explaining

# What a stock server has: no op of ours is among those of a graph.
OURS = "Kerascnn"


def images(count=3, shape=SHAPE):
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)


@pytest.fixture(scope="module")
def net():
    return small_net()


def assert_same_maps(model, given, **options):
    found = explaining.explain(model, **options)(tf.constant(given))
    expected = kerascnn.explain.grad_cam(model, given, **options)
    assert expected.raw.max() > 0
    np.testing.assert_allclose(found["map"], expected.raw, rtol=1e-4, atol=1e-6 * expected.raw.max())
    np.testing.assert_array_equal(found["index"], expected.target)


def test_the_maps_are_those_of_grad_cam(net):
    assert_same_maps(net, images())
    first = next(layer.name for layer in net.layers if isinstance(layer, keras.layers.Conv2D))
    assert_same_maps(net, images(1), layer=first)


def test_tokens_are_maps_too():
    x = inputs = keras.Input((12, 8, 3))
    x = keras.layers.Conv2D(6, 4, strides=4)(x)
    x = keras.layers.Reshape((6, 6))(x)
    x = keras.layers.Add()([x, keras.layers.MultiHeadAttention(2, 3)(x, x)])
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(x))
    model = randomize(keras.Model(inputs, keras.layers.Dense(4)(x)))
    assert_same_maps(model, images(2, (12, 8, 3)))
    assert explaining.explain(model)(tf.zeros((1, 12, 8, 3)))["map"].shape == (1, 3, 2)


def test_the_signature_is_saved_and_answers_for_files(net, tmp_path):
    predictor = Predictor.from_model(net, NAMES, preprocessing=CIFAR)
    pixels = [np.random.default_rng(i).integers(0, 256, (12 + i, 12, 3), dtype="uint8") for i in range(2)]
    files = [tf.io.encode_png(image).numpy() for image in pixels]

    def read(image_bytes):
        sound = tf.strings.length(image_bytes) > 9
        stand_in = tf.where(sound, image_bytes, files[0])
        decode = lambda file: predictor.prepare_tensor(tf.io.decode_png(file, 3))  # noqa: E731
        images = tf.map_fn(decode, stand_in, fn_output_signature=tf.TensorSpec(SHAPE))
        return images, tf.where(sound, "", "it is no image")

    module = tf.Module()
    with ops.native("off"):
        signatures = {
            "explain": explaining.signature(predictor, read=read).get_concrete_function(),
            "strict": explaining.signature(predictor).get_concrete_function(),
        }
    for function in signatures.values():
        graph = function.graph.as_graph_def()
        nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
        assert not any(node.op.startswith(OURS) for node in nodes)
    module.variables_of_it = signatures["strict"].variables
    assert {variable.ref() for variable in module.variables_of_it} <= {v.value.ref() for v in net.variables}
    tf.saved_model.save(module, str(tmp_path), signatures)
    loaded = tf.saved_model.load(str(tmp_path))

    prepared = np.stack([predictor.prepare(image) for image in pixels])
    expected = kerascnn.explain.grad_cam(net, prepared)
    strict = loaded.signatures["strict"](image_bytes=tf.constant(files))
    np.testing.assert_allclose(strict["map"], expected.raw, rtol=1e-4, atol=1e-6 * expected.raw.max())
    assert [name.decode() for name in strict["class"].numpy()] == [NAMES[index] for index in expected.target]
    assert strict["errors"].numpy().tolist() == [b"", b""]
    view = tf.io.decode_png(strict["view_bytes"][0])
    np.testing.assert_array_equal(view, pixels[0])  # of the network's size: seen as it is

    answer = loaded.signatures["explain"](image_bytes=tf.constant([b"none", files[1]]))
    assert answer["errors"].numpy().tolist() == [b"it is no image", b""]
    assert answer["class"].numpy().tolist() == [b"", strict["class"].numpy()[1]]
    assert answer["index"].numpy().tolist() == [-1, expected.target[1]] and not answer["map"][0].numpy().any()
    np.testing.assert_allclose(answer["map"][1], expected.raw[1], rtol=1e-4, atol=1e-6 * expected.raw.max())


def test_what_cannot_be_explained():
    vectors = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    flat = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    anything = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3)])
    for model, message in ((vectors, "one known size"), (anything, "one known size"), (flat, "must have maps")):
        with pytest.raises(InputError, match=message):
            explaining.explain(model)
    per_pixel = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 1, activation="softmax")])
    segmenting = Predictor.from_model(per_pixel, ["a", "b"], preprocessing=CIFAR)
    with pytest.raises(InputError, match="Only a Keras model that classifies images can be explained"):
        explaining.signature(segmenting)

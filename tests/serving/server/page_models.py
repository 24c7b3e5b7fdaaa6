"""Models for the page: they say which color there is most of in an image."""

import keras
import tensorflow as tf

from kerascnn._preprocessing import CIFAR
from kerascnn.inference import Predictor
from kerascnn.serving import explaining

SIZE = 24
NAMES = ("red", "green", "blue")


def net():
    """Says which color there is most of, with a map that shows where."""
    x = inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.ReLU()(keras.layers.AveragePooling2D(4)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(3, "softmax", kernel_initializer=keras.initializers.Identity(4.0))(x)
    return keras.Model(inputs, x)


def write_model(folder, explained):
    """A SavedModel with the signatures that the page asks."""
    predictor = Predictor.from_model(net(), NAMES, preprocessing=CIFAR)

    def read(image_bytes):
        sound = tf.strings.length(image_bytes) > 9
        decode = lambda file: predictor.prepare_tensor(tf.io.decode_image(file, 3, expand_animations=False))  # noqa: E731
        spec = tf.TensorSpec(predictor.input_shape)
        stand_in = tf.io.encode_png(tf.zeros((1, 1, 3), tf.uint8))
        images = tf.map_fn(decode, tf.where(sound, image_bytes, stand_in), fn_output_signature=spec)
        return images, tf.where(sound, "", "it is no image")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def classify(image_bytes):
        images, errors = read(image_bytes)
        best, indices = tf.math.top_k(predictor.model(images), 3)
        return {"classes": tf.gather(tf.constant(NAMES), indices), "probabilities": best, "errors": errors}

    module = tf.Module()
    signatures = {"serving_default": classify.get_concrete_function()}
    if explained:
        signatures["explain"] = explaining.signature(predictor, read=read).get_concrete_function()
    module.variables_of_it = signatures["serving_default"].variables
    tf.saved_model.save(module, str(folder / "1"), signatures)
    return folder

"""Grad-CAM as a graph of stock TensorFlow ops, so that an export can say what speaks for its answer.

`explain` is the method on preprocessed images; `signature` is what an export offers under the name `explain`.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import decode_image
from kerascnn.explain.derivatives import slope
from kerascnn.explain.explanation import BEST, ask
from kerascnn.explain.places import Place, find_place, last_place, with_output
from kerascnn.inference.predictor import Predictor

Explain = Callable[[tf.Tensor], dict[str, tf.Tensor]]


def explain(model: keras.Model, layer: str | None = None) -> Explain:
    """Grad-CAM of the most probable class; `kerascnn.explain.grad_cam` says the same of arrays.

    Source: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, 2017, arXiv:1610.02391, equations 1 and 2.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels] of a known size,
            whose weights the function shares, or copies of them where the model is of half precision.
        layer: name of a layer that gives a map, or tokens of one; None: the one that the head reads.

    Returns:
        A `tf.function` of preprocessed images, float32 [n, height, width, channels], that gives `map`, float32
        [n, rows, columns], never negative, at the size of the layer, and `index`, int64 [n], the class.

    Raises:
        InputError: the model is no such classifier, or has neither maps nor tokens before its head.

    Example:

        import kerascnn
        import tensorflow as tf
        from kerascnn.serving import explaining

        model = kerascnn.create_model("resnet20")
        explained = explaining.explain(model)(tf.zeros((1, 32, 32, 3)))
        explained["map"].shape  # (1, 8, 8)
    """
    shape = model.inputs[0].shape[1:] if getattr(model, "inputs", None) else ()
    if len(shape) != 3 or None in shape:
        raise InputError(f"The model must take images of one known size. Received: {getattr(model, 'name', model)}")
    question = ask(model, np.zeros((1, *shape), np.float32), now=False)
    place = find_place(question, layer) or last_place(question)
    network = with_output(question, place.operation)

    @tf.function(input_signature=[tf.TensorSpec((None, *shape), tf.float32, "images")], autograph=False)
    def compute(images):
        best = tf.fill(tf.shape(images)[:1], tf.constant(BEST, tf.int64))
        seen, gradient, _, classes = slope(network, images, best)
        seen, gradient = _map(place, seen), _map(place, gradient)
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        return {"map": tf.nn.relu(tf.reduce_sum(weights * seen, axis=-1)), "index": classes}

    return compute


def signature(
    predictor: Predictor,
    model: keras.Model | None = None,
    layer: str | None = None,
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None = None,
) -> Explain:
    """The signature `explain` of an export: image files in, what speaks for their classes out.

    Args:
        predictor: a classifier in use: its names, shape and preprocessing.
        model: the network that is exported, with batch norms folded, say; None: that of the predictor.
        layer: as for `explain`.
        read: files, string [n] -> images as the network takes them, float32 [n, height, width, channels], anything in
            the place of one that cannot be read, and errors, string [n], empty for the others; None: a file that is no
            image fails the whole request.

    Returns:
        A `tf.function` of `image_bytes`, string [n], that gives
          map: float32 [n, rows, columns], as `explain`
          class: string [n]; index: int64 [n]
          view_bytes: string [n], what the network saw, as a PNG, which the map covers from edge to edge
          errors: string [n]

    Raises:
        InputError: the network is no classifier of images, or has no maps.

    Example:

        import tensorflow as tf
        from kerascnn import inference
        from kerascnn.serving import explaining

        predictor = inference.checkpoint.load("runs/digits")
        explained = explaining.signature(predictor)(tf.constant([open("seven.png", "rb").read()]))
        explained["class"].numpy()  # array([b"7"], dtype=object)
    """
    network = predictor.model if model is None else model
    if predictor.task != "classification" or network is None:
        raise InputError(f"Only a Keras model that classifies images can be explained. Received: {predictor.task}")
    compute, names = explain(network, layer), tf.constant(predictor.class_names)
    depth, mean, std = predictor.input_shape[-1], predictor.preprocessing.mean, predictor.preprocessing.std

    def prepared(contents):
        return predictor.prepare_tensor(decode_image(contents, depth))

    def view(image):
        # Undoes (pixel / 255 - mean) / std; bicubic interpolation may leave [0, 1].
        pixels = image * tf.constant(std, tf.float32) + tf.constant(mean, tf.float32)
        return tf.io.encode_png(tf.image.convert_image_dtype(tf.clip_by_value(pixels, 0.0, 1.0), tf.uint8))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def explained(image_bytes):
        images, errors = (read or strictly)(image_bytes)
        found, sound = compute(images), errors == ""
        return {
            "map": tf.where(sound[:, None, None], found["map"], 0.0),
            "class": tf.where(sound, tf.gather(names, found["index"]), ""),
            "index": tf.where(sound, found["index"], -1),
            "view_bytes": tf.map_fn(view, images, fn_output_signature=tf.string),
            "errors": errors,
        }

    def strictly(image_bytes):
        spec = tf.TensorSpec(predictor.input_shape, tf.float32)
        return tf.map_fn(prepared, image_bytes, fn_output_signature=spec), tf.fill(tf.shape(image_bytes), "")

    return explained


def _map(place: Place, values: tf.Tensor) -> tf.Tensor:
    """What a place gives, or its gradient -> [n, rows, columns, channels]."""
    if place.grid is None:
        return values
    grid = place.grid
    places = values[:, grid.before : grid.before + grid.rows * grid.columns]
    return tf.reshape(places, [-1, grid.rows, grid.columns, values.shape[-1]])

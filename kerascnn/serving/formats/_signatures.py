"""The signatures of a SavedModel as graphs over one network, and what they have to answer."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import decode_image
from kerascnn.inference.predictor import Predictor
from kerascnn.ops._guards import guarded_network
from kerascnn.serving import explaining, warmup
from kerascnn.serving.formats import _decoding
from kerascnn.surgery.cut import input_in
from kerascnn.surgery.graph import has_graph
from kerascnn.surgery.parts import HEAD
from kerascnn.surgery.replace import over

TOP = 5  # classes that serving_default returns, where there are as many
CLASSIFY = "classify"  # the signature of TensorFlow Serving's Classify
EXAMPLE = "image/encoded"  # the feature of a tf.Example with the file in it

Network = Callable[[tf.Tensor], dict[str, tf.Tensor]]  # images -> probabilities, perhaps features; float32


def network_of(model: keras.Model, features: bool) -> Network:
    """A model as a function of images.

    Args:
        model: ends in probabilities.
        features: also give what the last layer with weights is given, averaged over its places.

    Returns:
        The function, to be traced.
    """
    embedding = pooled(model) if features else None
    ends = [model.outputs[0]] if embedding is None else [model.outputs[0], embedding]
    network = over(model, ends)

    def compute(images):
        answers = keras.tree.flatten(network(images, training=False))
        return {name: tf.cast(x, tf.float32) for name, x in zip(("probabilities", "features"), answers, strict=False)}

    return lambda images: guarded_network(compute, images)


def pooled(model: keras.Model) -> Any:
    """The embedding of an image, a Keras tensor [n, channels]; None where the graph does not show one."""
    found = [layer for layer in model.layers if layer.name == HEAD and not has_graph(layer)]
    layer = found[-1] if found else _last_with_weights(model)
    if layer is None:
        return None
    try:
        x = input_in(model, layer)
    except InputError:
        return None
    if not isinstance(x, keras.KerasTensor) or not 2 <= len(x.shape) <= 4 or x.shape[-1] is None:
        return None
    return x if len(x.shape) == 2 else keras.ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))


def _last_with_weights(model):
    tensor = model.outputs[0]
    while True:
        operation = tensor._keras_history.operation
        if getattr(operation, "weights", ()):
            return None if has_graph(operation) else operation
        tensors = keras.tree.flatten(operation._inbound_nodes[-1].input_tensors) if operation._inbound_nodes else []
        if len(tensors) != 1:
            return None
        (tensor,) = tensors


def _best(probabilities, names):
    best, indices = tf.math.top_k(probabilities, k=min(TOP, len(names)))
    return {"classes": tf.gather(tf.constant(names), indices), "probabilities": best, "indices": indices}


def _map(probabilities, names):
    return {"class_map": tf.cast(tf.argmax(probabilities, axis=-1), tf.uint8), "probabilities": probabilities}


_ANSWERS = {"classification": _best, "segmentation": _map}  # of serving_default, by the task
_NOTHING = {"classes": "", "indices": -1}  # in the place of an image that is none; else zeros


def prepared(contents: tf.Tensor, predictor: Predictor) -> tf.Tensor:
    """A file as the network takes it."""
    return predictor.prepare_tensor(decode_image(contents, predictor.input_shape[-1]))


def traced(
    network: Network, predictor: Predictor, features: bool, explained: keras.Model | None = None
) -> dict[str, Any]:
    """The signatures as concrete functions, by their names.

    Args:
        network: of `network_of`.
        predictor: names, shape and task.
        features: whether the network gives them.
        explained: the same network as a model, for the signature `explain`; None: without it.
    """
    names, shape = predictor.class_names, predictor.input_shape
    images_spec = tf.TensorSpec([None, *shape], tf.float32, name="images")
    bytes_spec = tf.TensorSpec([None], tf.string, name="image_bytes")
    pixels_spec = tf.TensorSpec([None, None, None, shape[-1]], tf.uint8, name="pixels")
    compute = tf.function(network, input_signature=[images_spec], autograph=False)

    def read(image_bytes):
        spec = tf.TensorSpec(shape, tf.float32)
        return tf.map_fn(lambda contents: prepared(contents, predictor), image_bytes, fn_output_signature=spec)

    def answer(images):
        return _ANSWERS[predictor.task](compute(images)["probabilities"], names)

    def readable(image_bytes):
        errors = _decoding.faults(image_bytes)
        return read(tf.where(errors == "", image_bytes, _decoding.STAND_IN)), errors

    def with_errors(image_bytes, ask):
        images, errors = readable(image_bytes)
        answers, sound = ask(images), errors == ""
        return {name: _only(sound, x, _NOTHING.get(name)) for name, x in answers.items()} | {"errors": errors}

    def tensors(images):
        # A server compares no shapes with the signature, and oneDNN's kernels abort the process on a wrong rank.
        return {"probabilities": compute(tf.ensure_shape(images, (None, *shape)))["probabilities"]}

    def serving_default(image_bytes):
        return with_errors(image_bytes, answer)

    def strict(image_bytes):
        return answer(read(image_bytes))

    def pixels(pixels):
        pixels = tf.ensure_shape(pixels, (None, None, None, shape[-1]))
        some = tf.debugging.assert_positive(tf.shape(pixels)[1:3], "An image must have pixels")
        with tf.control_dependencies([some]):
            return answer(predictor.prepare_tensor(tf.identity(pixels)))

    def embeddings(image_bytes):
        return with_errors(image_bytes, lambda images: {"features": compute(images)["features"]})

    def classify(inputs):
        kinds = {EXAMPLE: tf.io.FixedLenFeature([], tf.string)}
        found = answer(read(tf.io.parse_example(inputs, kinds)[EXAMPLE]))
        return {"classes": found["classes"], "scores": found["probabilities"]}

    functions = {
        "tensors": (tensors, images_spec),
        "serving_default": (serving_default, bytes_spec),
        "strict": (strict, bytes_spec),
        "pixels": (pixels, pixels_spec),
    }
    if features:
        functions["features"] = (embeddings, bytes_spec)
    if predictor.task == "classification":
        functions[CLASSIFY] = (classify, tf.TensorSpec([None], tf.string, name="inputs"))
    # Traced here and now, because the caller chooses between native and stock ops for the time of this call.
    found = {
        name: tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
        for name, (function, spec) in functions.items()
    }
    if explained is not None:
        found["explain"] = explaining.signature(predictor, explained, read=readable).get_concrete_function()
    return found


def _only(sound, values, nothing):
    """The answers for images that are some."""
    where = tf.reshape(sound, [-1, *[1] * (values.shape.rank - 1)])
    return tf.where(where, values, tf.zeros_like(values) if nothing is None else tf.constant(nothing, values.dtype))


def requests(
    reference: Network, predictor: Predictor, features: bool, explained: keras.Model | None = None
) -> list[warmup.Request]:
    """Requests of all signatures with the answers of the network in memory; the pictures are noise on a slope.

    Args:
        reference: of `network_of`, of the network as it was trained.
        predictor: names, shape and task.
        features: whether the network gives them.
        explained: the same network as a model, for the signature `explain`; None: without it.
    """
    height, width, channels = predictor.input_shape
    random = np.random.default_rng(0)
    spec = tf.TensorSpec([None, *predictor.input_shape], tf.float32)
    compute = tf.function(reference, input_signature=[spec], autograph=False).get_concrete_function()

    def picture(rows, columns, depth):
        slope = np.linspace(0, 191, rows * columns * depth).reshape(rows, columns, depth)
        return (slope + random.integers(0, 64, slope.shape)).astype("uint8")

    def answered(images):
        outputs = {name: x.numpy() for name, x in compute(tf.constant(images)).items()}
        known = dataclasses.replace(predictor, function=lambda _: outputs["probabilities"])
        known.predict(images)  # refuses what is not finite
        best = _ANSWERS[predictor.task](tf.constant(outputs["probabilities"]), predictor.class_names)
        return outputs, {name: x.numpy() for name, x in best.items()}

    batches = [  # one picture as most clients send it; several of other sizes and kinds
        [tf.io.encode_jpeg(picture(height, width, 3), quality=90)],
        [tf.io.encode_png(picture(height + 9, 2 * width, 1)), tf.io.encode_png(picture(2 * height, width + 5, 3))],
    ]
    found = []
    for files in batches:
        images = np.stack([prepared(file, predictor) for file in files])
        outputs, best = answered(images)
        inputs, errors = _strings(file.numpy() for file in files), _strings(b"" for _ in files)
        found += [
            warmup.Request("serving_default", {"image_bytes": inputs}, {**best, "errors": errors}),
            warmup.Request("tensors", {"images": images[:1]}, {"probabilities": outputs["probabilities"][:1]}),
        ]
    found.append(warmup.Request("strict", {"image_bytes": inputs}, best))
    pixels = picture(height + 3, width + 1, channels)[None]
    found.append(warmup.Request("pixels", {"pixels": pixels}, answered(predictor.prepare_tensor(pixels).numpy())[1]))
    if features:
        found.append(
            warmup.Request("features", {"image_bytes": inputs}, {"features": outputs["features"], "errors": errors})
        )
    if predictor.task == "classification":
        examples = _strings(_example(contents) for contents in inputs)
        told = {"classes": best["classes"], "scores": best["probabilities"]}
        found.append(warmup.Request(CLASSIFY, {"inputs": examples}, told))
    if explained is not None:
        answers = explaining.signature(predictor, explained)(tf.constant(inputs.tolist()))
        told = {name: answers[name].numpy() for name in ("map", "class", "index", "errors")}
        found.append(warmup.Request("explain", {"image_bytes": inputs}, told))
    return found


def _strings(values) -> np.ndarray:
    values = list(values)
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _example(contents: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[contents]))
    return tf.train.Example(features=tf.train.Features(feature={EXAMPLE: feature})).SerializeToString()

"""TensorFlow's SavedModel, as an unmodified TensorFlow Serving loads it: files in, names and probabilities out.

The network is copied in float32, its batch norms folded into the convolutions before them, and traced with two
signatures:
  serving_default  image_bytes: string [n], encoded JPEG, PNG, GIF or BMP
                   -> classes: string [n, k], probabilities: float32 [n, k]; the k = 5 (or fewer) best, best first
  tensors          images: float32 [n, height, width, channels], preprocessed
                   -> probabilities: float32 [n, classes], in the order of assets/class_names.txt
A network for segmentation answers for the image as it is fitted into the network's input:
  serving_default  -> class_map: uint8 [n, height, width], probabilities: float32 [n, height, width, classes]
  tensors          -> probabilities: float32 [n, height, width, classes]
"""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE
from kerascnn.data.preprocessing import decode_image
from kerascnn.inference import saved_model as saved_models
from kerascnn.inference.compiled import as_program
from kerascnn.inference.predictor import Predictor, as_function
from kerascnn.inference.saved_model import load as load
from kerascnn.serving import warmup
from kerascnn.serving.checking import check as check
from kerascnn.surgery import folding
from kerascnn.surgery.replace import over

TOP = 5  # classes that serving_default returns, where there are as many


def write(predictor: Predictor, folder: Path, *, native: bool = False) -> None:
    """Writes a SavedModel with class names, constants and warm-up requests.

    Args:
        predictor: a network in use, with its Keras model.
        folder: empty.
        native: keep kerascnn's compiled ops; a network that `inference.lowered` takes becomes one op, another one
            keeps its layers.

    Raises:
        InputError: the network's outputs are not finite, it has more classes than a map can hold, or the graph needs
            XLA or custom ops on the server.
        OSError: the folder cannot be written.
    """
    if predictor.task == "segmentation" and len(predictor.class_names) > IGNORE:
        raise InputError(f"A map holds at most {IGNORE} classes. Received: {len(predictor.class_names)}")
    model = over(predictor.model, predictor.model.outputs[0])
    with tf.device("CPU:0"):  # where the check runs too; a GPU may compute in TF32
        reference = as_function(folding.float32_copy(model), predictor.input_shape)
        requests = _answered_requests(dataclasses.replace(predictor, function=reference))
    with ops.native("require" if native else "off"):
        module = _Served(_network(model, native), predictor)
    _refuse_unservable(module, model, native)
    module.save(folder, native)
    warmup.write_requests(folder, requests, model.name)


def _network(model: keras.Model, native: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """What is traced: with native ops one op, where the network can be lowered to a program; else its layers."""
    if native:
        try:
            return as_program(model)
        except InputError as error:
            logging.info("%s is exported layer by layer: %s", model.name, error)
    network, _ = folding.fold_batch_norm(model)
    return lambda images: tf.cast(network(images, training=False), tf.float32)


def _best(probabilities, names):
    best, indices = tf.math.top_k(probabilities, k=min(TOP, len(names)))
    return {"classes": tf.gather(tf.constant(names), indices), "probabilities": best}


def _map(probabilities, names):
    return {"class_map": tf.cast(tf.argmax(probabilities, axis=-1), tf.uint8), "probabilities": probabilities}


_ANSWERS = {"classification": _best, "segmentation": _map}  # of serving_default, by the task


def _prepared(contents, predictor):
    """A file as the network takes it."""
    return predictor.prepare_tensor(decode_image(contents, predictor.input_shape[-1]))


def _answered_requests(predictor: Predictor) -> list[warmup.Request]:
    """Requests of both signatures with the answers of the model in memory; the pictures are noise on a slope."""
    height, width, _ = predictor.input_shape
    random = np.random.default_rng(0)

    def picture(rows, columns, depth):
        slope = np.linspace(0, 191, rows * columns * depth).reshape(rows, columns, depth)
        return (slope + random.integers(0, 64, slope.shape)).astype("uint8")

    batches = [  # one picture as most clients send it; several of other sizes and kinds
        [tf.io.encode_jpeg(picture(height, width, 3), quality=90)],
        [tf.io.encode_png(picture(height + 9, 2 * width, 1)), tf.io.encode_png(picture(2 * height, width + 5, 3))],
    ]
    requests = []
    for files in batches:
        images = np.stack([_prepared(file, predictor) for file in files])
        probabilities = predictor.predict(images)
        answer = _ANSWERS[predictor.task](tf.constant(probabilities), predictor.class_names)
        inputs = np.array([file.numpy() for file in files], object)
        requests += [
            warmup.Request("serving_default", {"image_bytes": inputs}, {k: v.numpy() for k, v in answer.items()}),
            warmup.Request("tensors", {"images": images[:1]}, {"probabilities": probabilities[:1]}),
        ]
    return requests


class _Served(tf.Module):
    """What is saved: two signatures over one traced network, its variables (once) and the assets."""

    def __init__(self, probabilities: Callable[[tf.Tensor], tf.Tensor], predictor: Predictor):
        super().__init__()
        names, shape = predictor.class_names, predictor.input_shape
        self._texts = {
            saved_models.CLASS_NAMES: "".join(f"{name}\n" for name in names),
            saved_models.PREPROCESSING: json.dumps(predictor.preprocessing.to_dict(), indent=1) + "\n",
        }
        images_spec = tf.TensorSpec([None, *shape], tf.float32, name="images")
        network = tf.function(probabilities, input_signature=[images_spec], autograph=False)

        def tensors(images):
            # A server compares no shapes with the signature, and oneDNN's kernels abort the process on a wrong rank.
            return {"probabilities": network(tf.ensure_shape(images, (None, *shape)))}

        def serving_default(image_bytes):
            def prepare(contents):
                return _prepared(contents, predictor)

            images = tf.map_fn(prepare, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.float32))
            return _ANSWERS[predictor.task](network(images), names)

        bytes_spec = tf.TensorSpec([None], tf.string, name="image_bytes")
        # Traced here and now, because the caller chooses between native and stock ops for the time of this call.
        self._signatures = {
            function.__name__: tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
            for function, spec in ((tensors, images_spec), (serving_default, bytes_spec))
        }
        self.graphs = [signature.graph.as_graph_def() for signature in self._signatures.values()]
        self.network_variables = self._signatures["tensors"].variables

    def save(self, folder: Path, native: bool) -> None:
        """Writes the SavedModel into an empty folder."""
        texts = folder / ".texts"
        texts.mkdir()
        for name, text in self._texts.items():
            (texts / name).write_text(text, encoding="utf-8")
        self.assets = [tf.saved_model.Asset(str(texts / name)) for name in self._texts]
        options = tf.saved_model.SaveOptions(
            namespace_whitelist=[saved_models.NAMESPACE] if native else [], experimental_custom_gradients=False
        )
        tf.saved_model.save(self, str(folder), signatures=self._signatures, options=options)
        shutil.rmtree(texts)


def _refuse_unservable(module: _Served, model: keras.Model, native: bool) -> None:
    """A stock server has no op of ours, and cannot be relied upon to compile with XLA."""
    functions = [function for graph in module.graphs for function in graph.library.function]
    compiled = {function.signature.name for function in functions if function.attr["_XlaMustCompile"].b}
    nodes = [node for graph in module.graphs for node in graph.node]
    for node in nodes + [node for function in functions for node in function.node_def]:
        if node.attr["_XlaMustCompile"].b or node.attr["f"].func.name in compiled:
            raise InputError(
                "Nothing in an exported model may need XLA; use kerascnn.layers.Conv2D for grouped convolutions. "
                f"Received: {_culprit(node.name, model)}"
            )
    custom = set().union(*map(saved_models.custom_ops, module.graphs))
    if custom and not native:
        raise InputError(
            f"With native=False the model must trace without kerascnn's compiled ops. Received: {sorted(custom)}"
        )


def _culprit(node_name: str, model: keras.Model) -> str:
    """The layer under whose name scope a node was traced; a copied layer's scope may end in a number."""
    scopes = {re.sub(r"_\d+$", "", scope) for scope in node_name.split("/")} | set(node_name.split("/"))
    layers, found = list(model.layers), f"the op {node_name}"
    for layer in layers:
        if isinstance(layer, keras.Model):
            layers += layer.layers
        elif layer.name in scopes:
            found = f"the layer {layer.name!r} ({type(layer).__name__})"
    return found

"""TensorFlow's SavedModel, as an unmodified TensorFlow Serving loads it: files in, names and probabilities out.

The network is copied in one precision, simplified (`_steps`) and traced with these
signatures, k being 5 (or fewer), the most probable class first:
  serving_default  image_bytes: string [n], encoded JPEG, PNG, GIF, BMP or WebP
                   -> classes: string [n, k], probabilities: float32 [n, k], indices: int32 [n, k], errors: string [n],
                   which is empty unless the image is none, and then its classes are empty
  strict           the same without errors: an image that is none fails the whole request
  pixels           pixels: uint8 [n, height, width, channels] of any size -> classes, probabilities, indices
  tensors          images: float32 [n, height, width, channels], preprocessed
                   -> probabilities: float32 [n, classes], in the order of assets/class_names.txt
  features         image_bytes -> features: float32 [n, channels], what the classifier at the end is given; errors
  classify         inputs: string [n], each a tf.Example with image/encoded -> classes, scores; for Classify
  explain          on request: image_bytes -> map: float32 [n, rows, columns], class, index, view_bytes, errors
A network for segmentation answers for the image as it is fitted into the network's input, with class_map: uint8
[n, height, width] and probabilities: float32 [n, height, width, classes] in the place of classes, probabilities and
indices; it has neither features nor classify.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from absl import logging
from tensorflow.core.protobuf import saved_model_pb2

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE
from kerascnn.inference import saved_model as saved_models
from kerascnn.inference.compiled import as_program
from kerascnn.inference.predictor import Predictor
from kerascnn.inference.saved_model import load as load
from kerascnn.serving import warmup
from kerascnn.serving.checking import check as check
from kerascnn.serving.formats import _graph, _signatures, _steps
from kerascnn.surgery import folding
from kerascnn.surgery.replace import over

FILE = "saved_model.pb"
_FINGERPRINT = "fingerprint.pb"


def write(
    predictor: Predictor,
    folder: Path,
    *,
    native: bool = False,
    precision: str = "float32",
    explain: bool = False,
    quantize: str | None = None,
) -> None:
    """Writes a SavedModel with class names, constants and warm-up requests.

    Args:
        predictor: a network in use, with its Keras model.
        folder: empty.
        native: keep kerascnn's compiled ops; a network that `inference.lowered` takes becomes one op, another one
            keeps its layers.
        precision: of weights and arithmetic, "float32", "bfloat16" or "float16"; inputs, outputs and the last layer
            are float32.
        explain: also write the signature `explain`, see `kerascnn.serving.explaining`.
        quantize: "int8", with `native`, of a network that `inference.lowered` takes: see there. Weights are kept in
            float32 and packed as bytes when they are first used.

    Raises:
        InputError: the network's outputs are not finite, it has more classes than a map can hold, there is no such
            precision, quantize does not fit the rest, or the graph needs XLA or custom ops on the server.
        OSError: the folder cannot be written.
    """
    if predictor.task == "segmentation" and len(predictor.class_names) > IGNORE:
        raise InputError(f"A map holds at most {IGNORE} classes. Received: {len(predictor.class_names)}")
    if explain and precision != "float32":
        raise InputError(f"The signature explain is float32 alone. Received: precision={precision}")
    if quantize is not None and (not native or explain or precision != "float32"):
        raise InputError(
            "int8 in a SavedModel is for native ops, without explain and another precision. "
            f"Received: native={native}, explain={explain}, precision={precision}"
        )
    model = over(predictor.model, predictor.model.outputs[0])
    features = predictor.task == "classification" and _signatures.pooled(model) is not None
    with tf.device("CPU:0"):  # where the check runs too; a GPU may compute in TF32
        copy = folding.float32_copy(model)
        whole = _signatures.network_of(copy, features)
        reference = whole if quantize is None else _in_tensorflow(model, features, quantize)
        requests = _signatures.requests(reference, predictor, features, copy if explain else None)
    program = _program(model, features, quantize) if native and precision == "float32" else None
    with ops.native("require" if native else "off"):
        folded, steps = _graph.folded(predictor, precision) if program is None or explain else (None, None)
        network = program or _signatures.network_of(folded, features)
        module = _Served(network, predictor, features, folded if explain else None)
    _graph.refuse_unservable(module.graphs, model, native)
    module.save(folder, native)
    if program is None and steps is not None:
        _steps.write(folder, steps)
    warmup.write_requests(folder, requests, model.name)


def _in_tensorflow(model: keras.Model, features: bool, quantize: str) -> _signatures.Network:
    """What a quantized network computes, without the kernels that the export is checked with."""
    network = _program(model, features, quantize)

    def compute(images):
        with ops.native("off"):
            return network(images)

    return compute


def _program(model: keras.Model, features: bool, quantize: str | None) -> _signatures.Network | None:
    """The network as one op, where it can be lowered; its end apart, where features are asked for; else None."""
    try:
        if not features:
            whole = as_program(model, quantize)
            return lambda images: {"probabilities": whole(images)}
        embedding = _signatures.pooled(model)
        body = as_program(keras.Model(model.inputs, embedding, name=model.name), quantize)
        end = keras.Model(embedding, model.outputs[0])
    except InputError as error:
        if quantize is not None:
            raise
        logging.info("%s is exported layer by layer: %s", model.name, error)
        return None

    def compute(images):
        found = body(images)
        return {"probabilities": tf.cast(end(found, training=False), tf.float32), "features": found}

    return compute


class _Served(tf.Module):
    """What is saved: the signatures over one traced network, its variables (once) and the assets."""

    def __init__(self, network: _signatures.Network, predictor: Predictor, features: bool, explained: Any = None):
        super().__init__()
        self._texts = {
            saved_models.CLASS_NAMES: "".join(f"{name}\n" for name in predictor.class_names),
            saved_models.PREPROCESSING: json.dumps(predictor.preprocessing.to_dict(), indent=1) + "\n",
        }
        self._signatures: dict[str, Any] = _signatures.traced(network, predictor, features, explained)
        self.graphs = [signature.graph.as_graph_def() for signature in self._signatures.values()]
        variables = [variable for signature in self._signatures.values() for variable in signature.variables]
        self.network_variables = list({id(variable): variable for variable in variables}.values())

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
        if _signatures.CLASSIFY in self._signatures:
            _set_method(folder, _signatures.CLASSIFY, "tensorflow/serving/classify")


def _set_method(folder: Path, signature: str, method: str) -> None:
    """TensorFlow 2 writes the method Predict for every signature, and a server's Classify asks for its own."""
    path = folder / FILE
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    model.meta_graphs[0].signature_def[signature].method_name = method
    path.write_bytes(model.SerializeToString())
    (folder / _FINGERPRINT).unlink(missing_ok=True)  # of the file as it was before; loaders do without

"""One version of a model in TensorFlow: loaded, warmed up, asked. kerascnn's own ops are loaded only where it has them.

Source: tensorflow/serving, servables/tensorflow/{predict_util,saved_model_warmup_util}.cc.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2

from kerascnn._errors import InputError
from kerascnn.inference import saved_model as saved_models
from kerascnn.serving import warmup
from kerascnn.serving.server.signatures import DEFAULT, Signature, Tensor
from kerascnn.serving.server.status import Refusal, code_of, invalid

_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
_TOLD = 500  # letters of TensorFlow's error
# What TensorFlow raises for a damaged model, or for arrays that a graph cannot take, depends on where the fault is.
_FAULTS = (tf.errors.OpError, OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError, AttributeError)


class Servable:
    """A loaded version.

    Args:
        folder: with saved_model.pb, of any SavedModel that has the tag `serve`.

    Raises:
        Refusal: it is missing or damaged, or needs kerascnn's ops where those are absent.
    """

    def __init__(self, folder: Path):
        graph = _meta_graph(folder)
        if saved_models.custom_ops(graph.graph_def):
            try:
                saved_models.require_library(folder)
            except InputError as error:
                raise Refusal("FAILED_PRECONDITION", str(error)) from error
        self.folder = folder
        self.definitions = dict(graph.signature_def)  # name -> SignatureDef, for the metadata
        try:
            self._loaded = tf.saved_model.load(str(folder), tags="serve")
            self._functions = dict(self._loaded.signatures)
        except _FAULTS as error:
            raise _refusal(error) from error
        self.signatures: dict[str, Signature] = {
            name: _signature(name, self.definitions[name]) for name in self._functions if name in self.definitions
        }

    def run(
        self, signature: str, arrays: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Computes one signature.

        Args:
            signature: its name.
            arrays: by the names of its inputs; strings as object arrays of bytes.
            outputs: the names of the outputs that are wanted; empty for all.

        Returns:
            The outputs by name.

        Raises:
            Refusal: the graph cannot take the arrays.
        """
        declared = self.signatures[signature]
        declared.check(arrays)
        try:
            feeds = {
                name: tf.constant(array, tf.string if array.dtype == object else None) for name, array in arrays.items()
            }
            answers = self._functions[signature](**feeds)
            return {name: answers[name].numpy() for name in declared.chosen(outputs)}
        except _FAULTS as error:
            raise _refusal(error) from error

    def warm_up(self) -> int:
        """Answers the requests in assets.extra/tf_serving_warmup_requests; how many there were.

        Raises:
            Refusal: the file is damaged, or a request cannot be answered.
        """
        if not (self.folder / warmup.FILE).is_file():
            return 0
        try:
            requests = [request for request in warmup.read_requests(self.folder) if request.inputs]
        except InputError as error:
            raise Refusal("INVALID_ARGUMENT", str(error)) from error
        for request in requests:
            name = request.signature or DEFAULT
            if name not in self.signatures:
                raise invalid(f"The warm-up requests must be for signatures of the model. Received: {name}")
            self.run(name, request.inputs)
        return len(requests)

    def close(self) -> None:
        """Lets go of the graph and its variables."""
        self._functions, self._loaded = {}, None


def _meta_graph(folder: Path):
    path = folder / "saved_model.pb"
    try:
        graphs = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs
    except OSError as error:
        told = "Could not find SavedModel .pb or .pbtxt at supplied export directory path"
        raise Refusal("NOT_FOUND", f"{told}: {folder}") from error
    except message.DecodeError as error:
        raise Refusal("DATA_LOSS", f"saved_model.pb must be whole. Received: {folder}") from error
    graph = next((graph for graph in graphs if list(graph.meta_info_def.tags) == ["serve"]), None)
    if graph is None:
        told = "Could not find meta graph def matching supplied tags: { serve }"
        raise Refusal("NOT_FOUND", f"{told}. Received: {folder}")
    return graph


def _signature(name: str, definition) -> Signature:
    inputs, outputs = (
        {key: _tensor(info) for key, info in sorted(infos.items())} for infos in (definition.inputs, definition.outputs)
    )
    return Signature(name, definition.method_name, inputs, outputs)


def _tensor(info) -> Tensor:
    name = tf.dtypes.as_dtype(info.dtype).name
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return Tensor(_NAMES.get(name, name), sizes)


def _refusal(error: Exception) -> Refusal:
    """TensorFlow's error with its code, in one line without the names of the graph's nodes."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UnicodeDecodeError):  # TensorFlow's own text has bytes of the request in it
        told = bytes(error.object).decode(errors="replace")
    else:
        told = str(getattr(error, "message", None) or error)
    text = " ".join(told.split("\n\t [[")[0].split())
    text = text.removeprefix("Graph execution error: ")[:_TOLD]
    code = code_of(error.error_code) if isinstance(error, tf.errors.OpError) else "INVALID_ARGUMENT"
    return Refusal(code if code != "OK" else "UNKNOWN", text or type(error).__name__)

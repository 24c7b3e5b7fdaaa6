"""Opening an exported model: what it is, whether it is whole, and its answers."""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.inference.predictor import Predictor
from kerascnn.ops.inference_program import OP as PROGRAM
from kerascnn.ops.inference_program import computes_in_8_bits
from kerascnn.tasks import TASKS

NAMESPACE = "Kerascnn"  # of our ops' names in TensorFlow's registry: "Kerascnn>Conv2D"
CLASS_NAMES = "class_names.txt"
PREPROCESSING = "preprocessing.json"


@dataclasses.dataclass(frozen=True, eq=False)
class SavedModel(Predictor):
    """An exported model, loaded: a `Predictor` that also takes encoded images.

    `classify` maps encoded images to (class names [n, k], probabilities [n, k]), most probable first, and raises an
    `InputError` or a `tf.errors.OpError` where one is no image; for segmentation
    to (class numbers uint8 [n, height, width], probabilities float32 [n, height, width, classes]) of the images as they
    are fitted into the network's input.
    """

    native: bool = False  # whether it holds ops of kerascnn's library
    precision: str = "float32"  # of its weights, or of its products
    classify: Callable[[Sequence[bytes]], tuple[np.ndarray, np.ndarray]] | None = dataclasses.field(
        default=None, repr=False
    )


def locate(path: str | os.PathLike) -> Path:
    """The folder of a SavedModel: `path` itself, or the highest version in it.

    Raises:
        InputError: there is no such folder, or no SavedModel in it.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"There is no such folder. Received: {folder}")
    if (folder / "saved_model.pb").is_file():
        return folder
    numbers = versions(folder)
    if numbers and (folder / str(numbers[-1]) / "saved_model.pb").is_file():
        return folder / str(numbers[-1])
    raise InputError(f"The folder must be a SavedModel or hold numbered ones. Received: {folder}")


def versions(folder: Path) -> list[int]:
    """The version numbers in an export folder, ascending."""
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isascii() and entry.name.isdigit())


def custom_ops(graph: tf.compat.v1.GraphDef) -> set[str]:
    """The types of the ops in a graph and its functions that only kerascnn's library has."""
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes if node.op.startswith(f"{NAMESPACE}>")}


def precision_of(graph: tf.compat.v1.GraphDef) -> str:
    """What a graph computes in: "int8" where a program does, "float16" or "bfloat16" of weights, else "float32"."""
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    programs = (node.attr["program"].list.i for node in nodes if node.op == PROGRAM)
    if any(map(computes_in_8_bits, programs)):
        return "int8"
    kinds = {tf.dtypes.as_dtype(node.attr["dtype"].type).name for node in graph.node if node.op == "VarHandleOp"}
    return next((name for name in ("float16", "bfloat16") if name in kinds), "float32")


def meta_graph(folder: Path) -> tf.compat.v1.MetaGraphDef:
    """What saved_model.pb says, without loading it.

    Raises:
        InputError: the file is truncated or something else.
    """
    try:
        graphs = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    except (OSError, message.DecodeError) as error:
        raise InputError(f"saved_model.pb must be whole and readable. Received: {folder}") from error
    if len(graphs) != 1 or not {"serving_default", "tensors"} <= set(graphs[0].signature_def):
        raise InputError(
            "The SavedModel must be one of kerascnn, with the signatures serving_default and tensors. "
            f"Received: {folder}"
        )
    return graphs[0]


def task_of(path: str | os.PathLike) -> str:
    """What an exported model is for, a key of `kerascnn.tasks.TASKS`.

    Args:
        path: the folder of a version, or the folder above, of which the highest version is taken.

    Raises:
        InputError: it is missing, damaged, or not one of ours.
    """
    return _task(meta_graph(locate(path)))


def outputs_of(task: str) -> str:
    """The name of the output of serving_default that says which classes: beside it are the probabilities."""
    return TASKS[task].exported


def _task(graph: tf.compat.v1.MetaGraphDef) -> str:
    outputs = graph.signature_def["serving_default"].outputs
    return next((name for name, task in TASKS.items() if task.exported in outputs), "classification")


def load(path: str | os.PathLike) -> SavedModel:
    """Loads an exported model.

    Args:
        path: the folder of a version, or the folder above, of which the highest version is taken.

    Returns:
        The model, with the class names and constants found in its assets.

    Raises:
        InputError: it is missing, damaged, not one of ours, or needs kerascnn's ops where those are absent.
    """
    folder = locate(path)
    graph = meta_graph(folder)
    native, task = bool(custom_ops(graph.graph_def)), _task(graph)
    if native:
        require_library(folder)
    try:
        names = tuple((folder / "assets" / CLASS_NAMES).read_text(encoding="utf-8").splitlines())
        preprocessing = Preprocessing.from_dict(json.loads((folder / "assets" / PREPROCESSING).read_text("utf-8")))
        loaded = tf.saved_model.load(str(folder))
    # What TensorFlow raises depends on where the damage is.
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The SavedModel is damaged ({reason}). Received: {folder}") from error
    tensors, default = loaded.signatures["tensors"], loaded.signatures["serving_default"]
    _, height, width, channels = tensors.structured_input_signature[1]["images"].shape

    # `loaded` owns the variables, so both functions keep it.
    def probabilities(images: np.ndarray, owner=loaded) -> np.ndarray:
        return tensors(images=tf.constant(images, tf.float32))["probabilities"].numpy()

    def classify(images: Sequence[bytes], owner=loaded) -> tuple[np.ndarray, np.ndarray]:
        outputs = default(image_bytes=tf.constant(list(images), tf.string))
        for index, error in enumerate(outputs["errors"].numpy() if "errors" in outputs else ()):
            if error:
                raise InputError(f"{error.decode()}. Received: image {index} of {len(images)}")
        return outputs[outputs_of(task)].numpy(), outputs["probabilities"].numpy()

    return SavedModel(
        class_names=names,
        preprocessing=preprocessing,
        input_shape=(height, width, channels),
        task=task,
        function=probabilities,
        path=folder,
        native=native,
        precision=precision_of(graph.graph_def),
        classify=classify,
    )


def require_library(folder: Path) -> str:
    """Registers kerascnn's ops for a model that holds them; the path of the library.

    Raises:
        InputError: there is no usable library.
    """
    info = ops.build_info()
    if not info["available"]:
        reason = " ".join(info["reason"].split())
        raise InputError(f"The model holds native ops, and there is no library of them ({reason}). Received: {folder}")
    return info["library"]

"""The requests that TensorFlow Serving replays when it loads a model, so that the first user does not wait.

The file is assets.extra/tf_serving_warmup_requests: TFRecords of `tensorflow.serving.PredictionLog`. Each record here
also holds the response that the model in memory gave; the server ignores it, `kerascnn.serving.check` compares with it.

Source: tensorflow/serving, tensorflow_serving/apis/{prediction_log,predict,model}.proto, g3doc/saved_model_warmup.md.
"""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from tensorflow.core.framework import tensor_pb2

from kerascnn._errors import InputError

FILE = Path("assets.extra") / "tf_serving_warmup_requests"


@dataclasses.dataclass(frozen=True)
class Request:
    """One call of a signature: arrays by name; strings are object arrays of bytes."""

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]  # what the model in memory answered


# Message -> {field: (number, type)}: the part of the published messages that a warm-up request needs. A map is written
# as the repeated entry that it is on the wire, and its TensorProto values as the bytes that they are there.
_MESSAGES = {
    "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
    "Entry": {"key": (1, "string"), "value": (2, "bytes")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "Entry*")},
    "PredictResponse": {"outputs": (1, "Entry*"), "model_spec": (2, "ModelSpec")},
    "PredictLog": {"request": (1, "PredictRequest"), "response": (2, "PredictResponse")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
}


@functools.cache
def _prediction_log() -> type[message.Message]:
    """The class PredictionLog, in a pool of its own so that tensorflow-serving-api can be imported beside it."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="warmup.proto", package="kerascnn", syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            added = described.field.add(name=field_name, number=number, label=label)
            if kind in ("string", "bytes"):
                added.type = field.TYPE_STRING if kind == "string" else field.TYPE_BYTES
            else:
                added.type, added.type_name = field.TYPE_MESSAGE, f".kerascnn.{kind.rstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kerascnn.PredictionLog"))


def write_requests(folder: Path, requests: Iterable[Request], model_name: str) -> None:
    """Writes the warm-up file into a SavedModel's folder."""
    (folder / FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
        for request in requests:
            log = _prediction_log()()
            call = log.predict_log.request
            call.model_spec.name, call.model_spec.signature_name = model_name, request.signature
            for entries, arrays in (
                (call.inputs, request.inputs),
                (log.predict_log.response.outputs, request.outputs),
            ):
                for name, array in arrays.items():
                    entries.add(key=name, value=tf.io.serialize_tensor(tf.constant(array)).numpy())
            writer.write(log.SerializeToString())


def read_requests(folder: Path) -> list[Request]:
    """Reads the warm-up file of a SavedModel's folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / FILE
    try:
        logs = [_prediction_log().FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
        return [
            Request(
                log.predict_log.request.model_spec.signature_name,
                {entry.key: _array(entry.value) for entry in log.predict_log.request.inputs},
                {entry.key: _array(entry.value) for entry in log.predict_log.response.outputs},
            )
            for log in logs
        ]
    except (tf.errors.OpError, message.DecodeError) as error:
        raise InputError(f"The model must have whole warm-up requests to be checked with. Received: {path}") from error


def _array(serialized: bytes) -> np.ndarray:
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(serialized))

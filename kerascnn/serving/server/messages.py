"""The messages of TensorFlow Serving's gRPC services, built from their field numbers.

They have names of their own (`kerascnn.serving.*`), which are not on the wire, so that tensorflow-serving-api can be
imported beside them. Fields that are not listed are kept as unknown ones and not looked at.

Source: tensorflow/serving, apis/{model,predict,input,classification,regression,inference,
get_model_{metadata,status}}.proto.
"""

import functools

from google.protobuf import any_pb2, descriptor_pool, message, wrappers_pb2
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from kerascnn.serving import _protobuf

PACKAGE = "kerascnn.serving"
MESSAGES = {
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "|google.protobuf.Int64Value"),
        "version_label": (4, "|string"),
        "signature_name": (3, "string"),
    },
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"),
        "inputs": (2, "map tensorflow.TensorProto"),
        "output_filter": (3, "string*"),
    },
    "PredictResponse": {"outputs": (1, "map tensorflow.TensorProto"), "model_spec": (2, "ModelSpec")},
    "ExampleList": {"examples": (1, "tensorflow.Example*")},
    "ExampleListWithContext": {"examples": (1, "tensorflow.Example*"), "context": (2, "tensorflow.Example")},
    "Input": {
        "example_list": (1, "|ExampleList"),
        "example_list_with_context": (2, "|ExampleListWithContext"),
    },
    "Class": {"label": (1, "string"), "score": (2, "float")},
    "Classifications": {"classes": (1, "Class*")},
    "ClassificationResult": {"classifications": (1, "Classifications*")},
    "ClassificationRequest": {"model_spec": (1, "ModelSpec"), "input": (2, "Input")},
    "ClassificationResponse": {"result": (1, "ClassificationResult"), "model_spec": (2, "ModelSpec")},
    "Regression": {"value": (1, "float")},
    "RegressionResult": {"regressions": (1, "Regression*")},
    "RegressionRequest": {"model_spec": (1, "ModelSpec"), "input": (2, "Input")},
    "RegressionResponse": {"result": (1, "RegressionResult"), "model_spec": (2, "ModelSpec")},
    "InferenceTask": {"model_spec": (1, "ModelSpec"), "method_name": (2, "string")},
    "InferenceResult": {
        "model_spec": (1, "ModelSpec"),
        "classification_result": (2, "|ClassificationResult"),
        "regression_result": (3, "|RegressionResult"),
    },
    "MultiInferenceRequest": {"tasks": (1, "InferenceTask*"), "input": (2, "Input")},
    "MultiInferenceResponse": {"results": (1, "InferenceResult*")},
    "SignatureDefMap": {"signature_def": (1, "map tensorflow.SignatureDef")},
    "GetModelMetadataRequest": {"model_spec": (1, "ModelSpec"), "metadata_field": (2, "string*")},
    "GetModelMetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "map google.protobuf.Any")},
    # error_code and state are enums, which are alike on the wire.
    "StatusProto": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "ModelVersionStatus": {"version": (1, "int64"), "state": (2, "int32"), "status": (3, "StatusProto")},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "GetModelStatusResponse": {"model_version_status": (1, "ModelVersionStatus*")},
}
_IMPORTED = (any_pb2, wrappers_pb2, tensor_pb2, meta_graph_pb2, example_pb2)


@functools.cache
def _classes() -> dict[str, type[message.Message]]:
    """In the pool in which TensorFlow's messages are."""
    imported = [module.DESCRIPTOR.name for module in _IMPORTED]
    return _protobuf.classes(PACKAGE, MESSAGES, descriptor_pool.Default(), imported)


def get(name: str) -> type[message.Message]:
    """The class of a message.

    Args:
        name: a key of `MESSAGES`.
    """
    return _classes()[name]

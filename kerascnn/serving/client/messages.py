"""The messages of TensorFlow Serving's gRPC services that a client needs, without TensorFlow.

They are built from their field numbers, in a pool of their own, so that TensorFlow and tensorflow-serving-api can be
imported beside them. Enums are int32 here, which is the same on the wire.

Source: tensorflow/serving, apis/{model,predict,get_model_{metadata,status}}.proto; tensorflow/tensorflow,
core/framework/{tensor,tensor_shape}.proto, core/protobuf/meta_graph.proto; protocolbuffers/protobuf, any.proto and
wrappers.proto.
"""

import functools

from google.protobuf import descriptor_pool, message

from kerascnn.serving import _protobuf

_PACKAGE = "kerascnn.serving.client"
MESSAGES = {
    "Dim": {"size": (1, "int64")},
    "Shape": {"dim": (2, "Dim*"), "unknown_rank": (3, "bool")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "float*"),
        "double_val": (6, "double*"),
        "int_val": (7, "int32*"),
        "string_val": (8, "bytes*"),
        "int64_val": (10, "int64*"),
        "bool_val": (11, "bool*"),
        "half_val": (13, "int32*"),
        "uint32_val": (16, "uint32*"),
        "uint64_val": (17, "uint64*"),
    },
    "TensorInfo": {"dtype": (2, "int32"), "tensor_shape": (3, "Shape")},
    "SignatureDef": {"inputs": (1, "map TensorInfo"), "outputs": (2, "map TensorInfo"), "method_name": (3, "string")},
    "SignatureDefMap": {"signature_def": (1, "map SignatureDef")},
    "Int64Value": {"value": (1, "int64")},
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "map Tensor")},
    "PredictResponse": {"outputs": (1, "map Tensor")},
    "GetModelMetadataRequest": {"model_spec": (1, "ModelSpec"), "metadata_field": (2, "string*")},
    "GetModelMetadataResponse": {"metadata": (2, "map Any")},
    "Status": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "VersionStatus": {"version": (1, "int64"), "state": (2, "int32"), "status": (3, "Status")},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "GetModelStatusResponse": {"model_version_status": (1, "VersionStatus*")},
}


@functools.cache
def _classes() -> dict[str, type[message.Message]]:
    return _protobuf.classes(_PACKAGE, MESSAGES, descriptor_pool.DescriptorPool())


def get(name: str) -> type[message.Message]:
    """The class of a message.

    Args:
        name: a key of `MESSAGES`.
    """
    return _classes()[name]

"""The gRPC services, asked with messages built here and, where they are installed, with tensorflow-serving-api's."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import wrappers_pb2
from server.running_server import call, model, running

from kerascnn.serving.server import messages, protos
from kerascnn.serving.server.limits import Limits
from kerascnn.serving.server.status import Refusal

PREDICTION, MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"


@pytest.fixture(scope="module")
def server(tiny_versions):
    limits = Limits(max_body=2**20)
    with running(model(tiny_versions[0].parent, latest=2, labels={"stable": 2}), limits=limits) as server:
        yield server


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel


def predict(channel, inputs, signature="", name="m", version=None, label="", outputs=(), **options):
    request = messages.get("PredictRequest")()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(value if hasattr(value, "dtype") and hasattr(value, "tensor_shape")
                                     else tf.make_tensor_proto(value))  # fmt: skip
    request.output_filter.extend(outputs)
    return call(channel, PREDICTION + "Predict", request, "PredictResponse", **options)


def test_predict_versions_labels_and_filters(channel):
    x = np.float32([1, 2, 5])
    answer = predict(channel, {"x": x})
    assert answer.outputs["y"].float_val == [3.5, 4.0, 5.5]  # as TensorFlow Serving: values, not bytes
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 3, "serving_default")
    assert predict(channel, {"x": x}, version=2).outputs["y"].float_val == [2.5, 3.0, 4.5]
    assert predict(channel, {"x": x}, label="stable").model_spec.version.value == 2
    got = predict(channel, {"x": np.float32([[1, 2]])}, "pairs", outputs=["sum"])
    assert list(got.outputs) == ["sum"]


def test_every_type(channel):
    inputs = {
        "d": np.float64([1 / 3, np.inf]), "i": np.int32([-1, 2**31 - 1]), "l": np.int64([2**63 - 1, -(2**63)]),
        "u": np.uint8([0, 255]), "b": np.array([True, False]), "s": [b"\0\xff", b""],
    }  # fmt: skip
    outputs = predict(channel, inputs, "types").outputs
    for name, values in inputs.items():
        expected = np.array(values, getattr(values, "dtype", object))
        np.testing.assert_array_equal(tf.make_ndarray(outputs[name]), expected)
    assert outputs["s_bytes"].string_val == [b"\0\xff", b""]
    zeros = tf.make_tensor_proto([1.0, 2.0])
    zeros.tensor_content = b""  # TensorFlow reads a tensor without values as zeros
    assert predict(channel, {"x": zeros}).outputs["y"].float_val == [3, 3]
    scalar = predict(channel, {"x": np.float32(0)}, "scalar").outputs["y"]
    assert scalar.float_val == [np.inf] and not scalar.tensor_shape.dim


REFUSED = [
    ({"x": [1.0]}, {"name": "half"}, "NOT_FOUND", "Servable not found for request: Latest(half)"),
    ({"x": [1.0]}, {"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    ({"x": [1.0]}, {"version": 9}, "NOT_FOUND", "Servable not found for request: Specific(m, 9)"),
    ({"x": [1.0]}, {"label": "no"}, "INVALID_ARGUMENT", "Unrecognized servable version label: no"),
    ({"x": [1.0]}, {"signature": "no"}, "FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
    ({"z": [1.0]}, {}, "INVALID_ARGUMENT", "Sent extra: {z}. Missing but required: {x}."),
    ({}, {}, "INVALID_ARGUMENT", "input size does not match signature: 0!=1"),
    ({"x": np.float64([1])}, {}, "INVALID_ARGUMENT", "Expects input x to be float but double is provided"),
    ({"x": [[1.0]]}, {}, "INVALID_ARGUMENT", "Input x must have shape [?]. Received: [1,1]"),
    ({"x": [1.0]}, {"outputs": ["z"]}, "INVALID_ARGUMENT", "output tensor alias not found in signature: z"),
    ({"image_bytes": [b"no"]}, {"signature": "pixels"}, "INVALID_ARGUMENT", "Unknown image file format"),
]


@pytest.mark.parametrize("inputs, options, code, message", REFUSED)
def test_refusals(channel, inputs, options, code, message):
    with pytest.raises(grpc.RpcError) as caught:
        predict(channel, inputs, **options)
    assert (caught.value.code().name, message in caught.value.details()) == (code, True), caught.value.details()


def test_classify_and_regress(channel):
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(0.25)
    request = messages.get("ClassificationRequest")()
    request.model_spec.name, request.model_spec.signature_name = "m", "classify"
    request.input.example_list.examples.add().CopyFrom(example)
    answer = call(channel, PREDICTION + "Classify", request, "ClassificationResponse")
    (row,) = answer.result.classifications
    assert [(c.label, c.score) for c in row.classes] == [("low", 0.75), ("high", 0.25)]
    request = messages.get("RegressionRequest")()
    request.model_spec.name, request.model_spec.signature_name = "m", "regress"
    request.input.example_list_with_context.examples.add()
    request.input.example_list_with_context.context.CopyFrom(example)
    answer = call(channel, PREDICTION + "Regress", request, "RegressionResponse")
    assert [value.value for value in answer.result.regressions] == [3.125]
    request.input.Clear()
    for bad, message in ((request, "Input is empty."), (type(request)(), "Missing ModelSpec")):
        with pytest.raises(grpc.RpcError, match=message):
            call(channel, PREDICTION + "Regress", bad)


def test_status_and_metadata(channel):
    request = messages.get("GetModelStatusRequest")()
    request.model_spec.name = "m"
    rows = call(channel, MODEL + "GetModelStatus", request, "GetModelStatusResponse").model_version_status
    assert [(row.version, row.state, row.status.error_code) for row in rows] == [(3, 30, 0), (2, 30, 0)]
    request.model_spec.version.CopyFrom(wrappers_pb2.Int64Value(value=9))
    with pytest.raises(grpc.RpcError, match="Could not find version 9 of model m"):
        call(channel, MODEL + "GetModelStatus", request)
    request = messages.get("GetModelMetadataRequest")(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    answer = call(channel, PREDICTION + "GetModelMetadata", request, "GetModelMetadataResponse")
    assert answer.model_spec.version.value == 3
    packed = answer.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = messages.get("SignatureDefMap").FromString(packed.value).signature_def
    assert signatures["serving_default"].inputs["x"].dtype == tf.float32.as_datatype_enum
    for field, message in (([], "at least one metadata_field"), (["other"], "Metadata field other is not supported")):
        del request.metadata_field[:]
        request.metadata_field.extend(field)
        with pytest.raises(grpc.RpcError, match=message):
            call(channel, PREDICTION + "GetModelMetadata", request)


def test_bytes_that_are_no_message_large_ones_and_other_methods(channel):
    for method, body, code in (
        (PREDICTION + "Predict", b"\xff\xff", "INVALID_ARGUMENT"),
        (PREDICTION + "Predict", b"", "INVALID_ARGUMENT"),
        (PREDICTION + "Predict", bytes(2**20 + 1), "RESOURCE_EXHAUSTED"),
        (PREDICTION + "MultiInference", b"", "INVALID_ARGUMENT"),
        (MODEL + "HandleReloadConfigRequest", b"", "UNIMPLEMENTED"),
        ("/other.Service/Method", b"", "UNIMPLEMENTED"),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, method, body)
        assert caught.value.code().name == code, caught.value.details()
    assert predict(channel, {"x": [1.0]}).outputs["y"].float_val == [3.5]


def test_the_clients_deadline(channel, tmp_path):
    with pytest.raises(grpc.RpcError) as caught:
        predict(channel, {"until": str(tmp_path / "over")}, "waits", timeout=0.2)
    (tmp_path / "over").touch()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert predict(channel, {"x": [1.0]}, timeout=20).outputs["y"].float_val == [3.5]


@pytest.mark.parametrize(
    "sizes, values, dtype, message",
    [
        ([10**9], [1.0], 1, "must have at most 1,048,576 bytes"),  # 4 GB from one number
        ([2**62, 2**62], [], 1, "must have at most"),
        ([10**9], [], 7, "must have at most"),
        ([-1], [1.0], 1, "shape of input x must be known"),
        ([1], [1.0], 999, "must be a whole tensor"),
        ([1], [1.0], 0, "."),
        ([1], [1.0], 20, "."),  # a resource
    ],
)
def test_tensors_that_contradict_themselves(channel, sizes, values, dtype, message):
    proto = tf.make_tensor_proto([1.0])
    proto.Clear()
    proto.dtype = dtype
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    proto.float_val.extend(values)
    with pytest.raises(grpc.RpcError, match=message) as caught:
        predict(channel, {"x": proto})
    assert caught.value.code().name in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("dtype", ["float16", "complex64", "int16", "uint32", "uint64"])
def test_arrays_are_written_so_that_they_are_read(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    proto = tf.make_tensor_proto([0])
    proto.Clear()
    protos.fill(proto, array)
    np.testing.assert_array_equal(protos.to_array("x", proto, 2**20), array)
    with pytest.raises(Refusal, match="at most 4 bytes"):
        protos.to_array("x", tf.make_tensor_proto(np.zeros(2000)), 4)


def test_our_messages_are_those_of_tensorflow_serving_api():
    pytest.importorskip("tensorflow_serving")
    from google.protobuf import descriptor_pool
    from tensorflow_serving.apis import (  # noqa: F401
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        predict_pb2,
        regression_pb2,
    )  # fmt: skip

    for name, fields in messages.MESSAGES.items():
        theirs = descriptor_pool.Default().FindMessageTypeByName(f"tensorflow.serving.{name}")
        ours = messages.get(name).DESCRIPTOR
        for field in fields:
            left, right = ours.fields_by_name[field], theirs.fields_by_name[field]
            assert (left.number, left.is_repeated) == (right.number, right.is_repeated)
            same = left.type == right.type or {left.type, right.type} == {left.TYPE_INT32, left.TYPE_ENUM}
            assert same and bool(left.containing_oneof) == bool(right.containing_oneof), (name, field)


def test_the_generated_stubs(channel):
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )  # fmt: skip

    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    np.testing.assert_array_equal(tf.make_ndarray(stub.Predict(request, 10).outputs["y"]), [3.5, 4])
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "m"
    unpacked = get_model_metadata_pb2.SignatureDefMap()
    assert stub.GetModelMetadata(asked, 10).metadata["signature_def"].Unpack(unpacked)
    assert "pixels" in unpacked.signature_def
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "m"
    answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(asked, 10)
    available = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE
    assert [row.state for row in answer.model_version_status] == [available, available]

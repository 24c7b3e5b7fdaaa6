import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from serving_nets import NAMES, SHAPE
from tensorflow.core.framework import (
    resource_handle_pb2,
    tensor_pb2,
    tensor_shape_pb2,
    types_pb2,
)

from kerascnn.serving.warmup import FILE, Request, read_requests, write_requests


def published_prediction_log():
    """PredictionLog as tensorflow/serving declares it, with real TensorProtos: written apart from kerascnn's own."""
    file = descriptor_pb2.FileDescriptorProto(name="p.proto", package="tensorflow.serving", syntax="proto3")
    imported = (types_pb2, tensor_shape_pb2, resource_handle_pb2, tensor_pb2)
    pool = descriptor_pool.DescriptorPool()
    for module in imported:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        file.dependency.append(module.DESCRIPTOR.name)

    def field(message, name, number, kind, repeated=False):
        added = message.field.add(name=name, number=number, label=3 if repeated else 1)
        if kind == "string":
            added.type = 9
        else:
            added.type, added.type_name = 11, kind

    def tensors(message, name, number):
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        field(entry, "key", 1, "string")
        field(entry, "value", 2, ".tensorflow.TensorProto")
        field(message, name, number, f".tensorflow.serving.{message.name}.{entry.name}", repeated=True)

    spec, request, response, log, prediction = (
        file.message_type.add(name=name)
        for name in ("ModelSpec", "PredictRequest", "PredictResponse", "PredictLog", "PredictionLog")
    )
    field(spec, "name", 1, "string")
    field(spec, "signature_name", 3, "string")
    field(request, "model_spec", 1, ".tensorflow.serving.ModelSpec")
    tensors(request, "inputs", 2)
    tensors(response, "outputs", 1)
    field(response, "model_spec", 2, ".tensorflow.serving.ModelSpec")
    field(log, "request", 1, ".tensorflow.serving.PredictRequest")
    field(log, "response", 2, ".tensorflow.serving.PredictResponse")
    field(prediction, "predict_log", 6, ".tensorflow.serving.PredictLog")
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.PredictionLog"))


def array(proto):
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(proto.SerializeToString()))


def strict(log):
    """The message without fields that the published definition does not have."""
    copy = type(log).FromString(log.SerializeToString())
    copy.DiscardUnknownFields()
    return copy


def test_a_server_can_decode_and_replay_the_requests(exported, loaded):
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(exported[1] / FILE))]
    assert 0 < len(records) <= 1000  # the server's limit
    seen = set()
    for record in records:
        log = published_prediction_log().FromString(record)
        assert log.SerializeToString(deterministic=True) == strict(log).SerializeToString(deterministic=True)
        request, response = log.predict_log.request, log.predict_log.response
        assert request.model_spec.name == "small"
        inputs = {name: array(value) for name, value in request.inputs.items()}
        name, (count,) = request.model_spec.signature_name, {len(values) for values in inputs.values()}
        seen.add((name, count))
        if name == "tensors":
            assert inputs["images"].shape[1:] == SHAPE and inputs["images"].dtype == np.float32
            got = {"probabilities": loaded.predict(inputs["images"])}
        elif name == "serving_default":
            got = dict(zip(("classes", "probabilities"), loaded.classify(list(inputs["image_bytes"])), strict=True))
            assert {name.decode() for name in got["classes"].ravel()} <= set(NAMES)
        else:
            assert len(response.outputs)
            continue  # test_checking.py: their answers are compared in two processes
        np.testing.assert_allclose(got["probabilities"], array(response.outputs["probabilities"]), rtol=1e-4, atol=1e-5)
    one = ("serving_default", "tensors", "pixels")
    two = ("serving_default", "strict", "features", "classify")
    assert seen == {(name, 1) for name in one} | {(name, 2) for name in two}


def test_what_is_written_is_read(tmp_path):
    requests = [
        Request("a", {"x": np.float32([[1, 2]]), "y": np.array([b"\0\xff", b""], object)}, {"z": np.float32(3)}),
        Request("b", {}, {}),
    ]
    write_requests(tmp_path, requests, "m")
    for got, expected in zip(read_requests(tmp_path), requests, strict=True):
        assert got.signature == expected.signature
        for left, right in ((got.inputs, expected.inputs), (got.outputs, expected.outputs)):
            assert list(left) == list(right)
            for name in left:
                np.testing.assert_array_equal(left[name], right[name])

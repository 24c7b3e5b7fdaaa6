"""Requests and answers of the gRPC client, against a server that answers by a script."""

import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
from client.fake_server import fake_grpc

from kerascnn._errors import InputError
from kerascnn.serving.client import GrpcClient, Retries, ServerError, Signature, TensorInfo, VersionStatus, messages
from kerascnn.serving.client.tensors import fill, to_array

QUICK = Retries(attempts=3, shortest=0.01, longest=0.05)
CODE = grpc.StatusCode


def answer(**outputs):
    response = messages.get("PredictResponse")()
    for name, values in outputs.items():
        values = values if isinstance(values, np.ndarray) else np.array(values, np.float32)
        if values.dtype == object:
            response.outputs[name].dtype = 7
            response.outputs[name].string_val.extend(values.ravel())
            for size in values.shape:
                response.outputs[name].tensor_shape.dim.add(size=size)
        else:
            fill(response.outputs[name], values)
    return response.SerializeToString()


GOOD = answer(
    classes=np.array([[b"cat", b"dog"]], object), probabilities=[[0.75, 0.25]], errors=np.array([b""], object)
)


def client(server, **options):
    return GrpcClient(server.target, "m", **{"retries": QUICK, **options})


@pytest.mark.parametrize("code", [CODE.UNAVAILABLE, CODE.RESOURCE_EXHAUSTED])
def test_another_try_after_what_may_pass(code):
    busy = (code, "come back later", ())
    with fake_grpc(busy, busy, GOOD) as server, client(server) as asking:
        assert asking.classify([b"x"]) == [[("cat", 0.75), ("dog", 0.25)]]
        assert len(server.asked) == 3
    with fake_grpc(busy, busy, busy) as server, client(server) as asking:
        with pytest.raises(ServerError, match=rf"refused \({code.name}: come back later\).*asked 3 times") as caught:
            asking.classify([b"x"])
        assert (caught.value.status, caught.value.attempts) == (code.name, 3)


@pytest.mark.parametrize("code", [CODE.INVALID_ARGUMENT, CODE.NOT_FOUND, CODE.INTERNAL, CODE.UNIMPLEMENTED])
def test_no_other_try_after_a_refusal(code):
    with fake_grpc((code, "no\nway", ())) as server, client(server) as asking:
        with pytest.raises(ServerError, match=rf"refused \({code.name}: no way\). Received: .*/m$"):
            asking.probabilities(np.ones((1, 1, 1, 1)))
        assert len(server.asked) == 1


def test_what_the_server_asks_to_wait():
    def busy(wait):
        return CODE.UNAVAILABLE, "busy", (("grpc-retry-pushback-ms", wait),)

    with fake_grpc(busy("300"), GOOD) as server, client(server) as asking:
        began = time.monotonic()
        asking.classify([b"x"])
        assert time.monotonic() - began >= 0.3
    with fake_grpc(busy("-1")) as server, client(server) as asking:  # no other try is wanted
        with pytest.raises(ServerError, match="busy"):
            asking.classify([b"x"])


def test_a_deadline_holds_for_all_attempts_together():
    released = threading.Event()

    def late(context):
        released.wait(60)
        return GOOD

    with fake_grpc((CODE.UNAVAILABLE, "busy", ()), late) as server, client(server, timeout=2) as asking:
        with pytest.raises(ServerError, match=r"must answer within 2 s. Received: .*asked 2 times"):
            asking.classify([b"x"])
        released.set()


def test_a_server_that_is_not_there():
    with GrpcClient("127.0.0.1:1", "m", retries=QUICK) as asking:
        with pytest.raises(ServerError, match=r"refused \(UNAVAILABLE: .*asked 3 times"):
            asking.status()
        with pytest.raises(ServerError, match="available within 0.2 s"):
            asking.wait_until_ready(0.2)


def test_many_images_share_one_connection(monkeypatch):
    peers, made, channel = set(), [], grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", lambda *arguments: made.append(1) or channel(*arguments))

    def good(context):
        peers.add(context.peer())
        return GOOD

    with fake_grpc(*[good] * 12) as server, client(server, max_batch=1) as asking:
        assert asking.classify([b"x"] * 12) == [[("cat", 0.75), ("dog", 0.25)]] * 12
        assert len(made) == len(peers) == 1


def test_status_and_signatures():
    status = messages.get("GetModelStatusResponse")()
    row = status.model_version_status.add(version=7, state=50)
    row.status.error_code, row.status.error_message = 15, "it is bad"
    status.model_version_status.add(version=6, state=30)
    signatures = messages.get("SignatureDefMap")()
    signatures.signature_def["tensors"].method_name = "tensorflow/serving/predict"
    info = signatures.signature_def["tensors"].inputs["images"]
    info.dtype = 1
    info.tensor_shape.dim.add(size=-1)
    info.tensor_shape.dim.add(size=3)
    metadata = messages.get("GetModelMetadataResponse")()
    metadata.metadata["signature_def"].value = signatures.SerializeToString()
    with fake_grpc(status.SerializeToString(), metadata.SerializeToString()) as server, client(server) as asking:
        assert asking.status() == [VersionStatus(7, "END", "DATA_LOSS", "it is bad"), VersionStatus(6, "AVAILABLE")]
        expected = Signature({"images": TensorInfo("float32", (None, 3))}, {}, "tensorflow/serving/predict")
        assert asking.signatures() == {"tensors": expected}


def test_what_is_sent_is_what_tensorflow_reads():
    tf = pytest.importorskip("tensorflow")
    from kerascnn.serving.server import messages as full

    def asked(**options):
        with fake_grpc(answer(probabilities=np.zeros((2, 3), np.float32))) as server:
            with GrpcClient(f"grpc://{server.target}", "m", **options) as asking:
                asking.probabilities(images)
            return full.get("PredictRequest").FromString(server.asked[0][1])

    images = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    request = asked(version=9)
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["images"]), images)
    spec = request.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 9, "tensors")
    assert asked(label="best").model_spec.version_label == "best"


def test_tensors_of_every_form_are_read():
    tf = pytest.importorskip("tensorflow")
    from tensorflow.core.framework import tensor_pb2

    from kerascnn.serving.server import protos

    def read(proto):
        return to_array(messages.get("Tensor").FromString(proto.SerializeToString()))

    random = np.random.default_rng(0)
    for kind in ("float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
                 "uint64", "bool"):  # fmt: skip
        values = random.integers(0, 100, (2, 3)).astype(kind)
        one_each = tensor_pb2.TensorProto()
        protos.fill(one_each, values)
        for proto in (tf.make_tensor_proto(values), one_each):
            found = read(proto)
            np.testing.assert_array_equal(found, values)
            assert found.dtype == values.dtype
        np.testing.assert_array_equal(
            read(tf.make_tensor_proto(values[0, 0], kind, [2, 2])), np.full((2, 2), values[0, 0])
        )
        assert read(tf.make_tensor_proto(np.zeros((0, 3), kind))).shape == (0, 3)
    half = tf.constant([1.5, -2.0], tf.bfloat16)
    np.testing.assert_array_equal(read(tf.make_tensor_proto(half)), np.float32([1.5, -2]))
    assert read(tf.make_tensor_proto([[b"a", b"\0\xff"]])).tolist() == [[b"a", b"\0\xff"]]
    assert read(tf.make_tensor_proto(3.0)).shape == ()


def test_broken_answers_are_refused():
    def tensor(dtype=1, shape=(2,), **values):
        response = messages.get("PredictResponse")()
        proto = response.outputs["probabilities"]
        proto.dtype = dtype
        for size in shape:
            proto.tensor_shape.dim.add(size=size)
        for name, value in values.items():
            proto.tensor_content = value if name == "tensor_content" else b""
            if name != "tensor_content":
                getattr(proto, name).extend(value)
        return response.SerializeToString()

    broken = [
        (b"\xff\xff", "must answer with a PredictResponse"),
        (tensor(), "2 values are missing"),
        (tensor(float_val=[1, 2, 3]), "whole tensors"),
        (tensor(tensor_content=b"12345"), "whole tensors"),
        (tensor(tensor_content=b"1234"), "1 values are missing"),
        (tensor(dtype=21), "its type or shape is not known"),
        (tensor(shape=(-1,), float_val=[1]), "its type or shape is not known"),
        (tensor(shape=(2**40, 2**40), float_val=[1]), "too many values"),
        (tensor(shape=(3, 1), float_val=[1]), "must answer 1 predictions"),
        (answer(scores=[[1.0]]), "must run an export of kerascnn. Received"),
    ]
    for body, message in broken:
        with fake_grpc(body) as server, client(server) as asking:
            with pytest.raises(ServerError, match=message):
                asking.probabilities(np.ones((1, 1, 1, 1)))


def test_arguments():
    for target in ("", "http://localhost:8500", 8500):
        with pytest.raises(InputError, match="target must be an address of gRPC"):
            GrpcClient(target, "m")


def test_it_needs_no_tensorflow():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'keras')));"
        "from kerascnn.serving import GrpcClient; GrpcClient('localhost:1', 'm').close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

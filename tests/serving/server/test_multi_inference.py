"""Several classifications and regressions of one input, in one request; refusals in TensorFlow Serving's words."""

import grpc
import pytest
import tensorflow as tf
from server.running_server import call, model, running

from kerascnn.serving.server import messages
from kerascnn.serving.server.batching_parameters import BatchingParameters

METHOD = "/tensorflow.serving.PredictionService/MultiInference"
CLASSIFY, REGRESS, PREDICT = (f"tensorflow/serving/{verb}" for verb in ("classify", "regress", "predict"))


def write_shared(folder):
    """A model as TensorFlow 1 writes it: its signatures read one tensor, but for one of them."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        inputs, other = (v1.placeholder(tf.string, [None], name) for name in ("examples", "other"))

        def number(examples):
            return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]

        x = number(inputs)

        def signature(method, examples=inputs, **outputs):
            infos = {name: v1.saved_model.build_tensor_info(value) for name, value in outputs.items()}
            read = {"inputs": v1.saved_model.build_tensor_info(examples)}
            return v1.saved_model.build_signature_def(read, infos, method)

        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": signature(REGRESS, outputs=x / 2 + 2),
                "more": signature(REGRESS, outputs=x / 2 + 3),
                "scores": signature(CLASSIFY, scores=tf.concat([1 - x, x], 1)),
                "other": signature(REGRESS, other, outputs=number(other)),
                "predict": signature(PREDICT, outputs=x),
            },
        )
        builder.save()


@pytest.fixture(scope="module", params=[None, BatchingParameters(4, 1000, 1, 9)], ids=["alone", "batching"])
def channel(request, tiny_versions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    write_shared(folder / "7")
    models = model(folder), model(tiny_versions[0].parent, "tiny")
    with running(*models, batching=request.param) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            yield channel


def asked(*tasks, values=(0.25, 4.0), names=("m",)):
    """A request with tasks (signature, method), the models' names by turns."""
    request = messages.get("MultiInferenceRequest")()
    for index, (signature, method) in enumerate(tasks):
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = names[index % len(names)], signature
    for value in values:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(value)
    return request


def answered(channel, request):
    return call(channel, METHOD, request, "MultiInferenceResponse").results


def values(result):
    return [row.value for row in result.regression_result.regressions]


def test_each_task_is_answered_in_its_place(channel):
    results = answered(channel, asked(("more", REGRESS), ("scores", CLASSIFY), ("", REGRESS)))
    assert [result.WhichOneof("choice") for result in results] == [
        "regression_result", "classification_result", "regression_result"
    ]  # fmt: skip
    assert values(results[0]) == [3.125, 5] and values(results[2]) == [2.125, 4]
    scores = [
        [(row.label, row.score) for row in one.classes] for one in results[1].classification_result.classifications
    ]
    assert scores == [[("", 0.75), ("", 0.25)], [("", -3.0), ("", 4.0)]]
    specs = [(r.model_spec.name, r.model_spec.version.value, r.model_spec.signature_name) for r in results]
    assert specs == [("m", 7, "more"), ("m", 7, "scores"), ("m", 7, "serving_default")]


def test_the_context_is_part_of_each_example(channel):
    request = asked(("more", REGRESS), values=())
    request.input.example_list_with_context.examples.add()
    request.input.example_list_with_context.context.features.feature["x"].float_list.value.append(1.0)
    assert [values(result) for result in answered(channel, request)] == [[3.5]]


def test_a_model_of_tensorflow_2_takes_one_task(channel):
    (result,) = answered(channel, asked(("classify", CLASSIFY), names=("tiny",)))
    rows = result.classification_result.classifications
    assert [[(row.label, row.score) for row in one.classes] for one in rows][0] == [("low", 0.75), ("high", 0.25)]
    with pytest.raises(grpc.RpcError, match="Input tensor must be the same for all Signatures."):
        answered(channel, asked(("classify", CLASSIFY), ("regress", REGRESS), names=("tiny",)))


REFUSED = [
    (asked(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    (asked(("more", REGRESS), names=("",)), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    (asked(("more", REGRESS), names=("none",)), "NOT_FOUND", "Servable not found for request: Latest(none)"),
    (asked(("more", REGRESS), ("scores", CLASSIFY), names=("m", "")), "INVALID_ARGUMENT", "an empty model name."),
    (asked(("more", REGRESS), ("scores", CLASSIFY), names=("m", "tiny")), "INVALID_ARGUMENT", "the same model name."),
    (asked(("more", REGRESS), ("more", REGRESS)), "INVALID_ARGUMENT", "Duplicate evaluation of signature: more"),
    (asked(("", REGRESS), ("serving_default", REGRESS)), "INVALID_ARGUMENT", "of signature: serving_default"),
    (asked(("no", REGRESS)), "INVALID_ARGUMENT", "Requested signature not found in model graph: no"),
    (asked(("predict", PREDICT)), "UNIMPLEMENTED", f"Unsupported signature method_name: {PREDICT}"),
    (asked(("scores", REGRESS)), "INVALID_ARGUMENT", f"method_name to be {REGRESS}. Was: {CLASSIFY}"),
    (asked(("more", REGRESS), ("other", REGRESS)), "INVALID_ARGUMENT", "Input tensor must be the same"),
    (asked(("more", REGRESS), values=()), "INVALID_ARGUMENT", "Input is empty."),
]


@pytest.mark.parametrize("request_, code, message", REFUSED)
def test_refusals(channel, request_, code, message):
    with pytest.raises(grpc.RpcError) as caught:
        answered(channel, request_)
    assert (caught.value.code().name, message in caught.value.details()) == (code, True), caught.value.details()


def test_the_generated_stub(channel):
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.apis import inference_pb2, prediction_service_pb2_grpc

    request = inference_pb2.MultiInferenceRequest.FromString(
        asked(("scores", CLASSIFY), ("more", REGRESS)).SerializeToString()
    )
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).MultiInference(request, 10)
    assert [result.WhichOneof("result") for result in answer.results] == ["classification_result", "regression_result"]
    assert [row.value for row in answer.results[1].regression_result.regressions] == [3.125, 5]
    assert [row.score for row in answer.results[0].classification_result.classifications[1].classes] == [-3, 4]

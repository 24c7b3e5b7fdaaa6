"""TensorFlow Serving's PredictionService and ModelService on grpc.aio.

Departures: what cannot be read as a message is INVALID_ARGUMENT, and HandleReloadConfigRequest is UNIMPLEMENTED.
MultiInference computes the signatures of its tasks one after the other, not the graph once for all.

Source: tensorflow/serving, apis/{prediction_service,model_service}.proto, model_servers/prediction_service_impl.cc.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
from google.protobuf import message
from google.protobuf.any_pb2 import Any as AnyMessage

from kerascnn.serving.server import examples, messages, multi_inference, protos
from kerascnn.serving.server.engine import Engine
from kerascnn.serving.server.model import Version
from kerascnn.serving.server.observing import LOG, Metrics, Request
from kerascnn.serving.server.signatures import CLASSIFY, DEFAULT, for_verb
from kerascnn.serving.server.status import CODES, Refusal, invalid

_PREDICTION, _MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
_SIGNATURES = "signature_def"  # the only field of the metadata
_LONGEST = 1000  # letters of an error, which travels in a header
_STATUS = {code.name: code for code in grpc.StatusCode}


class Grpc:
    """Answers gRPC requests.

    Args:
        engine: computes them.
        metrics: counts them.
    """

    def __init__(self, engine: Engine, metrics: Metrics):
        self._engine, self._metrics = engine, metrics

    def server(self) -> grpc.aio.Server:
        """A server without a port, in the running event loop."""
        limit = self._engine.limits.max_body
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", min(limit, 2**31 - 1)),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # a port that is in use is refused
            ]
        )
        services: dict[str, dict[str, tuple[str, Callable]]] = {
            _PREDICTION: {
                "Predict": ("PredictRequest", self._predict),
                "Classify": ("ClassificationRequest", self._classify),
                "Regress": ("RegressionRequest", self._regress),
                "MultiInference": ("MultiInferenceRequest", self._multi_inference),
                "GetModelMetadata": ("GetModelMetadataRequest", self._metadata),
            },
            _MODEL: {"GetModelStatus": ("GetModelStatusRequest", self._status)},
        }
        for service, methods in services.items():
            handlers = {
                name: grpc.unary_unary_rpc_method_handler(self._handler(name, kind, answer))
                for name, (kind, answer) in methods.items()
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        return server

    def _handler(self, name: str, kind: str, answer: Callable[[Any, Request], Awaitable[message.Message]]):
        async def handle(body: bytes, context: grpc.aio.ServicerContext) -> bytes:
            request = Request("grpc")
            request.verb, request.received = name.lower(), len(body)
            try:
                sent = (await self._in_time(kind, body, context, answer, request)).SerializeToString()
                request.sent = len(sent)
                return sent
            except Refusal as refusal:
                request.refuse(refusal)
            except asyncio.CancelledError:
                request.refuse(Refusal("CANCELLED", "The client has gone"))
                raise
            except Exception as error:  # a fault of ours: the client learns that, the log where
                LOG.exception("fault")
                request.refuse(Refusal("INTERNAL", f"{type(error).__name__} in the server"))
            finally:
                self._metrics.ended(request)
            await context.abort(_STATUS[request.code], request.error[:_LONGEST])
            raise Refusal(request.code, request.error)  # never: abort raises

        return handle

    async def _in_time(self, kind: str, body: bytes, context, answer, request: Request) -> message.Message:
        try:
            asked = messages.get(kind).FromString(body)
        except message.DecodeError as error:
            raise invalid(f"The request must be a {kind}. Received: {len(body)} bytes of something else") from error
        remaining = context.time_remaining()
        seconds = min(self._engine.limits.timeout, remaining if remaining is not None else 1e9)
        try:
            spec = _spec(asked)
            request.model, request.signature = spec.name, spec.signature_name
            return await asyncio.wait_for(self._admitted(answer, asked, request), seconds)
        except asyncio.TimeoutError as error:
            raise Refusal("DEADLINE_EXCEEDED", f"The request took longer than {seconds:.3g} s") from error

    async def _admitted(self, answer, asked, request: Request) -> message.Message:
        async with self._engine.admitted():
            return await answer(asked, request)

    def _lease(self, spec):
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        return self._engine.models.lease(spec.name, *_version(spec))

    async def _predict(self, asked, request: Request) -> message.Message:
        with self._lease(asked.model_spec) as version:
            request.version = version.number
            signature = for_verb(version.servable.signatures, asked.model_spec.signature_name, "predict")
            most = self._engine.limits.max_body
            arrays = {name: protos.to_array(name, proto, most) for name, proto in asked.inputs.items()}
            outputs = await self._engine.run(version, signature, arrays, asked.output_filter)
            response = messages.get("PredictResponse")()
            _describe(response.model_spec, version, signature.name)
        for name, array in outputs.items():
            protos.fill(response.outputs[name], array)
        return response

    async def _classify(self, asked, request: Request) -> message.Message:
        response = messages.get("ClassificationResponse")()
        outputs, count = await self._examples(asked, request, response, "classify")
        _classified(response.result, outputs, count)
        return response

    async def _regress(self, asked, request: Request) -> message.Message:
        response = messages.get("RegressionResponse")()
        outputs, count = await self._examples(asked, request, response, "regress")
        _regressed(response.result, outputs, count)
        return response

    async def _examples(self, asked, request: Request, response, verb: str) -> tuple[dict[str, np.ndarray], int]:
        values = _values(asked.input)
        with self._lease(asked.model_spec) as version:
            request.version = version.number
            signature = for_verb(version.servable.signatures, asked.model_spec.signature_name, verb)
            outputs = await self._engine.run(version, signature, {"inputs": values})
            _describe(response.model_spec, version, signature.name)
        return outputs, len(values)

    async def _multi_inference(self, asked, request: Request) -> message.Message:
        response = messages.get("MultiInferenceResponse")()
        with self._lease(_spec(asked)) as version:
            request.version = version.number
            signatures = multi_inference.signatures(version, asked.tasks)
            values = _values(asked.input)
            for signature in signatures:
                outputs = await self._engine.run(version, signature, {"inputs": values})
                result = response.results.add()
                _describe(result.model_spec, version, signature.name)
                if signature.method == CLASSIFY:
                    _classified(result.classification_result, outputs, len(values))
                else:
                    _regressed(result.regression_result, outputs, len(values))
        return response

    async def _metadata(self, asked, request: Request) -> message.Message:
        if not asked.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in asked.metadata_field:
            if field != _SIGNATURES:
                raise invalid(f"Metadata field {field} is not supported")
        with self._lease(asked.model_spec) as version:
            request.version = version.number
            signatures = messages.get("SignatureDefMap")()
            for name, definition in version.servable.definitions.items():
                signatures.signature_def[name].CopyFrom(definition)
            response = messages.get("GetModelMetadataResponse")()
            response.model_spec.name = version.model
            response.model_spec.version.value = version.number
        url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        response.metadata[_SIGNATURES].CopyFrom(AnyMessage(type_url=url, value=signatures.SerializeToString()))
        return response

    async def _status(self, asked, request: Request) -> message.Message:
        spec = asked.model_spec
        response = messages.get("GetModelStatusResponse")()
        for version in self._engine.models.states(spec.name, *_version(spec)):
            row = response.model_version_status.add(version=version.number, state=int(version.state))
            row.status.error_code, row.status.error_message = CODES[version.code][0], version.message
        return response


def _spec(asked) -> message.Message:
    """Which model a request is for; one with several tasks says it in the first."""
    if asked.DESCRIPTOR.name == "MultiInferenceRequest":
        return asked.tasks[0].model_spec if asked.tasks else messages.get("ModelSpec")()
    if not asked.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return asked.model_spec


def _values(given) -> np.ndarray:
    """The examples of an `Input`, each with the context that it has."""
    listed = given.example_list.examples or given.example_list_with_context.examples
    if not listed:
        raise invalid("Input is empty.")
    context = given.example_list_with_context.context.SerializeToString()
    return examples.as_input([example.SerializeToString() for example in listed], context)


def _classified(result, outputs: dict[str, np.ndarray], count: int) -> None:
    """Fills in a ClassificationResult."""
    for row in examples.classifications(outputs, count):
        classes = result.classifications.add().classes
        for label, score in row:
            classes.add(label=label, score=score)


def _regressed(result, outputs: dict[str, np.ndarray], count: int) -> None:
    """Fills in a RegressionResult."""
    for value in examples.regressions(outputs, count):
        result.regressions.add(value=value)


def _version(spec) -> tuple[int | None, str | None]:
    """The version's number or label that a request asks for."""
    number = spec.version.value if spec.HasField("version") else None
    return number, spec.version_label or None


def _describe(spec, version: Version, signature: str) -> None:
    spec.name, spec.signature_name = version.model, signature or DEFAULT
    spec.version.value = version.number

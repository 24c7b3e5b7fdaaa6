"""TensorFlow Serving's REST interface on aiohttp, with /healthz, /readyz, /metrics and a page beside it.

Departures: bodies that are too large (413) or too slow (408), too many requests (429 with Retry-After) and requests
that take too long (504) are refused; TensorFlow Serving has no such limits.

Source: tensorflow/serving, g3doc/api_rest.md and model_servers/{http_server,http_rest_api_handler}.cc.
"""

import asyncio

from aiohttp import web

from kerascnn.serving.server import examples, json_examples, json_output, json_tensors, metadata, urls
from kerascnn.serving.server import web as page
from kerascnn.serving.server.engine import Engine
from kerascnn.serving.server.observing import CONTENT_TYPE, LOG, Metrics, Request
from kerascnn.serving.server.signatures import for_verb
from kerascnn.serving.server.status import Refusal, invalid
from kerascnn.serving.server.urls import Call

_LARGE_BODY = 100_000  # bytes from which reading JSON is worth a thread
_LARGE_ANSWER = 20_000  # numbers
_CHUNK = 2**16


class Rest:
    """Answers HTTP requests.

    Args:
        engine: computes them.
        metrics: counts them.
    """

    def __init__(self, engine: Engine, metrics: Metrics):
        self._engine, self._metrics = engine, metrics

    def application(self) -> web.Application:
        """The aiohttp application; it reads bodies itself, within the engine's limits."""
        application = web.Application()
        for path, handler in (
            ("/healthz", self._health),
            ("/readyz", self._ready),
            ("/metrics", self._figures),
            ("/monitoring/prometheus/metrics", self._figures),  # where TensorFlow Serving has them
        ):
            application.router.add_get(path, handler)
        application.router.add_routes(page.routes(self._engine.models.names, self._engine.limits.max_body))
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _ready(self, request: web.Request) -> web.Response:
        ready = self._engine.models.ready() and not self._engine.ending
        return web.json_response({"status": "ready" if ready else "not ready"}, status=200 if ready else 503)

    async def _figures(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE})

    async def _handle(self, http: web.Request) -> web.Response:
        request = Request("rest")
        try:
            response = self._json(await self._in_time(http, request))
        except Refusal as refusal:
            request.refuse(refusal)
            response = self._json(json_output.error(str(refusal)), refusal.http)
            if refusal.http == 429:
                response.headers["Retry-After"] = "1"
            if refusal.http in (408, 413):
                response.force_close()
        except Exception as error:  # a fault of ours: the client learns that, the log where
            LOG.exception("fault")
            request.refuse(Refusal("INTERNAL", f"{type(error).__name__} in the server"))
            response = self._json(json_output.error(request.error), 500)
        request.sent = response.content_length or 0
        self._metrics.ended(request)
        return response

    @staticmethod
    def _json(text: str, status: int = 200) -> web.Response:
        body = text.encode(errors="replace")
        return web.Response(body=body, status=status, headers={"Content-Type": "application/json"})

    async def _in_time(self, http: web.Request, request: Request) -> str:
        seconds = self._engine.limits.timeout
        try:
            return await asyncio.wait_for(self._answer(http, request), seconds)
        except asyncio.TimeoutError as error:
            if not http.content.at_eof():
                told = f"The body must arrive within {seconds:g} s"
                raise Refusal("DEADLINE_EXCEEDED", told, http=408) from error
            raise Refusal("DEADLINE_EXCEEDED", f"The request took longer than {seconds:g} s") from error

    async def _answer(self, http: web.Request, request: Request) -> str:
        path = http.rel_url.raw_path
        if not path.lower().startswith("/v1/"):
            raise Refusal("NOT_FOUND", f"There is no such address: {path[:200]}")
        call = urls.parse(http.method, path)
        request.verb, request.model, request.version = call.verb, call.name, call.version
        if call.verb == "status":
            return metadata.status(self._engine.models.states(call.name, call.version, call.label))
        if call.verb == "metadata":
            with self._engine.models.lease(call.name, call.version, call.label) as version:
                return metadata.metadata(version)
        async with self._engine.admitted():
            body = await self._body(http)
            request.received = len(body)
            return await (self._predict if call.verb == "predict" else self._examples)(call, body, request)

    async def _body(self, http: web.Request) -> bytes:
        most = self._engine.limits.max_body
        told = f"A body must have at most {most:,} bytes"
        if (http.content_length or 0) > most:
            raise Refusal("RESOURCE_EXHAUSTED", f"{told}. Received: {http.content_length:,}", http=413)
        parts, size = [], 0
        try:
            async for part in http.content.iter_chunked(_CHUNK):
                size += len(part)
                if size > most:
                    raise Refusal("RESOURCE_EXHAUSTED", f"{told}. Received: more", http=413)
                parts.append(part)
        except (web.RequestPayloadError, web.HTTPException) as error:
            raise invalid(f"The body must be whole, and in its encoding. Received: {error}") from error
        return b"".join(parts)

    async def _predict(self, call: Call, body: bytes, request: Request) -> str:
        engine, large = self._engine, len(body) > _LARGE_BODY
        parse, read = json_tensors.predict_request, json_tensors.tensors_of
        name, document = await engine.apart(parse, body) if large else parse(body)
        request.signature = name
        with engine.models.lease(call.name, call.version, call.label) as version:
            request.version = version.number
            signature = for_verb(version.servable.signatures, name, "predict", rest=True)
            if not signature.inputs:
                raise invalid(f"Failed to get input map for signature: {name or 'DEFAULT'}")
            dtypes = signature.dtypes
            arrays, rows = await engine.apart(read, document, dtypes) if large else read(document, dtypes)
            outputs = await engine.run(version, signature, arrays)
        write = json_output.predictions if rows else json_output.columns
        large = sum(array.size for array in outputs.values()) > _LARGE_ANSWER
        return await engine.apart(write, outputs) if large else write(outputs)

    async def _examples(self, call: Call, body: bytes, request: Request) -> str:
        engine = self._engine
        name, features, context = await engine.apart(json_examples.examples_of, body)
        request.signature = name
        with engine.models.lease(call.name, call.version, call.label) as version:
            request.version = version.number
            signature = for_verb(version.servable.signatures, name, call.verb, rest=True)
            values = await engine.apart(examples.serialized, features, context)
            outputs = await engine.run(version, signature, {"inputs": values})
        answer = examples.classifications if call.verb == "classify" else examples.regressions
        return json_output.results(answer(outputs, len(features)))

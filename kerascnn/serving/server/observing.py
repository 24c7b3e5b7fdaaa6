"""What a server tells of itself: one JSON line a request in the log, and figures for Prometheus.

Source: prometheus/docs, practices on naming; the exposition format of prometheus_client.
"""

import json
import logging
import time
from collections.abc import Callable

import prometheus_client as prometheus

from kerascnn.serving.server.model import State
from kerascnn.serving.server.models import Models
from kerascnn.serving.server.status import Refusal

LOG = logging.getLogger("kerascnn.serving")
CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class JsonLines(logging.Formatter):
    """A record of the log as one line of JSON: time, level, event, and what came with it as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        facts = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        facts |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, default=str)


class Request:
    """One request, from its beginning to its line in the log; both protocols fill it in."""

    def __init__(self, protocol: str):
        self.protocol, self.began = protocol, time.perf_counter()
        self.verb = self.model = self.signature = ""
        self.version: int | None = None
        self.code, self.error = "OK", ""
        self.received = self.sent = 0  # bytes

    def refuse(self, refusal: Refusal) -> None:
        """Notes how it ended."""
        self.code, self.error = refusal.code, str(refusal)


class Metrics:
    """Figures of one server, in a registry of its own.

    Args:
        models: of the server, whose versions are told.
        active: gives how many requests there are.
        waiting: gives how many batches wait.
    """

    def __init__(self, models: Models, active: Callable[[], int], waiting: Callable[[], int]):
        self.registry = prometheus.CollectorRegistry()
        self._models = models
        labels = ("protocol", "model", "method", "code")
        self._requests = prometheus.Counter(
            "kerascnn_serving_requests", "Requests that were answered.", labels, registry=self.registry
        )
        self._seconds = prometheus.Histogram(
            "kerascnn_serving_request_seconds",
            "Time from the first byte of a request to its answer.",
            labels[:3],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._rows = prometheus.Histogram(
            "kerascnn_serving_batch_rows", "Rows of each batch.", registry=self.registry, buckets=_ROWS
        )
        self._versions = prometheus.Gauge(
            "kerascnn_serving_version_state",
            "State of a version: 10 START, 20 LOADING, 30 AVAILABLE, 40 UNLOADING, 50 END.",
            ("model", "version"),
            registry=self.registry,
        )
        for name, text, value in (
            ("kerascnn_serving_active_requests", "Requests that were accepted and not answered yet.", active),
            ("kerascnn_serving_waiting_batches", "Batches that wait for a thread.", waiting),
        ):
            prometheus.Gauge(name, text, registry=self.registry).set_function(value)

    def batch(self, rows: int) -> None:
        """Counts a batch."""
        self._rows.observe(rows)

    def ended(self, request: Request) -> None:
        """Counts a request, and writes its line; a name that is no model's is not kept as a label."""
        seconds = time.perf_counter() - request.began
        model = request.model if request.model in self._models.names else ""
        self._requests.labels(request.protocol, model, request.verb, request.code).inc()
        self._seconds.labels(request.protocol, model, request.verb).observe(seconds)
        facts = {
            "protocol": request.protocol,
            "method": request.verb,
            "model": request.model[:200],
            "version": request.version,
            "signature": request.signature[:200],
            "code": request.code,
            "seconds": round(seconds, 6),
            "received": request.received,
            "sent": request.sent,
        }
        if request.error:
            facts["error"] = request.error[:500]
        LOG.info("request", extra=facts)

    def page(self) -> bytes:
        """All figures in Prometheus' text format."""
        self._versions.clear()
        for name in self._models.names:
            try:
                versions = self._models.states(name)
            except Refusal:  # none was seen yet
                continue
            for version in versions:
                self._versions.labels(name, str(version.number)).set(State(version.state))
        return prometheus.generate_latest(self.registry)

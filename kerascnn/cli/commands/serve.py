"""kerascnn serve."""

import importlib.util
import logging
import os
import sys
from pathlib import Path

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow
from kerascnn.serving.server import batching_parameters
from kerascnn.serving.server.limits import Limits
from kerascnn.serving.server.model import Model

_NEEDED = ("aiohttp", "grpc", "prometheus_client")  # modules of the extra `serve`


def run(values: Values, arguments: list[str], console: Console) -> int:
    """kerascnn serve; status 1 where requests were left when the time to finish them was over."""
    models = [_model(word, values) for word in arguments]
    _give_labels(models, values["label"])
    limits = Limits(**{name: values[name] for name in ("max_body", "max_requests", "max_pixels", "timeout", "grace")})
    batching = None
    if values["batching_parameters_file"]:
        batching = batching_parameters.read(values["batching_parameters_file"])
    elif values["batching"]:
        batching = batching_parameters.BatchingParameters()
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise InputError(
                f'kerascnn serve needs {name}, which is not installed: pip install "kerascnn[serve]". '
                f"Received: {sys.executable}"
            )
    load_tensorflow()
    from kerascnn.serving.server import loading, observing, running
    from kerascnn.serving.server.models import Models

    watched = Models(models, loading.Servable, values["poll"])
    grpc_port = values["grpc_port"] if values["grpc"] else None
    server = running.Server(watched, limits, batching, values["host"], values["port"], grpc_port)
    _log(observing.JsonLines(), values["log"])
    drained = running.run(server, lambda started: _announce(started, watched.names, console))
    if not server.quiet:  # a thread computes or loads still, and Python would wait for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0 if drained else 1)
    return 0 if drained else 1


def _model(word: str, values: Values) -> Model:
    """NAME=DIR, or DIR, whose last part is then the name."""
    name, equals, folder = word.partition("=")
    if not equals or os.path.isdir(word):
        name, folder = Path(word).resolve().name, word
    return Model(name, Path(folder), values["latest"])


def _give_labels(models: list[Model], words: tuple[str, ...]) -> None:
    for word in words:
        names, equals, number = word.rpartition("=")
        name, colon, label = names.rpartition(":")
        chosen = [model for model in models if model.name == name or not colon]
        if not equals or not label or not (number.isascii() and number.isdigit()) or len(chosen) != 1:
            rule = "MODEL:LABEL=VERSION, or LABEL=VERSION where there is one model"
            raise InputError(f"label must be {rule}. Received: label={word!r}")
        chosen[0].labels = {**chosen[0].labels, label: int(number)}


def _log(formatter: logging.Formatter, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    for name in ("kerascnn.serving", "aiohttp"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper() if name == "kerascnn.serving" else logging.CRITICAL)


def _announce(server, names: list[str], console: Console) -> None:
    where = f"http://{server.host}:{server.port}/v1/models"
    console.print(f"REST: {', '.join(f'{where}/{name}' for name in names)}", highlight=False, soft_wrap=True)
    if server.grpc_port is not None:
        console.print(f"gRPC: {server.host}:{server.grpc_port}", highlight=False, soft_wrap=True)
    console.print(f"Page: http://{server.host}:{server.port}/", highlight=False, soft_wrap=True)
    sys.stdout.flush()


_LIMITS = Limits()
COMMAND = Command(
    "serve",
    "DIR...",
    "Serves exported models as TensorFlow Serving does, for development.",
    "kerascnn serve exported/digits --port 8501",
    (
        Flag("host", "the address to listen at; 0.0.0.0 for every network", default="127.0.0.1"),
        Flag("port", "of the REST interface; 0: any free one", int, 8501, low=0, high=65_535),
        Flag("grpc_port", "of gRPC; 0: any free one", int, 8500, low=0, high=65_535),
        Flag("grpc", "speak gRPC, too", bool, True),
        Flag("latest", "how many of the highest versions answer", int, 1, low=1, group="models"),
        Flag(
            "label", "a name of a version, which then answers beside the latest; may be given several times",
            placeholder="[MODEL:]LABEL=VERSION", group="models", repeated=True,
        ),
        Flag("poll", "seconds between two looks at the folders", float, 1.0, low=0.01, high=86_400, group="models"),
        Flag("batching", "compute waiting requests together", bool, False, group="batching"),
        Flag(
            "batching_parameters_file", "a text for the flag of this name of TensorFlow Serving; implies --batching",
            placeholder="FILE", group="batching",
        ),
        Flag("max_body", "bytes of a request", int, _LIMITS.max_body, low=1, group="limits"),
        Flag(
            "max_requests", "requests that are accepted at a time; more are refused at once", int,
            _LIMITS.max_requests, low=1, group="limits",
        ),
        Flag(
            "max_pixels", "height times width of an image file; 16 times that for a request", int,
            _LIMITS.max_pixels, low=1, group="limits",
        ),
        Flag("timeout", "seconds for a request", float, _LIMITS.timeout, low=0.001, high=86_400, group="limits"),
        Flag(
            "grace", "seconds that requests have to finish after SIGTERM", float, _LIMITS.grace, low=0, high=86_400,
            group="limits",
        ),
        Flag(
            "log", "what is written to stderr, one JSON line an event; requests are info", default="info",
            choices=("info", "warning", "error"),
        ),
    ),
    run,
    positional=(1, None),
    note="DIR holds numbered versions, as kerascnn export writes them; NAME=DIR gives a model another name than the "
    "folder's. The server ends with SIGTERM or Ctrl-C, once the requests that it has accepted are answered.",
)  # fmt: skip

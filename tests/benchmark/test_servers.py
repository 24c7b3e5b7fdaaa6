"""Exports behind a server: what is counted and shown, with servers that are none, and once with a real one."""

import contextlib
import io
import threading

import numpy as np
import pytest
from PIL import Image

import kerascnn
from kerascnn import cli, serving
from kerascnn._errors import InputError
from kerascnn.benchmark import processes, servers
from kerascnn.benchmark.exports import Export
from kerascnn.benchmark.servers import Load
from kerascnn.benchmark.settings import Settings
from kerascnn.serving import ServerError


class Client:
    """Answers; over gRPC every second request is refused."""

    alive = 0

    def __init__(self, protocol, addresses):
        self.protocol, self.count = protocol, 0

    def __enter__(self):
        Client.alive += 1
        return self

    def __exit__(self, *_):
        Client.alive -= 1

    def classify(self, images):
        (body,) = images
        assert body.startswith(b"\xff\xd8")
        self.count += 1
        threading.Event().wait(0.002)
        if self.protocol == "grpc" and self.count % 2:
            raise ServerError("The server is full", 429)


def test_every_server_and_protocol_is_asked_in_turns(tmp_path, monkeypatch):
    said, running = [], []

    @contextlib.contextmanager
    def server(export, load, how):
        if export.name == "broken":
            raise processes.Ended("it cannot begin")
        running.append(export.name)
        yield {"rest": "", "grpc": ""}
        running.remove(export.name)

    monkeypatch.setattr(servers, "_server", server)
    monkeypatch.setattr(servers, "_client", Client)
    given = [Export(name, kind, "float32", tmp_path) for name, kind in
             [("a", "stock"), ("b", "native"), ("broken", "stock"), ("file", "onnx"), ("none", "plain")]]  # fmt: skip
    rows = servers.time_servers(given, Load(clients=3, seconds=0.3), Settings(), said.append)
    assert [(row["export"], row["protocol"]) for row in rows] == [
        (name, protocol) for name in ("a", "b", "broken") for protocol in ("rest", "grpc")
    ]
    assert not running and not Client.alive
    turns = [text for text in said if "turn" in text]
    assert turns[:4] == ["a: rest, turn 1 of 3", "a: grpc, turn 1 of 3", "b: rest, turn 1 of 3", "b: grpc, turn 1 of 3"]
    rest, grpc, broken = rows[0], rows[1], rows[4]
    assert rest["requests"] > 3 and rest["errors"] == 0 and rest["note"] == "" and not rest["failed"]
    assert 2 <= rest["p50_ms"] <= rest["p99_ms"] and rest["requests_per_s"] > 0
    assert grpc["errors"] > 0 and grpc["requests"] > 0 and grpc["note"] == "The server is full"
    assert broken["requests_per_s"] is None and broken["note"] == "it cannot begin" and broken["failed"]


def test_what_cannot_be_served_is_refused(tmp_path):
    with pytest.raises(InputError, match="needs a SavedModel of kerascnn. Received: onnx"):
        servers.time_servers([Export("file", "onnx", "float32", tmp_path)], Load(), Settings())


@pytest.mark.parametrize(
    "options, words",
    [
        ({"protocols": ("soap",)}, "server must be one of rest, grpc"),
        ({"protocols": ()}, "server must be at least one of rest, grpc"),
        ({"clients": 0}, "clients must be a whole number from 1"),
        ({"seconds": 0}, "seconds must be a finite number"),
    ],
)
def test_a_load_is_checked(options, words):
    with pytest.raises(InputError, match=words):
        Load(**options)


def test_a_server_needs_its_extra(monkeypatch):
    monkeypatch.setattr(servers.importlib.util, "find_spec", lambda name: None if name == "grpc" else object())
    with pytest.raises(InputError, match=r'pip install "kerascnn\[serve\]". Received: no grpc'):
        Load()


def test_percentiles_by_hand():
    assert servers.percentile([], 50) is None and servers.percentile([3.0], 99) == 3.0
    values = [float(value) for value in range(101)]
    assert servers.percentile(values, 50) == 50 and servers.percentile(values, 99) == 99


def test_the_image_that_is_sent():
    image = Image.open(io.BytesIO(servers.jpeg()))
    assert image.format == "JPEG" and image.size == (224, 224) and np.asarray(image).std() > 20


@pytest.mark.after
def test_a_real_server(tmp_path, capsys):
    model = kerascnn.create_model("lenet5")
    names = [str(number) for number in range(10)]
    serving.export(model, tmp_path / "lenet", class_names=names, check=False)
    flags = ["--batch=1", "--repeat=2", "--server=rest,grpc", "--clients=2", "--seconds=1.5", "--out"]
    assert cli.main(["benchmark", "serving", str(tmp_path / "lenet"), *flags, str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    rest, grpc = (tmp_path / "out" / "servers.csv").read_text().splitlines()[1:]
    for line, protocol in ((rest, "rest"), (grpc, "grpc")):
        cells = line.split(",")
        assert cells[1:5] == ["stock", "float32", protocol, "2"] and int(cells[5]) > 0 and cells[9] == "0"
    assert "requests/s" in printed and "stock" in printed

"""kerascnn serve as a process: it announces itself, answers, and ends with SIGTERM once its requests are answered."""

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from kerascnn import cli

PREDICT = "/v1/models/tiny:predict"


@contextlib.contextmanager
def process(*arguments):
    """(process, REST port, its JSON log so far) of a server on free ports."""
    command = [sys.executable, "-m", "kerascnn", "serve", *map(str, arguments), "--port", "0", "--grpc_port", "0"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = []
    reader = threading.Thread(target=lambda: log.extend(started.stderr))
    reader.start()
    try:
        first, second = started.stdout.readline(), started.stdout.readline()
        assert first.startswith("REST: http://127.0.0.1:") and second.startswith("gRPC: 127.0.0.1:"), log
        yield started, int(first.split(":")[3].split("/")[0]), log
    finally:
        started.kill()
        started.wait()
        reader.join()
        started.stdout.close()
        started.stderr.close()


def eventually(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def get(port, path):
    """(status, body) of a request with a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def ready(port):
    eventually(lambda: get(port, "/readyz")[0] == 200)


def refuses_connections(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return True
    return False


def test_sigterm_finishes_what_was_accepted(tiny_folder, tmp_path):
    folder, _ = tiny_folder
    with process(f"tiny={folder}", "--label", "stable=1") as (server, port, log):
        ready(port)
        answers = []

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            body = {"signature_name": "waits", "inputs": str(tmp_path / "over")}
            connection.request("POST", "/v1/models/tiny/labels/stable:predict", json.dumps(body))
            answer = connection.getresponse()
            answers.append((answer.status, json.loads(answer.read())))
            connection.close()

        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)  # a connection from before
        kept.request("GET", "/readyz")
        assert kept.getresponse().read() == b'{"status": "ready"}'
        client = threading.Thread(target=ask)
        client.start()
        eventually(lambda: "kerascnn_serving_active_requests 1.0" in get(port, "/metrics")[1])
        server.send_signal(signal.SIGTERM)
        eventually(lambda: any('"ending"' in line for line in log))
        eventually(lambda: refuses_connections(port))
        kept.request("GET", "/readyz")
        assert kept.getresponse().status == 503
        kept.close()
        (tmp_path / "over").touch()
        client.join()
        assert answers == [(200, {"outputs": 1.0})]
        assert server.wait(30) == 0
    events = [json.loads(line) for line in log if line.startswith("{")]
    assert [event["event"] for event in events if event["event"] != "version"] == [
        "listening", "ending", "request", "ended"
    ]  # fmt: skip
    (request,) = (event for event in events if event["event"] == "request")
    assert (request["model"], request["version"], request["code"], request["level"]) == ("tiny", 1, "OK", "info")
    assert request["seconds"] > 0 and request["received"] > 0 and request["sent"] > 0
    states = [event["state"] for event in events if event["event"] == "version"]
    assert states[:2] == ["LOADING", "AVAILABLE"]
    assert not any("Traceback" in line for line in log), log


def refused(capsys, *arguments):
    assert cli.main(["serve", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kerascnn: ") and error.count("\n") == 1, error
    return error


def test_what_cannot_be_served_is_one_line(tiny_folder, tmp_path, capsys, monkeypatch):
    folder, _ = tiny_folder
    (tmp_path / "bad.txt").write_text("max_batch_size: many")
    for arguments, message in (
        ((), "needs DIR..."),
        ((tmp_path / "none",), "folder must be an existing folder with numbered versions"),
        ((folder / "1",), "folder must be the folder above the numbered versions"),
        ((f"a/b={folder}",), "name must be the name of a model, without / and :"),
        ((folder, folder), "each with a name of its own"),
        ((folder, "--label", "stable"), "label must be MODEL:LABEL=VERSION"),
        ((folder, "--label", "other:stable=1"), "label must be MODEL:LABEL=VERSION"),
        ((folder, "--latest", "0"), "latest must be a whole number, at least 1"),
        ((folder, "--port", "65536"), "port must be a whole number from 0 to 65535"),
        ((folder, "--timeout", "0"), "timeout must be a finite number"),
        ((folder, "--batching_parameters_file", tmp_path / "bad.txt"), "A batching parameter must be NAME"),
        ((folder, "--batching_parameters_file", tmp_path / "no.txt"), "parameters cannot be read (No such file"),
    ):
        assert message in refused(capsys, *arguments)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for flag, other in (("port", "grpc_port"), ("grpc_port", "port")):
            error = refused(capsys, folder, f"--{flag}", port, f"--{other}", 0)
            assert "must be able to listen" in error and f"{flag}={port}" in error
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "aiohttp" else find(name))
    assert 'needs aiohttp, which is not installed: pip install "kerascnn[serve]"' in refused(capsys, folder)


def test_help_and_the_package_need_neither_tensorflow_nor_the_extra():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('aiohttp', 'grpc', 'prometheus_client', 'tensorflow')));"
        "import kerascnn.serving, kerascnn.serving.server, kerascnn.serving.server.json_tensors;"
        "import kerascnn.serving.server.models, kerascnn.serving.server.batching;"
        "from kerascnn import cli; sys.exit(cli.main(['serve', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}, timeout=60)
    assert done.returncode == 0 and "--batching_parameters_file" in done.stdout, done.stderr

"""Every Python snippet of every page runs, in the order of its page, in an empty folder, without a network.

A fence says what a snippet needs beside kerascnn (```python needs=torch): it runs where that can be imported. What is
no Python, such as a BUILD file, has another fence.
"""

import http.server
import importlib.util
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")] if "```python" in path.read_text())
FENCE = re.compile(r"^( *)```python(?: needs=([\w,]+))?\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
# Pages that train, or build or export large networks.
SLOW = {"scaling.md", "seeing.md", "serving_custom_ops.md", "transformers.md", "weights.md"}


class _Server(http.server.BaseHTTPRequestHandler):
    """Answers as TensorFlow Serving does for a model of two flowers."""

    def log_message(self, *_):
        pass

    def _reply(self, record):
        body = json.dumps(record).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self._reply({"model_version_status": [{"version": "1", "state": "AVAILABLE"}]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        named = request.get("signature_name") == "serving_default"
        row = {"classes": ["tulip", "rose"], "probabilities": [0.93, 0.07]} if named else [0.07, 0.93]
        self._reply({"predictions": [row] * len(request["instances"])})


@pytest.fixture
def server(monkeypatch):
    """Host and port of a running server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield "{}:{}".format(*running.server_address)
        running.shutdown()


def parameters():
    return [pytest.param(page, id=page.name, marks=[pytest.mark.after] * (page.name in SLOW)) for page in PAGES]


@pytest.mark.parametrize("page", parameters())
def test_the_snippets_of_a_page_run(page, tmp_path, monkeypatch, server):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype="uint8")
    for name in ("photo.jpg", "tulip.jpg"):
        Image.fromarray(pixels).save(name)
    snippets = FENCE.findall(page.read_text())
    assert snippets
    names, left_out = {"__name__": "example"}, []
    for _indent, needs, code in snippets:
        absent = [name for name in filter(None, needs.split(",")) if importlib.util.find_spec(name) is None]
        if absent:
            left_out += absent
            continue
        code = code.replace("localhost:8501", server)
        exec(compile(code, str(page), "exec"), names)  # noqa: S102
    if left_out and len(snippets) == 1:
        pytest.skip(f"needs {', '.join(left_out)}")


def test_no_fence_escapes():
    """Every fence that begins with python is found by the expression above."""
    for page in PAGES:
        text = page.read_text()
        assert len(FENCE.findall(text)) == len(re.findall(r"^ *```python", text, re.MULTILINE)), page.name

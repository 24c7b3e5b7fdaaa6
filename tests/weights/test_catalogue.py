"""The rows of published weights: what the CSV says, one default each, and sound for their networks."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.weights import cache, catalogue, packages, published

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools/weights_catalogue.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("weights_catalogue", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_catalogue_is_what_the_csv_gives(tool):
    assert tool.CATALOGUE.read_text(encoding="utf-8") == tool.made()


def test_every_row_of_the_csv_is_there_or_left_out_for_a_reason(tool):
    rows = tool.read(tool.CSV)
    peers = json.loads(tool.PEERS.read_text(encoding="utf-8"))
    found = {(row.network, row.tag) for row in published()}
    for row in rows:
        key = f"{row['network']} {row['source']} {row['tag']}"
        tag = row["source"] if row["source"] == "keras" else f"{row['source']}/{row['tag']}"
        left_out = any(key.startswith(start) for start in tool.LEFT_OUT)
        assert ((tool.network_of(row, peers), tag) in found) != left_out, key


def test_rows_are_sound_for_their_networks():
    for row in published():
        info = kerascnn.model_info(row.network)
        assert row.format in (".safetensors", ".pth", ".h5") and row.file.endswith(row.format)
        assert row.library in ("timm", "torchvision", "keras", "efficientnet_lite_pytorch", "") and row.classes >= 0
        assert row.location.partition(":")[0] in ("hf", "https", "package", "shipped")
        assert (row.library == "") == row.location.startswith("shipped:")
        for size in filter(None, (row.input_size, row.test_size)):
            assert min(size) >= info.min_size and not any(side % info.size_multiple for side in size)
        assert row.hash is None or row.hash.startswith(("sha256:", "md5:"))
        assert row.hash or not row.location.startswith("https://download.pytorch.org")
        assert all(10 < row.reported[key] <= 100 for key in row.reported if key != "size")


def test_files_of_different_rows_have_different_names():
    places = {}
    for row in published():
        places.setdefault(cache.path_of(row), set()).add(row.location)
    assert all(len(locations) == 1 for locations in places.values())


def test_one_default_and_those_of_installed_packages_before_it(monkeypatch):
    for network in catalogue.networks():
        defaults = [row for row in published(network) if row.default]
        assert [row.default for row in defaults] in (["always"], ["installed", "always"], ["installed"], [])
        assert all(row.classes == 1000 and "nc" not in row.licence.lower().split("-") for row in defaults)
    monkeypatch.setattr(packages, "find", lambda location: None)
    assert catalogue.find("resnet50").tag == "torchvision/IMAGENET1K_V2"
    assert catalogue.find("efficientnet_lite0").tag == "timm/ra_in1k"
    assert catalogue.find("mobilenetv2_100").tag == "timm/ra_in1k"
    monkeypatch.setattr(packages, "find", lambda location: Path(location))
    assert catalogue.find("efficientnet_lite0").network == "tf_efficientnet_lite0"
    assert catalogue.find("mobilenetv2_100").tag == "torchvision/IMAGENET1K_V1"


def test_packages_are_found_by_their_own_list():
    assert packages.find("package:numpy/numpy/__init__.py").name == "__init__.py"
    assert packages.find("package:numpy/numpy/nothing.pth") is None
    assert packages.find("package:no-such-package-of-weights/x.pth") is None


def test_wrong_questions_are_refused():
    assert published("zfnet") == published("no_such_network") == ()
    with pytest.raises(InputError, match="network must be the name"):
        published(50)
    with pytest.raises(InputError, match="tags: imagenet, torchvision/IMAGENET1K_V2.* more. Received: 'x'"):
        catalogue.find("resnet50", "x")


def test_asking_imports_neither_keras_nor_tensorflow():
    code = "import sys; from kerascnn.weights import published; assert published('resnet50')\n"
    code += "assert not {'tensorflow', 'keras', 'numpy', 'rich'} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.peers
def test_the_csv_is_what_the_installed_libraries_say(tool):
    python = os.environ.get("KERASCNN_PEERS_PYTHON") or sys.executable
    if python == sys.executable:
        pytest.importorskip("timm")
    environment = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("KERASCNN_PEERS_LD_LIBRARY_PATH", "")}
    done = subprocess.run([python, str(TOOL), "--peers"], check=True, capture_output=True, text=True, env=environment)
    rows = {f"{row['network']} {row['source']} {row['tag']}": row for row in tool.read(tool.CSV)}
    for key, told in json.loads(done.stdout).items():
        row = dict(rows[key])
        row["resize"] = row["crop"].removeprefix("resize ") or "256"
        row["interpolation"] = row["interpolation"].strip(": ")
        if key in tool.OTHERWISE:
            row |= tool.OTHERWISE[key]
        told = {name: value for name, value in told.items() if not (name == "input" and not row["input"])}
        assert {name: row[name] for name in told} == told, key

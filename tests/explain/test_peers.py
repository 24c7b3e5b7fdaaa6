"""Explanations equal captum's and pytorch-grad-cam's: recorded values, and live where there is PyTorch.

tools/explain_parity.py records; results/explain_parity.md has the differences.
"""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

TOOL = Path(__file__).parents[2] / "tools" / "explain_parity.py"
LIMIT = 1e-4  # of the largest value
PYTHON = os.environ.get("KERASCNN_PEERS_PYTHON")


def tool():
    spec = importlib.util.spec_from_file_location("explain_parity", TOOL)
    module = sys.modules.setdefault("explain_parity", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


def recorded():
    with np.load(tool().FIXTURE) as arrays:
        return dict(arrays)


def names():
    """The quickest runs by default, the others after."""
    found = sorted({key.partition("/")[0] for key in recorded()})
    return [pytest.param(name, marks=[pytest.mark.after] * (name != "resnet18")) for name in found]


@pytest.mark.parametrize("name", names())
def test_our_values_are_those_that_the_peers_gave(name):
    parity = tool()
    ours = parity.ours(name, *parity.network(name))
    theirs = {key.partition("/")[2]: values for key, values in recorded().items() if key.startswith(f"{name}/")}
    assert set(ours) == set(theirs)
    for method, values in theirs.items():
        difference = np.abs(parity.kept(ours[method]) - values).max() / values[-1]
        assert values[-1] > 0 and difference <= LIMIT, (method, difference)


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.skipif(not PYTHON, reason="needs KERASCNN_PEERS_PYTHON with torch, timm, captum and grad-cam")
@pytest.mark.parametrize("name", list(tool().NETWORKS))
def test_every_value_beside_the_peers(name):
    parity = tool()
    model, image = parity.network(name)
    found = parity.differences(parity.ours(name, model, image), parity.theirs(name, model, image, PYTHON))
    assert {"gradients", "grad_cam"} <= set(found) and max(found.values()) <= LIMIT, found

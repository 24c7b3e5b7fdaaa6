"""Statistics at the start of training: known values, exact identities, refusals."""

import importlib
import json

import numpy as np
import pytest

from kerascnn import studies
from kerascnn._errors import InputError

module = importlib.import_module("kerascnn.studies.initialization")


def test_known_deviations():
    """tanh and ReLU layers have deviations that follow from the moments of a normal number."""
    found = studies.initialization(activation="relu", schemes=("he", "xavier"), width=2048, samples=64)
    he, xavier = found.arrays["forward"]
    np.testing.assert_allclose(he[1:], np.sqrt(1 - 1 / np.pi), rtol=0.06)  # He keeps the second moment, not this
    np.testing.assert_allclose(xavier[2:] / xavier[1:-1], np.sqrt(0.5), rtol=0.06)
    np.testing.assert_allclose(found.arrays["backward"][0], 1, rtol=0.1)
    np.testing.assert_allclose(found.arrays["zeros"][:, 1:], 0.5, atol=0.03)
    assert found.arrays["zeros"][:, 0].max() == 0
    assert all(found.claims.values()) and len(found.claims) == 3
    tanh = studies.initialization(activation="tanh", schemes=("xavier", "0.01"), width=4096, samples=16)
    # E[tanh(z)^2] for z ~ N(0, 1), then for z of that variance: by quadrature.
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    deviation, expected = 1.0, []
    for _ in range(6):
        deviation = np.sqrt((weights * np.tanh(deviation * nodes) ** 2).sum() / weights.sum())
        expected.append(deviation)
    np.testing.assert_allclose(tanh.arrays["forward"][0, 1:], expected, rtol=0.03)
    assert tanh.claims == {"A deviation of 0.01 lets activations fade": True}


def test_exact_starts():
    found = studies.initialization(schemes=("orthogonal", "lsuv", "fixup", "constant"), activation="tanh", width=64)
    forward = dict(zip(found.settings["schemes"], found.arrays["forward"], strict=True))
    assert (forward["fixup"] == forward["fixup"][0]).all()  # W_2 is 0: the identity, bit by bit
    backward = dict(zip(found.settings["schemes"], found.arrays["backward"], strict=True))
    assert (backward["fixup"] == backward["fixup"][-1]).all()
    assert found.claims["Fixup's blocks begin as the identity"]
    assert found.claims["Equal weights make all units of a layer equal"]
    inputs = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)  # tanh of the mean, and so on
    means = np.tanh(inputs.mean(axis=1, dtype="float64"))
    np.testing.assert_allclose(forward["constant"][1], means.std(), rtol=1e-5)
    linear = studies.initialization(schemes=("lsuv",), activation="relu", width=128, samples=256)
    assert 0.5 < linear.arrays["forward"][0, -1] < 0.7  # ReLU of deviation 1: sqrt(1/2 - 1/(2 pi)) = 0.58


def test_seeds_and_files(tmp_path):
    first, again, other = (studies.initialization(schemes=("he",), width=16, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.arrays["forward"], again.arrays["forward"])
    assert (first.arrays["forward"] != other.arrays["forward"]).any()
    assert first.arrays["histograms"].sum(axis=2).tolist() == [[64 * 16] * 7]
    first.save(tmp_path / "studied")
    record = json.loads((tmp_path / "studied" / "study.json").read_text())
    assert record["settings"]["seed"] == 1 and record["study"] == "initialization" and "keras" in record["versions"]
    with np.load(tmp_path / "studied" / "arrays.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["forward"], first.arrays["forward"])
    assert (tmp_path / "studied" / "picture.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"activation": "gelu"}, "activation"), ({"schemes": ()}, "schemes"), ({"schemes": "he"}, "schemes"),
        ({"schemes": ("He",)}, "schemes"), ({"depth": 1}, "depth"), ({"width": 2.5}, "width"), ({"seed": -1}, "seed"),
        ({"samples": 1}, "samples"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        studies.initialization(**arguments)


def test_units_are_alike_but_for_rounding():
    random = np.random.default_rng(0)
    units = np.repeat(random.normal(size=(8, 1)), 50, axis=1)
    assert module._alike(units) and module._alike(units + 1e-5 * random.normal(size=units.shape))
    assert not module._alike(units + 0.01 * random.normal(size=units.shape))

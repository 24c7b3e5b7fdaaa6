"""Double descent of random features: what must hold exactly, and refusals."""

import numpy as np
import pytest

from kerascnn import studies
from kerascnn._errors import InputError


def test_the_peak_and_both_sides(tmp_path):
    found = studies.random_features(features=(10, 30, 50, 80, 90, 100, 110, 125, 200, 400, 800), samples=100, draws=5)
    train, test, ridge = (np.median(found.arrays[name], axis=0) for name in ("train", "test", "ridge"))
    assert list(found.claims.values()) == [True] * 4
    assert (train[5:] < 1e-10).all() and (np.diff(train[:6]) < 0).all()
    assert test[5] == test.max() > 10 * test[2] and test[-1] < test[:5].min()
    assert (found.arrays["ridge"] <= found.arrays["test"] * (1 + 1e-4)).all()  # a ridge of almost 0 is among them
    assert ridge.max() == ridge[0]
    found.draw(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_equals_least_squares():
    """The errors of `numpy.linalg.lstsq` on the same numbers, below and above as many features as points."""
    found = studies.random_features(samples=40, inputs=5, features=(7, 60), noise=0.3, draws=1, seed=3)
    for index, features in enumerate((7, 60)):
        random = np.random.default_rng((3, 0))
        teacher = random.standard_normal(5)
        x = random.standard_normal((540, 5))
        y = x @ (teacher / np.linalg.norm(teacher)) + 0.3 * random.standard_normal(540)
        hidden = np.maximum(x @ random.standard_normal((5, features)) / np.sqrt(5), 0)
        answer = np.linalg.lstsq(hidden[:40], y[:40], rcond=None)[0]
        errors = (hidden @ answer - y) ** 2
        np.testing.assert_allclose(found.arrays["train"][0, index], errors[:40].mean(), atol=1e-12)
        np.testing.assert_allclose(found.arrays["test"][0, index], errors[40:].mean(), rtol=1e-6)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"features": ()}, "features"), ({"features": (20, 10)}, "ascending"), ({"features": (0,)}, "features"),
        ({"features": "10"}, "features"), ({"samples": 1}, "samples"), ({"noise": -1}, "noise"),
        ({"draws": 0}, "draws"), ({"inputs": 0}, "inputs"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        studies.random_features(**arguments)

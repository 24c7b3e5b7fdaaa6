"""Codes, planes and what measures them, against NumPy by plain loops."""

import importlib.util

import keras
import numpy as np
import pytest
from PIL import Image

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError

L = keras.layers
needs_sklearn = pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs scikit-learn")


def vectors(count=40, length=6, seed=0):
    return np.random.default_rng(seed).normal(size=(count, length)) * np.arange(1, length + 1)


def clusters(each=30, seed=0):
    rng = np.random.default_rng(seed)
    centers = 12 * np.eye(3, 8)
    labels = np.repeat(np.arange(3), each)
    return centers[labels] + rng.normal(size=(3 * each, 8)), labels


def test_codes_are_what_the_classifier_is_given():
    model = kerascnn.create_model("lenet5")
    x = np.random.default_rng(0).normal(size=(5, 32, 32, 1)).astype("float32")
    found = explain.codes(model, x, batch_size=2)
    head = [layer for layer in model.layers if layer.weights][-1]
    before = keras.Model(model.inputs[0], head.input)
    np.testing.assert_allclose(found.values, before(x), atol=1e-5)
    maps = explain.activations(model, x, "c3").maps
    np.testing.assert_allclose(explain.codes(model, x, "c3").values, maps.mean((1, 2)), atol=1e-5)


def test_principal_components():
    x = vectors()
    points, shares = explain.pca(x, 6)
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[::-1]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), values)
    np.testing.assert_allclose(shares, values / values.sum())
    between, same = (np.linalg.norm(y[:, None] - y[None], axis=-1) for y in (x, points))
    np.testing.assert_allclose(same, between, atol=1e-9)  # all components leave distances unchanged
    order = np.random.default_rng(1).permutation(len(x))
    np.testing.assert_allclose(explain.pca(x[order], 2)[0], points[order, :2], atol=1e-9)


def test_purity_and_trustworthiness_by_plain_loops():
    x, labels = clusters(8)
    y = vectors(24, 2, seed=3)
    distances = [np.linalg.norm(z[:, None] - z[None], axis=-1) + np.diag([-1.0] * 24) for z in (x, y)]
    orders = [np.argsort(d, axis=1)[:, 1:] for d in distances]
    same = np.mean([labels[i] == labels[j] for i in range(24) for j in orders[0][i, :5]])
    assert explain.purity(x, labels, 5) == pytest.approx(same)
    late = sum(max(0, 1 + int(np.flatnonzero(orders[0][i] == j)[0]) - 5) for i in range(24) for j in orders[1][i, :5])
    assert explain.trustworthiness(x, y, 5) == pytest.approx(1 - 2 * late / (24 * 5 * (48 - 15 - 1)))
    assert explain.trustworthiness(x, x, 5) == 1


@needs_sklearn
@pytest.mark.after
def test_clusters_stay_together_on_the_plane():
    x, labels = clusters()
    found = explain.plane(x, perplexity=10)
    assert explain.purity(found.points, labels) > 0.95
    noise = np.random.default_rng(0).normal(size=(90, 2))
    assert explain.trustworthiness(x, found.points) > explain.trustworthiness(x, noise) + 0.2
    from sklearn.manifold import trustworthiness

    ours = explain.trustworthiness(x, found.points, 7)
    assert ours == pytest.approx(trustworthiness(x, found.points, n_neighbors=7))


def test_the_picture(tmp_path):
    model = kerascnn.create_model("lenet5")
    x = np.random.default_rng(0).normal(size=(12, 32, 32, 1)).astype("float32")
    found = explain.plane(explain.codes(model, x), "pca")
    explain.draw_plane(found, model, x, tmp_path / "a.png", labels=list("abcabcabcabc"))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
    for change, match in (
        ({"images": x[:3]}, "one a point"), ({"labels": [1]}, "labels must be"), ({"found": None}, "what plane"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=match):
            explain.draw_plane(**{"found": found, "model": model, "images": x, "path": tmp_path / "b.png", **change})


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: explain.pca(vectors(), 7), "components must"), (lambda: explain.pca([1, 2]), "vectors"),
        (lambda: explain.pca(vectors() * np.nan), "finite vectors"), 
        (lambda: explain.plane(vectors(), "umap"), "method must"),
        (lambda: explain.plane(vectors(), perplexity=13), "perplexity must"),
        (lambda: explain.purity(vectors(), [0, 1]), "labels must"),
        (lambda: explain.purity(vectors(), np.zeros(40), 40), "neighbors must"),
        (lambda: explain.trustworthiness(vectors(), vectors(9)), "points must"),
        (lambda: explain.codes(kerascnn.create_model("lenet5"), np.zeros((2, 32, 32, 1)), "absent"), "layer must"),
    ],
)  # fmt: skip
def test_refusals(call, match):
    with pytest.raises(InputError, match=match):
        call()

"""Codes: what a layer gives for each image as one vector, and how well neighbors among them belong together."""

import dataclasses
import importlib.util
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.inner import asked, batches, opened, probe
from kerascnn.surgery.cut import input_in

_ROWS = 256  # of distances at a time


@dataclasses.dataclass(frozen=True)
class Codes:
    """A vector for each image."""

    values: np.ndarray  # float32 [n, length]
    layer: str  # what gave them


@dataclasses.dataclass(frozen=True)
class Plane:
    """Points of a plane, one an image."""

    points: np.ndarray  # float64 [n, 2]
    method: str  # "pca" or "tsne"
    told: str  # how much of the codes is in it, in words


def codes(model: keras.Model, images: Any, layer: str | None = None, *, batch_size: int = 32) -> Codes:
    """What a layer gives for each image, maps averaged over their positions.

    Args:
        model: a functional or built sequential model of one image [n, height, width, channels].
        images: an array, preprocessed as the model takes it; or a stream of batches, see `activation_statistics`.
        layer: name of a layer; None: what the last layer with weights is given, the vector before the classifier, so
            neither logits nor probabilities.
        batch_size: images of an array at a time.

    Returns:
        A `Codes`.

    Raises:
        InputError: an argument cannot be used.

    Example:

        model = kerascnn.create_model("lenet5")
        kerascnn.explain.codes(model, images).values.shape  # (n, 84)
    """
    if layer is None:
        network, layers = opened(model)
        heads = [x for x in layers.values() if getattr(x, "weights", None)]
        if not heads:
            raise InputError(f"layer must be named where no layer has weights. Received: {model.name}")
        before = input_in(network, heads[-1])._keras_history.operation
        network = keras.Model(network.inputs[0], [input_in(network, heads[-1])])
        name = before.name
    else:
        network, name = probe(model, [layer]), layer
    parts = [asked(network, batch)[0] for batch in batches(network, images, batch_size)]
    values = np.concatenate([part.reshape(len(part), -1, part.shape[-1]).mean(axis=1) for part in parts])
    return Codes(values, name)


def pca(values: npt.ArrayLike, components: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of vectors. With all of them distances are unchanged.

    Args:
        values: at least two finite vectors.
        components: at most as many as vectors, and as long as they are.

    Returns:
        Coordinates, float64 [n, components], and each one's part of the variance. The largest weight of each direction
        is positive.

    Raises:
        InputError: an argument cannot be used.
    """
    x = _vectors(values)
    components = _check.whole("components", components, 1, min(x.shape))
    centered = x - x.mean(axis=0)
    left, sizes, right = np.linalg.svd(centered, full_matrices=False)
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    total = float((sizes**2).sum())
    shares = sizes**2 / total if total else np.zeros_like(sizes)
    return (left * sizes * signs)[:, :components], shares[:components]


def plane(values: npt.ArrayLike, method: str = "tsne", *, perplexity: float = 30.0, seed: int = 0) -> Plane:
    """Vectors as points of a plane.

    "tsne" keeps neighbors together: van der Maaten, Hinton: Visualizing data using t-SNE, JMLR 9, 2008, by scikit-learn
    on the first 50 principal components, beginning at the first two. Distances between its clusters and their sizes
    mean nothing. "pca" is the plane of the two first principal components.

    Args:
        values: finite vectors [n, length].
        method: "tsne" or "pca".
        perplexity: about how many neighbors each point has; below a third of n - 1.
        seed: of "tsne".

    Returns:
        A `Plane`.

    Raises:
        InputError: an argument cannot be used, or scikit-learn is not installed: pip install 'kerascnn[explain]'.
    """
    x = _vectors(values)
    method = _check.one_of("method", method, ("tsne", "pca"))
    if min(x.shape) < 2:
        raise InputError(f"A plane needs two vectors of two numbers. Received: shape {x.shape}")
    first, shares = pca(x, 2)
    if method == "pca":
        return Plane(first, "pca", f"{shares[0]:.0%} and {shares[1]:.0%} of the variance")
    perplexity = _check.real("perplexity", perplexity, 1.0, (len(x) - 1) / 3, below=True)
    seed = _check.whole("seed", seed, 0, 2**31 - 1)
    if importlib.util.find_spec("sklearn") is None:
        raise InputError("scikit-learn must be installed: pip install 'kerascnn[explain]'. Received: method=tsne")
    from sklearn.manifold import TSNE  # pyright: ignore[reportMissingImports]: an extra

    reduced = pca(x, min(50, *x.shape))[0]
    start = 1e-4 * first / (first[:, 0].std() or 1.0)
    found = TSNE(perplexity=perplexity, init=start, random_state=seed, learning_rate="auto").fit(reduced)
    return Plane(np.asarray(found.embedding_, "float64"), "tsne", f"perplexity {perplexity:g}")


def purity(values: npt.ArrayLike, labels: npt.ArrayLike, neighbors: int = 10) -> float:
    """The part of the nearest neighbors of a vector, Euclidean, that have its label, on average.

    Args:
        values: finite vectors [n, length].
        labels: classes [n].
        neighbors: of each vector, itself left out.

    Returns:
        The part, from 0 to 1.

    Raises:
        InputError: an argument cannot be used.
    """
    x, labels = _vectors(values), np.asarray(labels)
    if labels.shape != (len(x),):
        raise InputError(f"labels must be one a vector, [{len(x)}]. Received: shape {labels.shape}")
    neighbors = _check.whole("neighbors", neighbors, 1, len(x) - 1)
    return float((labels[_nearest(x)[:, :neighbors]] == labels[:, None]).mean())


def trustworthiness(values: npt.ArrayLike, points: npt.ArrayLike, neighbors: int = 10) -> float:
    """Whether neighbors on a plane were neighbors before: 1 where all were, by their ranks.

    Source: Venna, Kaski: Neighborhood preservation in nonlinear projection methods, 2001,
    doi.org/10.1007/3-540-44668-0_68.

    Args:
        values: the vectors, [n, length].
        points: what was made of them, [n, 2].
        neighbors: of each point, less than half of n.

    Returns:
        At most 1.

    Raises:
        InputError: an argument cannot be used.
    """
    x, y = _vectors(values), _vectors(points)
    if len(x) != len(y):
        raise InputError(f"points must be one a vector, {len(x)}. Received: {len(y)}")
    count = len(x)
    neighbors = _check.whole("neighbors", neighbors, 1, (count - 1) // 2)
    order = _nearest(x)
    ranks = np.empty((count, count), "int64")
    np.put_along_axis(ranks, order, np.arange(1, count)[None].repeat(count, 0), axis=1)
    on_plane = _nearest(y)[:, :neighbors]
    late = np.maximum(np.take_along_axis(ranks, on_plane, axis=1) - neighbors, 0).sum()
    return float(1 - 2 * late / (count * neighbors * (2 * count - 3 * neighbors - 1)))


def _nearest(x: np.ndarray) -> np.ndarray:
    """The other vectors from the nearest to the farthest, int64 [n, n - 1]; equal ones by number."""
    squares, found = (x**2).sum(axis=1), []
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = squares[rows, None] + squares - 2 * x[rows] @ x.T
        distances[np.arange(len(distances)), np.arange(start, start + len(distances))] = -np.inf
        found.append(np.argsort(distances, axis=1, kind="stable")[:, 1:])
    return np.concatenate(found)


def _vectors(values) -> np.ndarray:
    x = np.asarray(values.values if isinstance(values, Codes) else values, "float64")
    if x.ndim != 2 or len(x) < 2 or not x.shape[1] or not np.isfinite(x).all():
        raise InputError(f"values must be finite vectors [n, length], at least two. Received: shape {x.shape}")
    return x

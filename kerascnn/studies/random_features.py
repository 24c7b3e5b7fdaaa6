"""Double descent where it can be computed exactly: least squares on random ReLU features."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn.studies.study import Study
from kerascnn.studies.trials import ascending

FEATURES = (10, 20, 50, 100, 150, 180, 190, 200, 210, 220, 250, 300, 400, 600, 1000)
_RIDGES = np.logspace(-6, 4, 41)
_TEST = 500  # points


def random_features(
    *,
    samples: int = 200,
    inputs: int = 30,
    features: Sequence[int] = FEATURES,
    noise: float = 0.5,
    draws: int = 4,
    seed: int = 0,
) -> Study:
    """Fits the last layer of a two-layer network whose first is random, by the smallest solution of least squares.

    y = <b, x> + noise, x ~ N(0, I), |b| = 1; features relu(W x), W ~ N(0, 1 / inputs). Where there are as many features
    as samples the fit goes through all points and its norm, and with it the test error, is largest; with more of them
    it falls again, below the first minimum. A ridge penalty that is chosen for each number of features (on test
    points, as the best that it can do) has no such peak.

    Args:
        samples: training points.
        inputs: dimensions of x.
        features: numbers of random features, ascending.
        noise: the standard deviation of what is added to training and test targets.
        draws: of data and features; medians are told.
        seed: of the first draw.

    Returns:
        A `Study` with `features`, and `train`, `test`, `ridge` float64 [draws, features]: mean squared errors of the
        smallest solution on both parts, and of the best ridge on the test part.

    Raises:
        InputError: an argument is out of range.

    Source: Belkin, Hsu, Ma, Mandal 2019, arXiv:1812.11118; the ridge: Nakkiran, Venkat, Kakade, Ma 2021,
    arXiv:2003.01897.

    Example:

        found = kerascnn.studies.random_features(features=(50, 100, 200, 400))
        print(found.claims)
    """
    samples, inputs = _check.whole("samples", samples, 2, 10_000), _check.whole("inputs", inputs, 1, 10_000)
    noise, draws = _check.real("noise", noise, 0.0, 1e6), _check.whole("draws", draws, 1, 1000)
    seed = _check.whole("seed", seed, 0, 2**31 - 1)
    counts = ascending("features", features, lambda count: _check.whole("features", count, 1, 100_000))
    start = time.perf_counter()
    found = [[_errors(samples, inputs, count, noise, (seed, draw)) for count in counts] for draw in range(draws)]
    train, test, ridge = np.moveaxis(np.array(found), 2, 0)
    arrays = {"features": np.array(counts), "train": train, "test": test, "ridge": ridge}
    settings = {"samples": samples, "inputs": inputs, "features": counts, "noise": noise, "draws": draws, "seed": seed}
    claims = _claims(samples, arrays)
    return Study("random_features", settings, arrays, claims, time.perf_counter() - start, _plot)


def _errors(samples: int, inputs: int, features: int, noise: float, seed: tuple[int, int]) -> tuple[float, ...]:
    """Training and test error of the smallest solution, and the test error of the best ridge."""
    random = np.random.default_rng(seed)
    teacher = random.standard_normal(inputs)
    teacher /= np.linalg.norm(teacher)
    x = random.standard_normal((samples + _TEST, inputs))
    y = x @ teacher + noise * random.standard_normal(len(x))
    hidden = np.maximum(x @ random.standard_normal((inputs, features)) / np.sqrt(inputs), 0)
    # By singular values: normal equations would square the condition number, which is what the peak is about.
    u, s, v = np.linalg.svd(hidden[:samples], full_matrices=False)
    kept = s > s[0] * max(samples, features) * np.finfo(float).eps
    projected, test = u.T @ y[:samples], hidden[samples:] @ v.T
    smallest = np.where(kept, 1 / np.where(kept, s, 1), 0) * projected
    train_error = np.mean((u @ (s * smallest) - y[:samples]) ** 2)
    shrunk = (s / (s**2 + _RIDGES[:, None])) * projected  # [ridges, rank]
    ridge = np.mean((test @ shrunk.T - y[samples:, None]) ** 2, axis=0).min()
    return train_error, np.mean((test @ smallest - y[samples:]) ** 2), ridge


def _claims(samples: int, arrays: dict[str, np.ndarray]) -> dict[str, bool]:
    features, train, test, ridge = (
        np.median(arrays[name], axis=0) if name != "features" else arrays[name]
        for name in ("features", "train", "test", "ridge")
    )
    claims = {}
    if (features >= samples).any():
        claims["The fit goes through all points from as many features as samples on"] = bool(
            (train[features >= samples] < 1e-10).all()
        )
    if (features < samples).any() and (features > samples).any():
        peak, last = int(features[np.argmax(test)]), test[-1]
        claims["The test error is largest where there are as many features as samples"] = (
            abs(peak - samples) <= 0.05 * samples
        )
        claims["Beyond the peak it falls below the minimum before it"] = bool(last < test[features < samples].min())
        around, below = np.abs(features / samples - 1) <= 0.1, features < 0.9 * samples
        if around.any() and below.any():
            claims["The best ridge has no peak"] = bool(ridge[around].max() < 1.2 * ridge[below].min())
    return claims


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), dpi=100, layout="constrained")
    axes = figure.subplots()
    looks = {"test": ("#440154", "-"), "train": ("#21918c", "--"), "ridge": ("#c2820a", "-.")}
    labels = {"test": "test, smallest solution", "train": "training, smallest solution", "ridge": "test, best ridge"}
    for name, (color, line) in looks.items():
        values = np.maximum(study.arrays[name], 1e-4)
        axes.plot(
            study.arrays["features"], np.median(values, axis=0), line, color=color, marker=".", label=labels[name]
        )
        axes.fill_between(study.arrays["features"], values.min(axis=0), values.max(axis=0), color=color, alpha=0.15)
    axes.axvline(study.settings["samples"], color="0.5", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="random features; the line: as many as training points",
             ylabel="mean squared error, median and range")  # fmt: skip
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    told = "{samples} points of {inputs} dimensions, noise {noise:g}, {draws} draws".format(**study.settings)
    axes.set_title(f"Double descent of random ReLU features: {told}")
    return figure

"""Activations and gradients by depth at the start of training, under several initial weights."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.studies.study import Study

_MARKERS = "osv^DPX*"  # of schemes in the picture
SCHEMES = ("constant", "0.01", "0.05", "xavier", "he", "orthogonal", "lsuv", "fixup")
ACTIVATIONS = ("tanh", "relu")
_BINS = 60
_TRIES = 10  # of LSUV, until the variance is within 0.02 of 1


def initialization(
    *,
    activation: str = "relu",
    schemes: Sequence[str] = SCHEMES,
    depth: int = 6,
    width: int = 1024,
    samples: int = 64,
    seed: int = 0,
) -> Study:
    """Sends standard normal inputs through dense layers without biases, and a normal gradient back.

    x_l = f(W_l x_{l-1}), x_0 ~ N(0, 1); backward, g_{l-1} = W_l^T (g_l f'(W_l x_{l-1})), g_depth ~ N(0, 1). The weights
    are "constant" (1 / width), normal of deviation 0.01 or 0.05, "xavier" (1 / fan-in), "he" (2 / fan-in), "orthogonal"
    (with gain sqrt(2) for ReLU), "lsuv" (orthogonal, then each layer divided by the deviation of what it gives) and
    "fixup": x_l = x_{l-1} + W_2 f(W_1 x_{l-1}), whose W_2 is 0 and whose W_1 is He's times depth^(-1/2).

    Args:
        activation: "tanh" or "relu".
        schemes: some of `SCHEMES`.
        depth: layers, at least 2; of "fixup" blocks of two.
        width: units of each layer.
        samples: inputs.
        seed: of inputs, weights and gradients.

    Returns:
        A `Study` with `forward` and `backward`, float64 [schemes, depth + 1]: the standard deviations at each depth
        (0 is the input), `zeros` [schemes, depth + 1]: the part of activations that is 0, and `histograms` [schemes,
        depth + 1, 60] with their `edges` [schemes, depth + 1, 61].

    Raises:
        InputError: an argument is out of range.

    Source: Glorot, Bengio 2010; He, Zhang, Ren, Sun 2015, arXiv:1502.01852; Saxe, McClelland, Ganguli 2013,
    arXiv:1312.6120; Mishkin, Matas 2015, arXiv:1511.06422; Zhang, Dauphin, Ma 2019, arXiv:1901.09321.

    Example:

        found = kerascnn.studies.initialization(activation="tanh")
        found.draw("initialization.png")
    """
    _check.one_of("activation", activation, ACTIVATIONS)
    if not isinstance(schemes, Sequence) or isinstance(schemes, str) or not schemes:
        raise InputError(f"schemes must be some of {', '.join(SCHEMES)}. Received: {schemes!r}")
    for scheme in schemes:
        _check.one_of("schemes", scheme, SCHEMES)
    depth, width = _check.whole("depth", depth, 2, 1000), _check.whole("width", width, 2, 2**15)
    samples, seed = _check.whole("samples", samples, 2, 2**20), _check.whole("seed", seed, 0, 2**31 - 1)
    start = time.perf_counter()
    found = [_Run(scheme, activation, depth, width, samples, seed) for scheme in schemes]
    arrays = {
        name: np.array([getattr(run, name) for run in found])
        for name in ("forward", "backward", "zeros", "histograms", "edges")
    }
    settings = {"activation": activation, "schemes": list(schemes), "depth": depth, "width": width,
                "samples": samples, "seed": seed}  # fmt: skip
    claims = _claims(dict(zip(schemes, found, strict=True)), activation)
    return Study("initialization", settings, arrays, claims, time.perf_counter() - start, _plot)


class _Run:
    """One scheme: its statistics at each depth."""

    def __init__(self, scheme: str, activation: str, depth: int, width: int, samples: int, seed: int):
        random = np.random.default_rng(seed)
        x = random.standard_normal((samples, width), dtype=np.float32)
        self.forward, self.zeros, self.histograms, self.edges = [], [], [], []
        self._see(x)
        back = []
        for _ in range(depth):
            if scheme == "fixup":
                first = _normal(random, width, np.sqrt(2 / width) * depth**-0.5)
                inner = x @ first
                second = np.zeros((width, width), np.float32)
                x = x + _f(inner, activation) @ second
                back.append(lambda g, w=first, v=second, z=inner: g + (g @ v.T * _slope(z, activation)) @ w.T)
            else:
                weights = _weights(scheme, random, x, activation)
                inner = x @ weights
                x = _f(inner, activation)
                back.append(lambda g, w=weights, z=inner: (g * _slope(z, activation)) @ w.T)
            self._see(x)
        self.alike = _alike(x)
        gradient = random.standard_normal(x.shape, dtype=np.float32)
        self.backward = [float(gradient.std(dtype="float64"))]
        for step in reversed(back):
            gradient = step(gradient)
            self.backward.insert(0, float(gradient.std(dtype="float64")))

    def _see(self, x: np.ndarray) -> None:
        counts, edges = np.histogram(x.astype("float64"), _BINS)
        self.forward.append(float(x.std(dtype="float64")))
        self.zeros.append(float((x == 0).mean()))
        self.histograms.append(counts)
        self.edges.append(edges)


def _f(x, activation):
    return np.tanh(x) if activation == "tanh" else np.maximum(x, 0)


def _slope(x, activation):
    return 1 - np.tanh(x) ** 2 if activation == "tanh" else (x > 0).astype(np.float32)


def _normal(random, width, deviation):
    return random.standard_normal((width, width), dtype=np.float32) * np.float32(deviation)


def _weights(scheme: str, random, x: np.ndarray, activation: str) -> np.ndarray:
    width = x.shape[1]
    if scheme == "constant":
        return np.full((width, width), 1 / width, np.float32)
    if scheme in ("orthogonal", "lsuv"):
        q, r = np.linalg.qr(_normal(random, width, 1))
        weights = q * np.sign(np.diag(r))  # so that all orthogonal matrices are equally probable
        if scheme == "orthogonal":
            return weights * np.float32(np.sqrt(2) if activation == "relu" else 1)
        for _ in range(_TRIES):
            variance = float((x @ weights).var(dtype="float64"))
            if abs(variance - 1) <= 0.02 or not variance:
                break
            weights = weights / np.float32(np.sqrt(variance))
        return weights
    deviation = {"xavier": np.sqrt(1 / width), "he": np.sqrt(2 / width)}.get(scheme)
    return _normal(random, width, float(scheme) if deviation is None else deviation)


def _alike(x: np.ndarray) -> bool:
    """Whether all units give the same, [inputs, units], but for rounding: sums that cancel lose digits, and libraries
    add the columns of a product in several orders. Units that differ do so by their own size."""
    return bool(np.ptp(x, axis=1).max() <= 1e-3 * np.abs(x).max())


def _claims(found: dict[str, _Run], activation: str) -> dict[str, bool]:
    """What the papers say, where the schemes are among those that were asked for."""

    def kept(values):  # from the first layer on, as the input has no activation behind it
        return 0.5 < values[-1] / values[1] < 2

    claims = {}
    if activation == "relu" and "he" in found:
        claims["He's weights keep the deviation of ReLU activations within a factor of 2"] = kept(found["he"].forward)
        claims["He's weights keep the deviation of gradients within a factor of 2"] = 0.5 < found["he"].backward[0] < 2
    if activation == "relu" and "xavier" in found:
        halved = np.diff(np.log2(found["xavier"].forward[1:]))
        claims["Xavier's lose a factor of sqrt(2) at each ReLU"] = bool(np.all(np.abs(halved + 0.5) < 0.1))
    if "0.01" in found:
        claims["A deviation of 0.01 lets activations fade"] = found["0.01"].forward[-1] < found["0.01"].forward[1] / 2
    if "lsuv" in found:
        claims["LSUV keeps the deviation at all depths within a factor of 2"] = kept(found["lsuv"].forward)
    if "constant" in found:
        claims["Equal weights make all units of a layer equal"] = found["constant"].alike
    if "fixup" in found:
        run = found["fixup"]
        claims["Fixup's blocks begin as the identity"] = run.forward[-1] == run.forward[0]
    return claims


def _plot(study: Study) -> Any:
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    schemes, depth = study.settings["schemes"], study.settings["depth"]
    figure = Figure(figsize=(10, 2.6 + 1.1 * len(schemes)), dpi=100, layout="constrained")
    grid = figure.add_gridspec(len(schemes) + 2, depth + 1)
    colors = colormaps["viridis"](np.linspace(0, 0.9, len(schemes)))
    left, right = figure.add_subplot(grid[:2, : (depth + 1) // 2]), figure.add_subplot(grid[:2, (depth + 1) // 2 :])
    for axes, name, title in ((left, "forward", "activations"), (right, "backward", "gradients")):
        for number, (scheme, values) in enumerate(zip(schemes, study.arrays[name], strict=True)):
            look = {"color": colors[number], "marker": _MARKERS[number % len(_MARKERS)], "markersize": 5}
            axes.plot(np.maximum(values, 1e-12), **look, label=scheme)
        axes.set_yscale("log")
        axes.set_title(f"standard deviation of {title} by depth", fontsize=9)
        axes.grid(alpha=0.3)
    right.legend(fontsize=7, ncols=2)
    for row, (scheme, color) in enumerate(zip(schemes, colors, strict=True)):
        for layer in range(depth + 1):
            axes = figure.add_subplot(grid[row + 2, layer])
            edges = study.arrays["edges"][row, layer]
            axes.stairs(study.arrays["histograms"][row, layer], edges, fill=True, color=color)
            axes.set_yticks([])
            axes.set_yscale("symlog")
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.tick_params(labelsize=6)
            axes.set_title(f"{scheme}, layer {layer}" if layer else f"{scheme}, input", fontsize=7)
    figure.suptitle(f"{study.settings['activation']}: activations at the start, width {study.settings['width']}")
    return figure

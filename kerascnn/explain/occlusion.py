"""Occlusion: how much the score of a class falls when a window of the image is covered."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.explain.explanation import Explanation, Network, Target, ask, color, score


def occlusion(
    model: Network,
    images: npt.ArrayLike,
    target: Target = None,
    *,
    layer: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    value: float | Sequence[float] = 0.0,
    batch_size: int = 32,
) -> Explanation:
    """Covers a window of the image, everywhere in turn, and tells by how much the class score falls.

    A pixel counts the mean fall over the windows that cover it; negative where the score rises. Windows at the right
    and lower border are cut where the image ends, so that every pixel is covered.

    Source: Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2013, arXiv:1311.2901, section 4.2.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one.
        images: a batch, preprocessed as the model takes it.
        target: a class, by number or by name, for all images, or one for each; None: that with the highest score; or a
            function of the outputs, see `ask`.
        layer: must be None: it is the image that is covered.
        window: side of the square in pixels; None: a quarter of the image's shorter side.
        stride: pixels between windows; None: half of the window.
        value: what covers, after preprocessing, one number or one a channel: 0 is the mean color where the mean was
            subtracted.
        batch_size: images at a time.

    Returns:
        An `Explanation`; `raw` is the fall for each window, [n, rows, columns].

    Raises:
        InputError: an argument cannot be used, or what the model's outputs are cannot be told.
    """
    if layer is not None:
        raise _check.refuse("layer", "None for occlusion, which covers the image", layer)
    batch_size = _check.whole("batch_size", batch_size, 1)
    question = ask(model, images, target, batch_size=batch_size)
    count, height, width, channels = question.images.shape
    if window is None:
        window = max(1, min(height, width) // 4)
    window = _check.whole("window", window, 1, max(height, width))
    stride = _check.whole("stride", max(1, window // 2) if stride is None else stride, 1, window)
    cover = color(value, channels)
    rows, columns = _starts(height, window, stride), _starts(width, window, stride)
    raw = np.zeros((count, len(rows), len(columns)), "float32")
    places = [(i, r, c) for i in range(count) for r in range(len(rows)) for c in range(len(columns))]
    for start in range(0, len(places), batch_size):
        part = places[start : start + batch_size]
        covered = question.images[[i for i, _, _ in part]]
        for image, (_, r, c) in zip(covered, part, strict=True):
            image[rows[r] : rows[r] + window, columns[c] : columns[c] + window] = cover
        which = [i for i, _, _ in part]
        scores, _ = question.prepared.run(score, question.model, covered, question.wanted(which))
        for left, (i, r, c) in zip(scores, part, strict=True):
            raw[i, r, c] = question.scores[i] - left
    maps = _spread(raw, rows, columns, window, (height, width))
    options = {"window": window, "stride": stride, "value": cover.tolist()}
    return Explanation(maps, raw, None, question.target, question.scores, "occlusion", options)


def _starts(size: int, window: int, stride: int) -> list[int]:
    """First pixels of the windows: the last of them reaches the border or beyond."""
    starts = [0]
    while starts[-1] + window < size:
        starts.append(starts[-1] + stride)
    return starts


def _spread(raw, rows, columns, window: int, size: tuple[int, int]) -> np.ndarray:
    total = np.zeros((len(raw), *size), "float64")
    covered = np.zeros(size)
    for r, top in enumerate(rows):
        for c, left in enumerate(columns):
            total[:, top : top + window, left : left + window] += raw[:, r, c, None, None]
            covered[top : top + window, left : left + window] += 1
    return (total / covered).astype("float32")

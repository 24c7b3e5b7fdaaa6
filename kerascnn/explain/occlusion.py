"""Occlusion: how much the score of a class falls when a window of the image is covered."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.explain.explanation import Explanation, Network, Question, Target, ask, chosen, color, score
from kerascnn.explain.regions import Regions
from kerascnn.surgery.graph import walk


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
    and lower border are cut where the image ends, so that every pixel is covered. Layers that see a part of the image
    compute only what a window changes.

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
    tops, lefts = (x.ravel() for x in np.meshgrid(rows, columns, indexing="ij"))
    raw = np.zeros((count, len(tops)), "float32")
    regions = _regions(question, tops, lefts, window)
    for number, image in enumerate(question.images):
        base = regions.base(image) if regions else None
        for start in range(0, len(tops), batch_size):
            which = np.arange(start, min(start + batch_size, len(tops)))
            covered = np.repeat(image[None], len(which), axis=0)
            for one, top, left in zip(covered, tops[which], lefts[which], strict=True):
                one[top : top + window, left : left + window] = cover
            wanted = question.wanted([number] * len(which))
            if regions:
                scores = chosen(regions.outputs(base, covered, which), wanted)[0].numpy()
            else:
                scores, _ = question.prepared.run(score, question.prepared.folded, covered, wanted)
            raw[number, which] = question.scores[number] - scores
    raw = raw.reshape(count, len(rows), len(columns))
    maps = _spread(raw, rows, columns, window, (height, width))
    options = {"window": window, "stride": stride, "value": cover.tolist()}
    return Explanation(maps, raw, None, question.target, question.scores, "occlusion", options)


def _regions(question: Question, tops: np.ndarray, lefts: np.ndarray, window: int) -> Regions | None:
    """How to compute only what a window changes; None where that spares nothing, or where the graph cannot be told."""
    shape = question.images.shape[1:]

    def make():
        graph = walk(question.prepared.folded, shape)
        if not all(call.arguments for call in graph.calls):
            return None
        regions = Regions(graph, tops, lefts, window)
        return regions if regions.saves else None

    return question.prepared.once(("regions", shape, window, tuple(tops), tuple(lefts)), make)


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

"""Integrated gradients: what each pixel adds to the score on the way from a baseline to the image."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.explain.derivatives import copies, gradient
from kerascnn.explain.explanation import Explanation, Network, Target, ask, color, score


def integrated_gradients(
    model: Network,
    images: npt.ArrayLike,
    target: Target = None,
    *,
    layer: str | None = None,
    steps: int = 50,
    value: float | Sequence[float] = 0.0,
    batch_size: int = 32,
) -> Explanation:
    """Divides the difference of a class score between the image and a baseline among the pixels.

    (x - x') times the integral of the gradient along the straight line from the baseline x' to the image x, by
    Gauss-Legendre quadrature. The map is the sum over the channels: its own sum is S(x) - S(x') but for the error of
    the quadrature, which `options["gap"]` tells for each image.

    Source: Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017, arXiv:1703.01365, equation 1.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one.
        images: a batch, preprocessed as the model takes it.
        target: a class, by number or by name, for all images, or one for each; None: that with the highest score; or a
            function of the outputs, see `ask`.
        layer: must be None: the line is one of images.
        steps: points on the line.
        value: the baseline, after preprocessing, one number or one a channel: 0 is the mean color where the mean was
            subtracted.
        batch_size: points at a time.

    Returns:
        An `Explanation`; `raw` is what each value adds, [n, height, width, channels].

    Raises:
        InputError: an argument cannot be used, or what the model's outputs are cannot be told.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.integrated_gradients(model, images)  # found.maps: [n, 32, 32]
    """
    if layer is not None:
        raise _check.refuse("layer", "None for integrated_gradients, whose line is one of images", layer)
    steps, batch_size = _check.whole("steps", steps, 1), _check.whole("batch_size", batch_size, 1)
    question = ask(model, images, target, batch_size=batch_size)
    start = color(value, question.images.shape[3])
    base = np.broadcast_to(start, question.images.shape)
    way = question.images - base
    places, shares = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    total = np.zeros(question.images.shape, "float64")
    for image, copy in copies(question, steps, batch_size):
        at = (0.5 + 0.5 * places[copy])[:, None, None, None]
        points = (base[image] + at * way[image]).astype("float32")
        (found,) = question.prepared.run(gradient, question.prepared.folded, points, question.wanted(image))
        np.add.at(total, image, found * (0.5 * shares[copy])[:, None, None, None])
    raw = way * total
    parts = [slice(first, first + batch_size) for first in range(0, len(base), batch_size)]
    asked = question.prepared
    before = np.concatenate([asked.run(score, asked.folded, base[part], question.wanted(part))[0] for part in parts])
    gap = raw.sum(axis=(1, 2, 3)) - (question.scores.astype("float64") - before)
    options = {"steps": steps, "value": start.tolist(), "gap": gap.tolist()}
    maps, raw = raw.sum(axis=-1).astype("float32"), raw.astype("float32")
    return Explanation(maps, raw, None, question.target, question.scores, "integrated_gradients", options)

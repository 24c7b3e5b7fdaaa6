"""SmoothGrad: the data gradient, averaged over noisy copies of the image."""

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.explain.derivatives import copies, gradient
from kerascnn.explain.explanation import Explanation, Network, Target, ask


def smoothgrad(
    model: Network,
    images: npt.ArrayLike,
    target: Target = None,
    *,
    layer: str | None = None,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    batch_size: int = 32,
) -> Explanation:
    """The mean gradient of a class score over copies of the image with normal noise.

    The map is the largest absolute value of the mean over the channels, as of `gradients`. (The authors' code averages
    squares unless it is told not to; the paper's equation is what is here.)

    Source: Smilkov, Thorat, Kim, Viégas, Wattenberg: SmoothGrad, 2017, arXiv:1706.03825, section 3.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one.
        images: a batch, preprocessed as the model takes it.
        target: a class, by number or by name, for all images, or one for each; None: that with the highest score; or a
            function of the outputs, see `ask`.
        layer: must be None: the noise is the image's.
        samples: noisy copies of each image.
        noise: standard deviation, as a part of the range from an image's least value to its largest.
        seed: of the noise, which is the same for all images, whatever the batch.
        batch_size: copies at a time.

    Returns:
        An `Explanation`; `raw` is the mean gradient, [n, height, width, channels].

    Raises:
        InputError: an argument cannot be used, or what the model's outputs are cannot be told.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.smoothgrad(model, images, samples=25)  # found.maps: [n, 32, 32]
    """
    if layer is not None:
        raise _check.refuse("layer", "None for smoothgrad, whose noise is the image's", layer)
    samples, batch_size = _check.whole("samples", samples, 1), _check.whole("batch_size", batch_size, 1)
    noise, seed = _check.real("noise", noise, 0.0), _check.whole("seed", seed, 0)
    question = ask(model, images, target, batch_size=batch_size)
    deviation = noise * np.ptp(question.images, axis=(1, 2, 3), keepdims=True)
    total = np.zeros(question.images.shape, "float64")
    for image, copy in copies(question, samples, batch_size):
        drawn = [np.random.default_rng((seed, number)).standard_normal(total.shape[1:]) for number in copy]
        noisy = question.images[image] + deviation[image] * np.stack(drawn).astype("float32")
        (found,) = question.prepared.run(gradient, question.prepared.folded, noisy, question.wanted(image))
        np.add.at(total, image, found)
    raw = (total / samples).astype("float32")
    options = {"samples": samples, "noise": noise, "seed": seed}
    return Explanation(np.abs(raw).max(axis=-1), raw, None, question.target, question.scores, "smoothgrad", options)

"""The data gradient: how much the score of a class changes with each pixel."""

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.explain.derivatives import enlarged, slopes
from kerascnn.explain.explanation import Explanation, Target, ask, find_layer, with_map


def gradients(
    model: keras.Model, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """The gradient of a class score with respect to the image, or to the map that a layer gives.

    The map is the largest absolute value over the channels, M = max_c |dS / dI_c|, with S before the softmax.

    Source: Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013, arXiv:1312.6034, section 3.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels]; it is kept.
        images: a batch, preprocessed as the model takes it.
        target: a class for all images, or one for each; None: that with the highest score.
        layer: name of a layer that gives a map; None: the image.
        batch_size: images at a time.

    Returns:
        An `Explanation`; `raw` is the gradient itself, [n, height, width, channels] of the image or the layer. Maps of
        a layer are enlarged bilinearly to the image.

    Raises:
        InputError: an argument cannot be used, or what the model's outputs are cannot be told.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.gradients(model, images, target=3)  # found.maps: [n, 32, 32]
    """
    batch_size = _check.whole("batch_size", batch_size, 1)
    question = ask(model, images, target, batch_size=batch_size)
    inner = find_layer(question.model, layer)
    network = question.model if inner is None else with_map(question, inner)
    _, raw = slopes(network, question, batch_size)
    maps = np.abs(raw).max(axis=-1)
    if layer is not None:
        maps = enlarged(maps, question.images.shape[1:3])
    return Explanation(maps, raw, layer, question.target, question.scores, "gradients")

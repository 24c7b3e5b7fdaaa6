"""The data gradient: how much the score of a class changes with each pixel."""

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.explain.derivatives import enlarged, slopes
from kerascnn.explain.explanation import Explanation, Network, Target, ask
from kerascnn.explain.places import find_place, with_output


def gradients(
    model: Network, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """The gradient of a class score with respect to the image, or to the map that a layer gives.

    The map is the largest absolute value over the channels, M = max_c |dS / dI_c|, with S before the softmax.

    Source: Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013, arXiv:1312.6034, section 3.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one.
        images: a batch, preprocessed as the model takes it.
        target: a class, by number or by name, for all images, or one for each; None: that with the highest score; or a
            function of the outputs, see `ask`.
        layer: name of a layer that gives a map, or tokens; None: the image.
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
    question = ask(model, images, target, batch_size=batch_size, now=False)
    place = find_place(question, layer)
    network = question.prepared.folded if place is None else with_output(question, place.operation)
    question, _, raw = slopes(network, question, batch_size)
    raw = raw if place is None else place.map(raw)
    maps = np.abs(raw).max(axis=-1)
    if place is not None:
        maps = enlarged(maps, question.images.shape[1:3])
    name = None if place is None else place.name
    return Explanation(maps, raw, name, question.target, question.scores, "gradients")

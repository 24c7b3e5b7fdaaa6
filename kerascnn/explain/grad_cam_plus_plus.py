"""Grad-CAM++: as Grad-CAM, with weights that let several objects of a class count alike."""

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.explain.class_maps import combined, last_map
from kerascnn.explain.derivatives import slopes
from kerascnn.explain.explanation import Explanation, Target, ask, find_layer, with_map


def grad_cam_plus_plus(
    model: keras.Model, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """ReLU of the sum of a layer's maps A, each times the sum of `g^2 / (2 g^2 + G g^3)` times ReLU of g, with g the
    gradient of the score at each position and G the sum of A.

    The factor e^S of equation 11 is the same for all maps and left out, because it overflows.

    Source: Chattopadhyay, Sarkar, Howlader, Balasubramanian: Grad-CAM++, 2018, arXiv:1710.11063, equations 5 and 19.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels]; it is kept.
        images: a batch, preprocessed as the model takes it.
        target: a class for all images, or one for each; None: that with the highest score.
        layer: name of a layer that gives a map; None: the last one with more than one position, before pooling.
        batch_size: images at a time.

    Returns:
        An `Explanation`; `raw` is the map at the layer's size, [n, rows, columns], never negative; `maps` are enlarged
        bilinearly to the image. `layer` is the one that was used.

    Raises:
        InputError: an argument cannot be used, what the model's outputs are cannot be told, or the network has tokens
            and no maps before its head.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = kerascnn.explain.grad_cam_plus_plus(model, images, target=7)  # found.raw: [n, 7, 7]
    """
    batch_size = _check.whole("batch_size", batch_size, 1)
    question = ask(model, images, target, batch_size=batch_size)
    inner = find_layer(question.model, layer) or last_map(question.model)
    seen, slope = slopes(with_map(question, inner), question, batch_size)
    g = slope.astype("float64")
    below = 2.0 + seen.astype("float64").sum(axis=(1, 2), keepdims=True) * g  # g^2 is cancelled, where it is not 0
    alpha = np.divide(1.0, below, out=np.zeros_like(g), where=(g > 0) & (below != 0))
    raw, maps = combined(seen, (alpha * g).sum(axis=(1, 2)), question.images.shape[1:3])
    return Explanation(maps, raw, inner.name, question.target, question.scores, "grad_cam_plus_plus")

"""Grad-CAM++: as Grad-CAM, with weights that let several objects of a class count alike."""

import numpy as np
import numpy.typing as npt

from kerascnn.explain.class_maps import class_map
from kerascnn.explain.explanation import Explanation, Network, Target


def grad_cam_plus_plus(
    model: Network, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """ReLU of the sum of a layer's maps A, each times the sum of `g^2 / (2 g^2 + G g^3)` times ReLU of g, with g the
    gradient of the score at each position and G the sum of A.

    The factor e^S of equation 11 is the same for all maps and left out, because it overflows.

    Source: Chattopadhyay, Sarkar, Howlader, Balasubramanian: Grad-CAM++, 2018, arXiv:1710.11063, equations 5 and 19.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one.
        images: a batch, preprocessed as the model takes it.
        target: a class, by number or by name, for all images, or one for each; None: that with the highest score; or a
            function of the outputs, see `ask`.
        layer: name of a layer that gives a map; or tokens of one; None: the one that the head reads, see
            `places.last_place`.
        batch_size: images at a time.

    Returns:
        An `Explanation`; `raw` is the map at the layer's size, [n, rows, columns], never negative; `maps` are enlarged
        bilinearly to the image. `layer` is the one that was used.

    Raises:
        InputError: an argument cannot be used, what the model's outputs are cannot be told, or the network has
            neither maps nor tokens before its head.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = kerascnn.explain.grad_cam_plus_plus(model, images, target=7)  # found.raw: [n, 7, 7]
    """
    return class_map("grad_cam_plus_plus", _weights, model, images, target, layer, batch_size)


def _weights(seen: np.ndarray, slope: np.ndarray) -> np.ndarray:
    below = 2.0 + seen.sum(axis=(1, 2), keepdims=True) * slope  # g^2 is cancelled, where it is not 0
    alpha = np.divide(1.0, below, out=np.zeros_like(slope), where=(slope > 0) & (below != 0))
    return (alpha * slope).sum(axis=(1, 2))

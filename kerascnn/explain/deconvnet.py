"""The deconvolutional network: what a score is made of, projected down to the image."""

import numpy.typing as npt

from kerascnn.explain.backward_maps import signal_map
from kerascnn.explain.explanation import Explanation, Network, Target


def deconvnet(
    model: Network, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """A signal from a class score down to the image, by transposed convolutions, unpooling and ReLUs.

    Transposed convolution with the same kernel and unpooling by switches are the gradients of convolution and of max
    pooling (where two windows have the same maximum, what comes from both is added); so the gradient's network is taken
    with one change: a ReLU hands back what is positive, whatever came to it. What the paper does not define hands back
    its gradient: batch norm times its scale, local response normalization, dense layers, sums. Upper bounds (ReLU6) and
    `options["unchanged"]`, the activations that are no ReLU, too.

    One unit instead of a class: `deconvnet(surgery.up_to(model, "conv5"), images, lambda maps: maps[:, 3, 4, 7])`.

    Source: Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2013, arXiv:1311.2901, section 2.1.

    Args:
        model, images, target, batch_size: see `guided_backprop`, which says what ReLUs are found.
        layer: must be None.

    Returns:
        An `Explanation`; `raw` is the signal, [n, height, width, channels], the map its largest absolute value over the
        channels.

    Raises:
        InputError: an argument cannot be used, what the model's outputs are cannot be told, or it has no ReLU.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = kerascnn.explain.deconvnet(model, images, target=7)  # found.maps: [n, 28, 28]
    """
    return signal_map("deconvnet", False, model, images, target, layer, batch_size)

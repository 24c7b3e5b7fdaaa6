"""Guided backpropagation: the gradient of a score, of which each ReLU hands back what is positive."""

import numpy.typing as npt

from kerascnn.explain.backward_maps import signal_map
from kerascnn.explain.explanation import Explanation, Network, Target


def guided_backprop(
    model: Network, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """The gradient of a class score with respect to the image, where ReLUs hand back neither what is negative nor what
    came to them below 0.

    Everything but the ReLUs hands back its gradient: max pooling to the place of the maximum, batch norm times its
    scale, local response normalization as it is. `options["unchanged"]` names the activations that are no ReLU (GELU,
    sigmoid gates). Fine pictures of edges; that they hardly depend on the class or on the upper weights is known
    (Adebayo et al. 2018, arXiv:1810.03292).

    Source: Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, 2014, arXiv:1412.6806, section 3.4.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one. With ReLUs that can be found: layers, activations of layers, operations of
            `keras.ops`; ReLU6 is one with an upper bound.
        images: a batch, preprocessed as the model takes it.
        target: a class, by number or by name, for all images, or one for each; None: that with the highest score; or a
            function of the outputs, see `ask`.
        layer: must be None.
        batch_size: images at a time.

    Returns:
        An `Explanation`; `raw` is the signal, [n, height, width, channels], the map its largest absolute value over the
        channels.

    Raises:
        InputError: an argument cannot be used, what the model's outputs are cannot be told, or it has no ReLU.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = kerascnn.explain.guided_backprop(model, images, target=7)  # found.maps: [n, 28, 28]
    """
    return signal_map("guided_backprop", True, model, images, target, layer, batch_size)

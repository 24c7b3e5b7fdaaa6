"""Grad-CAM: where the maps are high whose mean gradient speaks for a class."""

import numpy.typing as npt

from kerascnn.explain.class_maps import class_map
from kerascnn.explain.explanation import Explanation, Network, Target


def grad_cam(
    model: Network, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """ReLU of the sum of a layer's maps, each times the mean of the score's gradient with respect to it.

    In a network that ends in global average pooling and one dense layer it is the class activation map (Zhou et al.
    2016, arXiv:1512.04150) without what speaks against the class, divided by the number of positions.

    Source: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, 2017, arXiv:1610.02391, equations 1 and 2.

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
        found = kerascnn.explain.grad_cam(model, images, target=7)  # found.raw: [n, 7, 7]
    """
    return class_map("grad_cam", lambda seen, slope: slope.mean(axis=(1, 2)), model, images, target, layer, batch_size)

"""Guided Grad-CAM: guided backpropagation where Grad-CAM says that the class is."""

import dataclasses

import numpy as np
import numpy.typing as npt

from kerascnn.explain.backward_maps import signal_map
from kerascnn.explain.explanation import Explanation, Network, Target
from kerascnn.explain.grad_cam import grad_cam


def guided_grad_cam(
    model: Network, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """The signal of guided backpropagation times the map of Grad-CAM, which is enlarged bilinearly.

    Source: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, 2017, arXiv:1610.02391, section 3.2.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one. With ReLUs, see `guided_backprop`.
        images: a batch, preprocessed as the model takes it.
        target: a class, by number or by name, for all images, or one for each; None: that with the highest score; or a
            function of the outputs, see `ask`.
        layer: of Grad-CAM: name of a layer that gives a map, or tokens of one; None: the one that the head reads.
        batch_size: images at a time.

    Returns:
        An `Explanation`; `raw` is the product, [n, height, width, channels], the map its largest absolute value over
        the channels.

    Raises:
        InputError: an argument cannot be used, what the model's outputs are cannot be told, or it has no ReLU.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = kerascnn.explain.guided_grad_cam(model, images, target=7)  # found.raw: [n, 28, 28, 1]
    """
    where = grad_cam(model, images, target, layer=layer, batch_size=batch_size)
    target = target if callable(target) else where.target
    found = signal_map("guided_grad_cam", True, model, images, target, None, batch_size)
    raw = found.raw * where.maps[..., None]
    return dataclasses.replace(found, raw=raw, maps=np.abs(raw).max(axis=-1), layer=where.layer)

"""What a network sees: maps of what each pixel counts for a class.

A method is one file of this folder with a function of the file's name,

    method(model, images, target=None, *, layer=None, **options) -> Explanation

and is found by listing the folder: `METHODS`, which the command line reads too.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from kerascnn.explain.activations import (
    Activations,
    ActivationStatistics,
    activation_statistics,
    activations,
    draw_activations,
)
from kerascnn.explain.adversarial import Adversarial, draw_adversarial, fgsm, pgd
from kerascnn.explain.adversarial_lbfgs import lbfgs
from kerascnn.explain.adversarial_transfer import Transfer, draw_transfer, transfer
from kerascnn.explain.attention_rollout import attention_rollout
from kerascnn.explain.cam import cam
from kerascnn.explain.class_image import class_image
from kerascnn.explain.codes import Codes, Plane, codes, pca, plane, purity, trustworthiness
from kerascnn.explain.deconvnet import deconvnet
from kerascnn.explain.drawing import draw
from kerascnn.explain.explanation import Explanation, Method
from kerascnn.explain.feature_image import feature_image
from kerascnn.explain.filters import Filters, draw_filters, filters
from kerascnn.explain.grad_cam import grad_cam
from kerascnn.explain.grad_cam_plus_plus import grad_cam_plus_plus
from kerascnn.explain.gradients import gradients
from kerascnn.explain.guided_backprop import guided_backprop
from kerascnn.explain.guided_grad_cam import guided_grad_cam
from kerascnn.explain.integrated_gradients import integrated_gradients
from kerascnn.explain.inversion import inversion
from kerascnn.explain.occlusion import occlusion
from kerascnn.explain.optimized import Optimized, draw_optimized
from kerascnn.explain.patches import Patches, draw_patches, patches
from kerascnn.explain.sheet import draw_sheet
from kerascnn.explain.smoothgrad import smoothgrad
from kerascnn.explain.thumbnails import draw_plane


def _methods() -> dict[str, Method]:
    found = {}
    for entry in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        function = vars(module).get(entry.name)
        if callable(function) and function.__module__ == module.__name__ and _is_method(function):
            found[entry.name] = function
    return found


def _is_method(function: Callable) -> bool:
    """Whether a function is called as a method is; `activations`, say, has no target and gives no map of the image."""
    arguments = inspect.signature(function).parameters
    return tuple(arguments)[:3] == ("model", "images", "target") and "layer" in arguments


METHODS = _methods()  # by name, alphabetically
globals().update(METHODS)  # a new file needs no line here; those above are for type checkers
__all__ = [
    "METHODS",
    "ActivationStatistics",
    "Activations",
    "Adversarial",
    "Codes",
    "Explanation",
    "Filters",
    "Optimized",
    "Patches",
    "Plane",
    "Transfer",
    "activation_statistics",
    "activations",
    "attention_rollout",
    "cam",
    "class_image",
    "codes",
    "deconvnet",
    "draw",
    "draw_activations",
    "draw_adversarial",
    "draw_filters",
    "draw_optimized",
    "draw_patches",
    "draw_plane",
    "draw_transfer",
    "feature_image",
    "fgsm",
    "draw_sheet",
    "filters",
    "grad_cam",
    "grad_cam_plus_plus",
    "gradients",
    "guided_backprop",
    "guided_grad_cam",
    "integrated_gradients",
    "inversion",
    "lbfgs",
    "occlusion",
    "patches",
    "pca",
    "pgd",
    "plane",
    "purity",
    "smoothgrad",
    "transfer",
    "trustworthiness",
]

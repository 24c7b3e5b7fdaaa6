"""Rates that differ between the parts of a network.

A rate that falls from the head to the input (discriminative fine-tuning: Howard, Ruder 2018, arXiv:1801.06146, section
3.2; layer-wise decay: Bao et al. 2021, arXiv:2106.08254) changes general features less than special ones.
"""

import keras

from kerascnn import _check, surgery
from kerascnn._errors import InputError
from kerascnn.surgery.parts import path_of


def by_depth(model: keras.Model, decay: float) -> dict[str, float]:
    """Factors that fall from the head to the input.

    Args:
        model: a functional or built sequential `keras.Model`.
        decay: the factor of a part is this times that of the part after it; see `surgery.parts`.

    Returns:
        Path of each weight -> decay^depth: the head is at depth 0, the part before it at 1.

    Raises:
        InputError: weights of two parts have the same path, or `decay` is not in (0, 1].

    Example:

        by_depth(kerascnn.create_model("resnet18"), 0.5)["stage4_block1_conv1/kernel"]  # 0.5
    """
    decay = _check.real("decay", decay, 0.0, 1.0, above=True)
    factors: dict[str, float] = {}
    for depth, part in enumerate(reversed(surgery.parts(model))):
        for path in (path_of(layer, weight) for layer in part.layers for weight in layer.weights):
            if factors.setdefault(path, decay**depth) != decay**depth:
                raise InputError(f"Weights must have paths of their own. Received: {path} twice")
    return factors

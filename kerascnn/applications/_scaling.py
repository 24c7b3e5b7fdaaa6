"""Compound scaling: one number makes a network deeper, wider and its images larger, in fixed proportions."""

import math
import numbers
from typing import Any, NamedTuple

from kerascnn._errors import InputError

RESOLUTION = 224  # of a base whose row does not say it


class Scaled(NamedTuple):
    """A network that compound scaling made."""

    spec: Any  # for `create_model(name, spec=spec, input_shape=(resolution, resolution, 3))`
    resolution: int  # height and width of the input


def compound_scale(
    spec: Any,
    phi: float,
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
    *,
    resolution: int | None = None,
) -> Scaled:
    """Scales a network by equation 3: depth by alpha^phi, width by beta^phi, resolution by gamma^phi.

    Multiply-adds grow by about (alpha beta^2 gamma^2)^phi, which is 2^phi for the constants that the paper found for
    EfficientNet-B0. Numbers of blocks are rounded up; widths to multiples of 8, at most 10 % down; the resolution to
    the nearest pixel.

    Args:
        spec: row of the base network, `model_info(name).spec`, of a family whose rows have a method `scaled`.
        phi: how much more to compute, as a power; 0 gives the base itself, less than 0 a smaller network.
        alpha: factor on the depth for phi = 1, positive.
        beta: on the width.
        gamma: on the resolution.
        resolution: height and width of the base's input; by default that of the row, or 224 where it has none.

    Returns:
        The new row and its resolution: `scaled.spec`, `scaled.resolution`.

    Raises:
        InputError: the row cannot be scaled, or a number is out of range.

    Source:
        Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019, arXiv:1905.11946,
        section 3.3.
    """
    if not hasattr(spec, "scaled"):
        raise InputError(f"The row must have a method scaled(depth=, width=, resolution=). Received: {spec!r}")
    if not _is_finite(phi):
        raise InputError(f"phi must be a finite number. Received: {phi!r}")
    for name, value in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
        if not _is_finite(value) or value <= 0:
            raise InputError(f"{name} must be a positive number. Received: {value!r}")
    base = getattr(spec, "resolution", RESOLUTION) if resolution is None else resolution
    if not isinstance(base, int) or base < 1:
        raise InputError(f"resolution must be a whole number of pixels, at least 1. Received: {resolution!r}")
    return Scaled(
        spec.scaled(depth=alpha**phi, width=beta**phi, resolution=gamma**phi), max(1, round(base * gamma**phi))
    )


def _is_finite(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)

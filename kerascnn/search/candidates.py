"""The grid of compound scaling: factors for depth, width and resolution that together double the multiply-adds."""

import dataclasses
import math

from kerascnn._errors import InputError

MOST = 10_000  # candidates: a finer grid could not be trained


@dataclasses.dataclass(frozen=True, order=True)
class Candidate:
    """Factors for phi = 1."""

    alpha: float  # on the depth
    beta: float  # on the width
    gamma: float  # on the resolution

    @property
    def cost(self) -> float:
        """About how many times as many multiply-adds: alpha beta^2 gamma^2."""
        return self.alpha * self.beta**2 * self.gamma**2


def candidates(step: float = 0.1, tolerance: float = 0.1, target: float = 2.0) -> list[Candidate]:
    """All factors 1, 1 + step, 1 + 2 step, ... whose cost is near the target.

    Args:
        step: between neighbors of the grid, greater than 0; 0.05 has the paper's factors 1.2, 1.1, 1.15 on it.
        tolerance: how far alpha beta^2 gamma^2 may be from the target, greater than 0 and less than `target` - 1, so
            that the base itself is no candidate.
        target: of alpha beta^2 gamma^2, greater than 1.

    Returns:
        The candidates in ascending order.

    Raises:
        InputError: a number is out of range, or no candidate, or more than ten thousand, are near the target.

    Source:
        Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019, arXiv:1905.11946,
        equation 3 and section 4.
    """
    if not (math.isfinite(target) and target > 1):
        raise InputError(f"target must be greater than 1. Received: {target!r}")
    if not (math.isfinite(step) and step > 0):
        raise InputError(f"step must be greater than 0. Received: {step!r}")
    if not 0 < tolerance < target - 1:
        raise InputError(f"tolerance must be greater than 0 and less than {target - 1:g}. Received: {tolerance!r}")
    most = target + tolerance
    if (most - 1) / step * (math.sqrt(most) - 1) / step > MOST:
        raise InputError(f"step must leave at most {MOST:,} candidates. Received: {step!r}")
    found = []
    for alpha in _axis(step, most):
        for beta in _axis(step, math.sqrt(most / alpha)):
            for gamma in _axis(step, math.sqrt(most / alpha) / beta):
                candidate = Candidate(alpha, beta, gamma)
                if abs(candidate.cost - target) <= tolerance + 1e-9:
                    found.append(candidate)
    if not found:
        raise InputError(
            f"No factors on this grid have alpha beta^2 gamma^2 within {tolerance:g} of {target:g}; make the step "
            f"smaller or the tolerance larger. Received: step={step!r}, tolerance={tolerance!r}"
        )
    return found


def _axis(step: float, last: float) -> list[float]:
    """1, 1 + step, ... up to `last`, without the noise of binary fractions."""
    return [round(1 + i * step, 10) for i in range(int((last - 1) / step + 1e-9) + 1)]

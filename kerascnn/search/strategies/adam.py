"""Adam on one vector of weights.

Kingma, Ba: Adam: A Method for Stochastic Optimization, 2014, arXiv:1412.6980.
"""

import numpy as np


class Adam:
    """Steps uphill, with the paper's constants 0.9 and 0.999.

    Args:
        rate: step size.
        size: of the vector.
    """

    def __init__(self, rate: float, size: int):
        self._rate, self._first, self._second, self._step = rate, np.zeros(size), np.zeros(size), 0

    def climb(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        """Changes the weights, in place.

        Args:
            weights: [size].
            gradient: [size].
        """
        self._step += 1
        self._first += 0.1 * (gradient - self._first)
        self._second += 0.001 * (gradient**2 - self._second)
        scale = np.sqrt(self._second / (1 - 0.999**self._step)) + 1e-8
        weights += self._rate * self._first / (1 - 0.9**self._step) / scale

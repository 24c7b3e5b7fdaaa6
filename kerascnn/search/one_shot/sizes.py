"""Networks of equal size: how many filters give an architecture so many parameters."""

from collections.abc import Callable

import keras
import numpy as np

from kerascnn import _check

Build = Callable[[int], keras.Model]  # filters -> a network

_KNOWN = (4, 8, 16)  # filters of the networks that are counted


def parameters(model: Callable[[], keras.Model]) -> int:
    """How many weights of a network are learned, without giving them values.

    Args:
        model: builds it.

    Returns:
        The count.
    """
    with keras.StatelessScope(initialize_variables=False):
        return sum(int(np.prod(weight.shape)) for weight in model().trainable_weights)


def filters_for(build: Build, target: int) -> int:
    """The number of filters, at least 2, whose parameters are nearest to a target.

    Of networks all of whose widths are multiples of the filters they are a square polynomial: three are counted.

    Args:
        build: builds the network of a number of filters.
        target: parameters, at least 1.

    Returns:
        The filters; of two that are as near the fewer.

    Raises:
        InputError: the target is less than 1.

    Example:

        import numpy as np
        from kerascnn.search import one_shot, spaces

        space = spaces.darts()
        genotype = space.decode(space.sample(np.random.default_rng(0)))
        options = {"stages": (1, 1), "input_shape": (28, 28, 1), "classes": 10}
        one_shot.filters_for(lambda filters: one_shot.network(genotype, filters=filters, **options), 20_000)
    """
    _check.whole("target", target, 1)
    counts = [parameters(lambda filters=filters: build(filters)) for filters in _KNOWN]
    polynomial = np.poly1d(np.polyfit(_KNOWN, counts, 2))
    real = [root.real for root in (polynomial - target).roots if abs(root.imag) < 1e-9 * abs(root)]
    low = max(2, int(max(real, default=2.0)))
    return min((low, low + 1), key=lambda filters: abs(round(polynomial(filters)) - target))

"""Several requests as one batch, and its outputs as theirs; each alone where the batch fails."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Arrays = Mapping[str, np.ndarray]


def rows(arrays: Arrays) -> int | None:
    """The first dimension that all arrays share; None where they share none, or it is zero.

    Args:
        arrays: the inputs of a request.
    """
    sizes = {array.shape[0] if array.ndim else 0 for array in arrays.values()}
    size = sizes.pop() if len(sizes) == 1 else 0
    return size or None


def compute(
    run: Callable[[Arrays], Arrays], requests: Sequence[Arrays], padded: Callable[[int], int]
) -> list[Arrays | Exception]:
    """Answers requests together; where that fails, each alone, so that one bad image fails its own request only.

    Args:
        run: computes one batch.
        requests: with the same names, types and shapes but for the first dimension.
        padded: the size that a batch of some size is filled up to, with copies of its first row.

    Returns:
        For each request its outputs, or what it raised.
    """
    sizes = [len(next(iter(arrays.values()))) for arrays in requests]
    total = sum(sizes)
    extra = padded(total) - total
    if len(requests) == 1 and not extra:
        return [_alone(run, requests[0])]
    joined = {
        name: np.concatenate([*(arrays[name] for arrays in requests), *[requests[0][name][:1]] * extra])
        for name in requests[0]
    }
    try:
        outputs = run(joined)
    except Exception:  # whatever it was, the requests get it one by one
        outputs = {}
    if not outputs or any(not array.ndim or len(array) != total + extra for array in outputs.values()):
        return [_alone(run, arrays) for arrays in requests]
    ends = np.cumsum(sizes).tolist()
    return [
        {name: array[end - size : end] for name, array in outputs.items()}
        for size, end in zip(sizes, ends, strict=True)
    ]


def _alone(run: Callable[[Arrays], Arrays], arrays: Arrays) -> Arrays | Exception:
    try:
        return run(arrays)
    except Exception as error:  # handed to the one who waits for it
        return error

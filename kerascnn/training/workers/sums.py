"""Sums over the workers of a strategy, outside of steps."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_PACK = 2**20  # numbers that are sent together: each message takes milliseconds, however small


def over_workers(strategy: tf.distribute.Strategy, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Adds up what each worker has; all call it at once.

    Args:
        strategy: any; where there is one worker alone the arrays are the sums.
        arrays: float64, as many and of the same shapes in each worker.

    Returns:
        The sums.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return list(arrays)
    summed = []
    for pack in _packs(arrays):
        flat = tf.constant(np.concatenate([array.ravel() for array in pack]), tf.float64)
        total = np.asarray(strategy.reduce(tf.distribute.ReduceOp.SUM, flat, axis=None))
        ends = np.cumsum([array.size for array in pack])[:-1]
        summed += [part.reshape(array.shape) for part, array in zip(np.split(total, ends), pack, strict=True)]
    return summed


def workers(strategy: tf.distribute.Strategy) -> int:
    """How many processes compute under a strategy."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return strategy.num_replicas_in_sync // len(strategy.extended.worker_devices)


def as_the_chief(strategy: tf.distribute.Strategy, variables: Sequence[Any], is_chief: bool) -> None:
    """Gives all workers the values of the chief's variables; all call it at once.

    Args:
        strategy: under which they were made.
        variables: of Keras or TensorFlow, floats and whole numbers, as many and of the same shapes in each worker.
        is_chief: whether this worker is the chief.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    # Every float and counter of ours is a number of 64 bits, and added to zeros it stays what it is.
    own = [np.asarray(tf.convert_to_tensor(x), np.float64) for x in variables]
    own = own if is_chief else [np.zeros_like(array) for array in own]
    for variable, value in zip(variables, over_workers(strategy, own), strict=True):
        variable.assign(tf.cast(value, variable.dtype))


def _packs(arrays: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    pack: list[np.ndarray] = []
    for array in arrays:
        if pack and sum(other.size for other in pack) + array.size > _PACK:
            yield pack
            pack = []
        pack.append(array)
    if pack:
        yield pack

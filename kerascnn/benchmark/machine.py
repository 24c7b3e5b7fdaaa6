"""The two rates that bound an op, measured: how fast memory is copied, how fast matrices are multiplied."""

import bisect
import concurrent.futures
import dataclasses
import math
import time

import numpy as np
import tensorflow as tf

from kerascnn.benchmark.processor import processor

_SIZES = (4 << 20, 16 << 20, 64 << 20, 256 << 20)  # bytes that a copy moves: read and written


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine as `threads` threads of this process see it, in one dtype."""

    processor: str
    threads: int
    copy: tuple[tuple[int, float], ...]  # (bytes moved, bytes per second), growing
    gemm: float  # operations per second, a multiply-add counting two

    def bandwidth(self, size: int) -> float:
        """Bytes per second of a copy that moves about `size` bytes: what fits a cache is copied faster.

        Args:
            size: bytes read and written.

        Returns:
            The rate of the measured copy that is nearest in size.
        """
        middles = [math.sqrt(a * b) for (a, _), (b, _) in zip(self.copy, self.copy[1:], strict=False)]
        return self.copy[bisect.bisect(middles, size)][1]

    def roofline(self, size: int, flops: int) -> tuple[float, str]:
        """The shortest time for moving `size` bytes and computing `flops` operations at the same time.

        Args:
            size: bytes read and written.
            flops: operations.

        Returns:
            Seconds, and which of the two sets them: "memory" or "arithmetic".
        """
        memory, arithmetic = size / self.bandwidth(size), flops / self.gemm
        return max(memory, arithmetic), "memory" if memory >= arithmetic else "arithmetic"


def measure(threads: int, dtype: str, *, quick: bool = False) -> Machine:
    """Measures the machine; about two seconds.

    Args:
        threads: how many copy at a time; matrices are multiplied by TensorFlow's own.
        dtype: of the matrices.
        quick: small copies and matrices only, for tests.

    Returns:
        The `Machine`, with the best rate of several runs: a limit is not a median.
    """
    copies = tuple((size, _copy_rate(size, threads)) for size in (_SIZES[:2] if quick else _SIZES))
    return Machine(processor(), threads, copies, _gemm_rate(128 if quick else 1536, dtype))


def _best(function, runs: int) -> float:
    times = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def _copy_rate(size: int, threads: int) -> float:
    source, target = np.ones(size // 16, "float64"), np.zeros(size // 16, "float64")
    cuts = [len(source) * i // threads for i in range(threads + 1)]
    parts = [(target[a:b], source[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:  # NumPy copies without holding the interpreter
        return size / _best(lambda: list(pool.map(lambda part: np.copyto(*part), parts)), 15)


def _gemm_rate(size: int, dtype: str) -> float:
    a = tf.cast(tf.random.stateless_normal((size, size), (1, 2)), dtype)
    multiply = tf.function(tf.matmul, autograph=False)
    return 2 * size**3 / _best(lambda: multiply(a, a).numpy(), 5)

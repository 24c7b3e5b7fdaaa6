"""Gradients of convolutions' filters in bfloat16 on a processor with AMX: this package's kernel beside oneDNN's.

    TF_NUM_INTRAOP_THREADS=1 taskset -c 0 python tools/bench_filter_gradient.py > results/ops/filter_gradient.txt

Both in turn, medians of `--repeat` calls after two that are not counted.
"""

import argparse
import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable

import tensorflow as tf

import kerascnn
from kerascnn.ops import _native
from kerascnn.ops._windows import native_attributes

# Images, pixels a side, channels, filters, taps a side, stride.
SHAPES = [
    *(
        (128, 28, 64, 64, 3, 1),
        (128, 28, 64, 128, 3, 2),
        (128, 14, 128, 128, 3, 1),
        (128, 7, 256, 256, 3, 1),
    ),  # WRN-16-4
    *((128, 28, 16, 16, 3, 1), (128, 14, 32, 32, 3, 1)),  # ResNet-20
    *((8, 56, 64, 64, 1, 1), (8, 56, 64, 64, 3, 1), (8, 56, 64, 256, 1, 1), (8, 56, 256, 64, 1, 1)),  # ResNet-50
    *((8, 56, 256, 512, 1, 2), (8, 28, 512, 128, 1, 1), (8, 28, 128, 128, 3, 1), (8, 14, 1024, 256, 1, 1)),
    *((8, 14, 256, 256, 3, 1), (8, 14, 256, 1024, 1, 1), (8, 7, 2048, 512, 1, 1), (8, 7, 512, 512, 3, 1)),
]


def once(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=15, help="calls that are counted")
    repeat = parser.parse_args().repeat
    if _native.tile_unit() != "amx":
        raise SystemExit(f"this needs a processor with AMX, and the compiled ops. Received: {_native.tile_unit()}")
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS", "all")
    versions = f"TensorFlow {tf.__version__}, kerascnn {kerascnn.__version__}"
    print(f"{datetime.date.today()}; {platform.machine()} with AMX; threads: {threads}; {versions}")
    print(f"bfloat16, ms, median of {repeat}")
    library, ratios = _native.library(), []
    print(
        f"{'images':>6} {'pixels':>6} {'in':>5} {'out':>5} {'taps':>4} {'stride':>6} {'ours':>8} {'oneDNN':>8}  ratio"
    )
    for batch, size, channels, filters, taps, stride in SHAPES:
        x, w = (tf.cast(tf.random.normal(shape), tf.bfloat16)
                for shape in ((batch, size, size, channels), (taps, taps, channels, filters)))  # fmt: skip
        dy = tf.cast(tf.random.normal(tf.nn.conv2d(x, w, stride, "SAME").shape), tf.bfloat16)
        attributes = native_attributes((stride, stride), "same", (1, 1))
        sizes, wide = tf.constant(w.shape, tf.int32), tf.constant(w.shape, tf.int64)
        sides = [
            lambda: library.kerascnn_conv2d_filter_gradient(x=x, filters_shape=wide, dy=dy, **attributes),  # noqa: B023
            lambda: tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=sizes, out_backprop=dy, strides=(1, stride, stride, 1), padding="SAME"  # noqa: B023
            ),
        ]  # fmt: skip
        times = [[once(side) for side in sides] for _ in range(repeat + 2)][2:]
        ours, theirs = (statistics.median(side) for side in zip(*times, strict=True))
        ratios.append(ours / theirs)
        numbers = f"{batch:6d} {size:6d} {channels:5d} {filters:5d} {taps:4d} {stride:6d}"
        print(f"{numbers} {ours:8.2f} {theirs:8.2f}  {ours / theirs:5.2f}", flush=True)
    print(f"geometric mean of the ratios: {statistics.geometric_mean(ratios):.2f}")


if __name__ == "__main__":
    main()

"""What TensorFlow's oneDNN kernels and XLA make of a training step on a CPU, network by network, as text.

    python tools/bench_step.py --out results/bench_step.txt
    python tools/bench_step.py resnet110:32 efficientnet_b0:64    # NETWORK:PIXELS

Batches of 128 random images, SGD with momentum, as Keras compiles it, in three processes in turns: without oneDNN,
which is TensorFlow's own choice where a CPU lacks AVX-512 VNNI; with it, which is that of `kerascnn`; and by XLA.
Ratios are medians of those of the same round. Tracing and compiling are not counted.
"""

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH, CLASSES, WARM_UP = 128, 10, 2
VARIANTS = {"stock": ("0", False), "oneDNN": ("1", False), "XLA": ("1", True)}  # TF_ENABLE_ONEDNN_OPTS, jit_compile
NETWORKS = (
    "resnet20:28", "simplenet_310k:28", "resnet18:64", "vit_thin_patch4_32:32", "tf_mobilenetv1_025_128:64",
    "tf_efficientnet_lite0:64",
)  # fmt: skip
SLOW = NETWORKS[-2:]  # by XLA, several times: left out, unless they are named


def serve(network: str, size: int, jit: bool) -> None:
    """Says the multiply-adds of an image and the versions, then for each line that comes the seconds of a step."""
    import keras
    import numpy as np
    import tensorflow as tf

    import kerascnn
    from kerascnn import analysis

    keras.utils.set_random_seed(0)
    model = kerascnn.create_model(network, classes=CLASSES, input_shape=(size, size, 1), classifier_activation=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss, jit_compile=jit)
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(size=(BATCH, size, size, 1)), tf.float32)
    labels = tf.constant(random.integers(0, CLASSES, BATCH))
    print(analysis.count(model).macs, f"TensorFlow {tf.__version__}, Keras {keras.__version__}", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        model.train_on_batch(images, labels)
        print(time.perf_counter() - start, flush=True)


def start(text: str, variant: str) -> subprocess.Popen:
    onednn, jit = VARIANTS[variant]
    words = [sys.executable, __file__, "--serve", text, *(["--jit"] if jit else [])]
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn},
    )  # fmt: skip


def compare(text: str, rounds: int, variants: list[str]) -> tuple[str, str]:
    """The line of a network, and the versions."""
    processes = {variant: start(text, variant) for variant in variants}
    macs, _, versions = [process.stdout.readline().strip() for process in processes.values()][0].partition(" ")
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for number in range(WARM_UP + rounds):
        for variant, process in processes.items():
            process.stdin.write("\n")
            process.stdin.flush()
            found = float(process.stdout.readline())
            seconds[variant] += [found] if number >= WARM_UP else []
    for process in processes.values():
        process.stdin.close()
        process.wait()
    network, _, size = text.partition(":")
    cells = [f"{network:26}{size:>5}"]
    for variant in VARIANTS:
        if variant not in seconds:
            cells.append(f"{'not run':>12}{'':8}")
            continue
        ratio = statistics.median(one / other for one, other in zip(seconds[variant], seconds["stock"], strict=True))
        cells.append(f"{1000 * statistics.median(seconds[variant]):12.0f}{ratio:8.2f}")
    rate = 6 * BATCH * int(macs) / statistics.median(seconds["oneDNN"]) / 1e9
    return "".join(cells) + f"{rate:10.0f}", versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK:PIXELS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--jit", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        network, _, size = args.serve.partition(":")
        serve(network, int(size), args.jit)
        return
    lines = [
        f"{'':26}{'px':>5}" + "".join(f"{f'{name}, ms':>12}{'ratio':>8}" for name in VARIANTS) + f"{'GFLOP/s':>10}"
    ]
    print(lines[0])
    left_out = () if args.networks else SLOW
    for text in args.networks or NETWORKS:
        line, versions = compare(text, args.rounds, [x for x in VARIANTS if x != "XLA" or text not in left_out])
        lines.append(line)
        print(line, flush=True)
    allocator = Path(os.environ.get("LD_PRELOAD") or "the C library").name
    heading = [
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, {versions}, allocator: {allocator}; "
        f"load {os.getloadavg()[0]:.1f} at the end",
        f"training steps, batch {BATCH}; {args.rounds} rounds in turns after {WARM_UP}; "
        "GFLOP/s: 6 x multiply-adds a second, with oneDNN",
        "",
    ]
    if args.out:
        from kerascnn._files import replace_with

        with replace_with(args.out) as temporary:
            Path(temporary).write_text("\n".join([*heading, *lines]) + "\n")


if __name__ == "__main__":
    main()

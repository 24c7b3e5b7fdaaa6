"""What `kerascnn train --jit` gains or loses: a training step with and without XLA, network by network, as text.

    python tools/bench_jit.py --out results/bench_jit.txt
    python tools/bench_jit.py resnet110:32 efficientnet_b0:64    # NETWORK:PIXELS

Batches of 128 random images, SGD with momentum, the step that `train` compiles; plain and compiled steps in turns,
ratios are medians of those of the same round. Compiling itself is not counted, but said.
"""

import argparse
import datetime
import os
import platform
import statistics
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import kerascnn
from kerascnn import analysis
from kerascnn._files import replace_with

BATCH, CLASSES, ROUNDS = 128, 10, 5
NETWORKS = (
    "resnet20:28", "plain20:28", "vit_thin_patch4_32:32", "simplenet_310k:28", "simpnet_300k:28", "highway_a:28",
    "densenet40_k12_bc:28", "darts_v2_thin:28", "resnext29_8x2d_thin:28", "tf_mobilenetv1_025_128:64",
)  # fmt: skip


def compiled(network: str, size: int, jit: bool) -> keras.Model:
    """The network, ready to train."""
    keras.utils.set_random_seed(0)
    model = kerascnn.create_model(network, classes=CLASSES, input_shape=(size, size, 1), classifier_activation=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss, jit_compile=jit)
    return model


def compare(network: str, size: int) -> str:
    """The line of a network."""
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(size=(BATCH, size, size, 1)), tf.float32)
    labels = tf.constant(random.integers(0, CLASSES, BATCH))
    models = [compiled(network, size, jit) for jit in (False, True)]
    first, seconds = [], ([], [])
    for number in range(ROUNDS + 1):
        for model, found in zip(models, seconds, strict=True):
            start = time.perf_counter()
            model.train_on_batch(images, labels)
            (found if number else first).append(time.perf_counter() - start)
    plain, fused = (statistics.median(found) for found in seconds)
    ratio = statistics.median(one / other for one, other in zip(seconds[1], seconds[0], strict=True))
    rate = 6 * BATCH * analysis.count(models[0]).macs / plain / 1e9
    return f"{network:26}{size:5}{1000 * plain:9.0f}{rate:12.1f}{1000 * fused:9.0f}{ratio:9.2f}{first[1]:14.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK:PIXELS")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = [
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}; allocator: {Path(os.environ.get('LD_PRELOAD') or 'the C library').name}",
        f"training steps, batch {BATCH}; {ROUNDS} rounds in turns; GFLOP/s: 6 x multiply-adds a second, plain",
        "",
        f"{'':26}{'px':>5}{'ms plain':>9}{'GFLOP/s':>12}{'ms XLA':>9}{'ratio':>9}{'s to compile':>14}",
    ]
    print("\n".join(lines))
    for text in args.networks:
        network, _, size = text.partition(":")
        lines.append(compare(network, int(size)))
        print(lines[-1], flush=True)
    if args.out:
        with replace_with(args.out) as temporary:
            Path(temporary).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Our attention between dense layers beside keras.layers.MultiHeadAttention: forward, and with the gradient, as text.

    python tools/bench_attention.py --out results/bench_attention.txt

Four layers of each in a row, as in ViT-S/16: eight images of 197 tokens, width 384, six heads, float32. Both are run in
turns, so that a slow minute of the machine hits both alike; figures are medians after warm-up.
"""

import argparse
import datetime
import statistics
import time

import keras
import tensorflow as tf

from kerascnn._files import atomic_write
from kerascnn.benchmark import machine
from kerascnn.blocks.transformer import self_attention

BATCH, TOKENS, WIDTH, HEADS, LAYERS = 8, 197, 384, 6, 4
WARM_UP, ROUNDS = 3, 20


def ours(x, name):
    """Dense, `layers.SelfAttention`, dense."""
    return self_attention(x, HEADS, name=name)


def theirs(x, name):
    """Keras' layer with the same weights."""
    return keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=name)(x, x)


def passes(attention):
    """Forward, and forward with the gradient of the mean square, of a row of layers; compiled without XLA."""
    image = x = keras.Input((TOKENS, WIDTH))
    for i in range(LAYERS):
        x = attention(x, f"block{i}")
    model = keras.Model(image, x)
    batch = tf.random.stateless_normal((BATCH, TOKENS, WIDTH), seed=(0, 0))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(batch, training=True)))
        return tape.gradient(loss, [w.value for w in model.trainable_weights])

    return {"forward": tf.function(lambda: model(batch, training=False)), "with the gradient": step}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="the text file to write")
    out = parser.parse_args().out
    subjects = {"kerascnn": passes(ours), "keras": passes(theirs)}
    seconds = {(subject, kind): [] for subject, kinds in subjects.items() for kind in kinds}
    for number in range(WARM_UP + ROUNDS):
        for subject, kind in seconds:
            start = time.perf_counter()
            tf.nest.map_structure(lambda x: x.numpy(), subjects[subject][kind]())
            if number >= WARM_UP:
                seconds[subject, kind].append(time.perf_counter() - start)
    lines = [f"{LAYERS} layers of attention, {BATCH} x {TOKENS} tokens, width {WIDTH}, {HEADS} heads, float32"]
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    lines.append(f"{datetime.date.today()}; {machine.processor()}; {versions}")
    for kind in subjects["kerascnn"]:
        a, b = (1e3 * statistics.median(seconds[subject, kind]) for subject in subjects)
        lines.append(f"{kind}: kerascnn {a:.0f} ms, keras {b:.0f} ms, ratio {a / b:.2f}")
    with atomic_write(out) as file:
        file.write("\n".join(lines) + "\n")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()

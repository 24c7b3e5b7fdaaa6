"""What `fit` with the callbacks of `kerascnn train` costs over a bare `tf.function` loop, as text.

    python tools/bench_fit.py --out results/bench_fit.txt

ResNet-20, batches of 128 at 32 x 32, SGD with momentum, its own recipe's settings: the same compiled model takes the
same batches in turns, by `model.fit` with the callbacks, metrics included, and by a loop that calls one `tf.function`
and does nothing else: no metrics, no callbacks. Ratios are medians over rounds of the seconds per step of the same
round. Batches stand ready in memory, so the input counts for neither.
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

import bench_report
import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

import kerascnn
from kerascnn import training
from kerascnn.tasks import TASKS
from kerascnn.training import callbacks, optimizers, run_folder, schedules

BATCH, CLASSES = 128, 10


def compiled(network: str, size: int, steps: int):
    """The network as `train` compiles it."""
    config = training.TrainConfig(epochs=1, batch_size=BATCH, learning_rate=1e-3, augment="none")
    keras.utils.set_random_seed(0)
    model = kerascnn.create_model(network, classes=CLASSES, input_shape=(size, size, 3))
    task = TASKS["classification"]
    model.compile(
        optimizer=optimizers.build(config, schedules.learning_rate(config, steps), model),
        loss=task.loss(0.0, True),
        metrics=task.metrics(CLASSES),
        jit_compile=False,
        auto_scale_loss=False,
    )
    return model, config


def bare_step(model):
    """One step, and nothing else, as a function of a batch."""

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(images, labels, model(images, training=True))
        model.optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        return loss

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="resnet20")
    parser.add_argument("--size", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10, help="of each way in a round")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    model, config = compiled(args.network, args.size, args.steps)
    random = np.random.RandomState(0)
    images = random.normal(size=(args.steps, BATCH, args.size, args.size, 3)).astype(np.float32)
    labels = tf.one_hot(random.randint(0, CLASSES, (args.steps, BATCH)), CLASSES)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).cache().repeat()
    step = bare_step(model)

    with tempfile.TemporaryDirectory() as folder:
        titles = {name: name for name in TASKS["classification"].measures(CLASSES)}
        hooks = [
            callbacks.SeedEpoch(0),
            callbacks.AverageStatistics(),
            callbacks.StopOnNaN(config, run_folder.RunFolder(Path(folder) / "run")),
            callbacks.ShowProgress(Console(file=io.StringIO()), 1, args.steps, 0, BATCH, titles),
        ]

        def by_fit():
            model.fit(batches, steps_per_epoch=args.steps, epochs=1, shuffle=False, verbose=0, callbacks=hooks)

        def by_loop():
            for batch in batches.take(args.steps):
                step(*batch)

        seconds = {"bare tf.function loop": [], "fit with train's callbacks": []}
        for number in range(args.rounds + 1):  # the first traces and warms up
            for name, run in zip(seconds, (by_loop, by_fit), strict=True):
                start = time.perf_counter()
                run()
                seconds[name] += [(time.perf_counter() - start) / args.steps] if number else []
    what = f"{args.network}, batch {BATCH}, {args.size} pixels; {args.rounds} rounds of {args.steps} steps in turns"
    bench_report.report(seconds, "ms a step", "of the bare loop", what, args.out, 1000)


if __name__ == "__main__":
    main()

"""What the tests of several workers run: `worker_program.py tiny|resnet OUT`, one process, or a worker by TF_CONFIG."""

import json
import os
import signal
import sys
from pathlib import Path

from kerascnn.training.workers import find, join, launch

TINY = {"epochs": 4, "augment": "pad_crop_flip", "learning_rate": 0.02, "batch_statistics": "sync"}
STEPS, BATCH = 20, 32
RATE = 0.0005  # small, for the rounding of sums in another order grows from step to step


def tiny(out, team):
    """Four epochs with batch norm; worker 1 kills itself within the second one, the chief within the fourth."""
    import tiny_runs

    from kerascnn.training import callbacks

    step = callbacks.StopOnNaN.on_train_batch_end

    def killing(self, batch, logs=None):
        step(self, batch, logs)
        for index, epoch in ((1, 1), (0, 3)):
            marker = Path(f"{out}.killed{index}")
            if team and team.members.index == index and self._epoch == epoch and batch == 1 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    callbacks.StopOnNaN.on_train_batch_end = killing
    strategy = {"strategy": "multiworker", "workers": team} if team else {}
    tiny_runs.trainer(tiny_runs.digits())(
        out, lambda: tiny_runs.build(dropout=0), **TINY, teacher=teacher(), **strategy
    )  # fmt: skip


def teacher():
    """A network from which the tiny one learns, the same in all processes."""
    import numpy as np
    import tiny_runs

    model = tiny_runs.build()
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=x.shape) * 0.1 + (x.min() > 0) for x in model.get_weights()])
    return model


def resnet(out, team):
    """The first steps of a ResNet-20 on images of clothes, or of their shape; writes the mean loss after each."""
    import kerascnn
    from kerascnn import training
    from kerascnn.training import callbacks

    if team:
        Path(f"{out}.keras{team.members.index}").write_text(fit_by_keras(team.strategy))
    losses = []
    callbacks.StopOnNaN.on_train_batch_end = lambda self, batch, logs=None: losses.append(float(logs["loss"]))
    source, info = clothes(), kerascnn.model_info("resnet20")
    plan = training.plan(
        info, source, epochs=1, batch_size=BATCH, learning_rate=RATE, batch_statistics="sync",
        strategy="multiworker" if team else "one",
    )  # fmt: skip

    def build():
        return kerascnn.create_model(info.name, classes=10, input_shape=plan.shape, classifier_activation=None)

    training.train(build, source, plan, out, workers=team)
    index = team.members.index if team else 0
    Path(f"{out}.losses{index}").write_text(json.dumps(losses))


def fit_by_keras(strategy):
    """What Keras' own fit raises under a strategy of several workers; empty once it has been mended."""
    import keras
    import numpy as np
    import tensorflow as tf

    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    pairs = tf.data.Dataset.from_tensor_slices((np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32"))).batch(4)
    try:
        model.fit(pairs, verbose=0, shuffle=False)
    except Exception as error:
        return type(error).__name__
    return ""


def clothes():
    """Fashion-MNIST where it lies on this machine, else blurred noise, the same in all processes."""
    import numpy as np

    from kerascnn import data
    from kerascnn._errors import InputError
    from kerascnn.data.source import Source
    from kerascnn.data.splits import Arrays

    folder = os.environ.get("KERASCNN_FASHION_MNIST")
    if folder:
        try:
            return data.load("fashion_mnist", folder, limit=STEPS * BATCH)
        except InputError:
            pass
    random = np.random.default_rng(0)

    def split(count):
        pixels = random.integers(0, 256, (count, 7, 7, 1), np.uint8).repeat(4, 1).repeat(4, 2)
        return Arrays(pixels, random.integers(0, 10, count))

    counts = {"train": STEPS * BATCH, "validation": 32, "test": 32}
    return Source("noise", tuple("abcdefghij"), (28, 28, 1), {name: split(count) for name, count in counts.items()})


if __name__ == "__main__":
    program = {"tiny": tiny, "resnet": resnet}[sys.argv[1]]
    if launch.is_launched():
        with join(find(), out=sys.argv[2], timeout=120) as own:
            program(sys.argv[2], own)
    else:
        sys.exit(launch.launch(2, launch.command_line(), lambda: 0))

"""Fixtures for every test: a network and a run that train in a second. Imports wait until one is asked for."""

import dataclasses

import pytest

SHAPE = (8, 8, 1)


def build(batch_norm: bool = True, dropout: float = 0.3, activation=None):
    """[n, 8, 8, 1] -> [n, 10]: convolution, perhaps batch norm, perhaps dropout, dense."""
    import keras

    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(6, 3, strides=2)(inputs)
    if batch_norm:
        x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    head = keras.layers.Dense(10, activation=activation, dtype="float32")
    return keras.Model(inputs, head(keras.layers.Flatten()(x)), name="tiny")


@pytest.fixture(scope="session")
def network():
    """The builder of the tiny network."""
    return build


def digits():
    """64 real digits to train on, 50 each for validation and testing."""
    from kerascnn import data

    digits = data.load("digits")
    counts = {"train": 64, "validation": 50, "test": 50}
    splits = {name: digits.split(name).first(count, 0) for name, count in counts.items()}
    return dataclasses.replace(digits, splits=splits)


@pytest.fixture(scope="session")
def source():
    """See `digits`."""
    return digits()


def trainer(source):
    """Trains the tiny network: train(folder, build=network, data=source, **fields of TrainConfig)."""
    from kerascnn import training
    from kerascnn._preprocessing import CIFAR

    def start(
        out,
        build=build,
        data=source,
        classes=10,
        shape=SHAPE,
        initialize=None,
        asked=None,
        teacher=None,
        workers=None,
        hooks=(),
        **fields,
    ):
        fields = {"batch_size": 16, "epochs": 3, "learning_rate": 0.05, "warmup_epochs": 0.5, **fields}
        return training.train(
            build,
            data,
            training.TrainConfig(**fields),
            out,
            initialize=initialize,
            model_record={"name": "tiny", "options": {}, "classes": classes, "input_shape": list(shape)},
            preprocessing=CIFAR.for_channels(1),
            asked=asked,
            teacher=teacher,
            workers=workers,
            hooks=hooks,
        )

    return start


@pytest.fixture(scope="session")
def train(source):
    """See `trainer`."""
    return trainer(source)


@pytest.fixture(scope="session")
def same_history():
    """same_history(path, path): two files history.csv agree in all but the time that each epoch took.

    To the rounding of sums, whose order on several threads depends on what else the machine does.
    """
    from kerascnn.training import history

    def check(path, other):
        left, right = (
            [{k: v for k, v in row.items() if k != "seconds"} for row in history.read(p)] for p in (path, other)
        )
        assert left == [pytest.approx(row, rel=1e-4) for row in right]

    return check

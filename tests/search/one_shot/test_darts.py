"""DARTS from end to end, on a supernet of seconds."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.cells import Genotype
from kerascnn.search import one_shot, spaces
from kerascnn.search.one_shot.choice import softmax

SPACE = spaces.Edges(("sep_3x3", "identity"), 1, concat_all=True)
CONFIG = one_shot.DartsConfig(epochs=3, batch_size=16, stages=(1, 1), filters=2, alpha_rate=0.05, augment="none")


class Stop(Exception):
    pass


def stop_at(epoch):
    def after(row):
        if row["epoch"] == epoch:
            raise Stop

    return after


def told(result):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]


@pytest.mark.after
def test_a_search_and_its_files_and_the_same_after_a_stop(source, tmp_path):
    whole = one_shot.darts(SPACE, source, CONFIG, tmp_path / "whole", seed=1)
    with pytest.raises(Stop):
        one_shot.darts(SPACE, source, CONFIG, tmp_path / "parts", seed=1, after=stop_at(2))
    parts = one_shot.darts(SPACE, source, CONFIG, tmp_path / "parts", seed=1)
    assert told(parts) == told(whole) and parts.genotype == whole.genotype
    for one, two in zip(parts.supernet.weights_of(), whole.supernet.weights_of(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert {path.name for path in whole.folder.iterdir()} == {
        "alphas.png", "cells.png", "genotype.json", "search.json", "state.npz",
    }  # fmt: skip
    assert Genotype.load(whole.folder / "genotype.json") == whole.genotype
    rows = json.loads((whole.folder / "search.json").read_text())["rows"]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert np.shape(rows[-1]["alphas"]["normal"]) == (2, 3)
    assert rows[-1]["parameters"] == whole.supernet.parameters(whole.genotype)
    assert SPACE.decode(SPACE.encode(whole.genotype)) == whole.genotype
    assert rows[0]["alphas"] != rows[-1]["alphas"] and rows[-1]["loss"] < rows[0]["loss"]
    with pytest.raises(InputError, match="holds another search"):
        one_shot.darts(SPACE, source, CONFIG, tmp_path / "whole", seed=2)


@pytest.mark.after
def test_the_second_order_moves_the_architecture_elsewhere(source):

    alphas = {}
    for order in ("first", "second"):
        config = dataclasses.replace(CONFIG, epochs=1, order=order)
        alphas[order] = np.array(one_shot.darts(SPACE, source, config).history[-1]["alphas"]["normal"])
    assert 1e-5 < np.abs(alphas["first"] - alphas["second"]).max() < 0.5


def test_a_warm_up_leaves_the_architecture_alone_and_skips_end_the_search(source):

    config = dataclasses.replace(CONFIG, epochs=2, warm_up=2, alpha_scale=0.0, zero=False)
    space = spaces.Edges(("identity", "sep_3x3"), 1, concat_all=True, shared=True)
    row = one_shot.darts(space, source, config).history[-1]
    assert row["alphas"]["normal"] == row["alphas"]["reduce"] == [[0.0, 0.0]] * 2
    assert row["entropy"][0] == pytest.approx(np.log(2))
    assert row["skips"] == 2, "of equal operations the first"
    stopped = one_shot.darts(space, source, dataclasses.replace(config, most_skips=1))
    assert len(stopped.history) == 1


def test_what_cannot_be_used_is_refused(source):
    with pytest.raises(InputError, match="space must be an Edges space"):
        one_shot.darts(spaces.enas_micro(), source, CONFIG)
    with pytest.raises(InputError, match="order must be one of first, second. Received: order='exact'"):
        one_shot.DartsConfig(order="exact")
    with pytest.raises(InputError, match="temperature must be"):
        one_shot.DartsConfig(temperature=0)


class Noise(keras.layers.Layer):
    """Forgets what it reads."""

    def __init__(self, stride, **options):
        super().__init__(**options)
        self.stride = stride

    def call(self, inputs):
        return tf.random.normal(tf.shape(inputs[:, :: self.stride, :: self.stride]))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return batch, -(-height // self.stride), -(-width // self.stride), channels


def noise(value, filters, stride, style, *, name):
    return Noise(stride, name=name)(value.x)


def test_an_operation_that_makes_noise_loses(source):
    config = one_shot.DartsConfig(
        epochs=12, batch_size=16, stages=(1, 1), filters=4, alpha_rate=0.05, augment="none", rate=0.1
    )
    result = one_shot.darts(SPACE, source, config, own={"noise": noise})
    operations = result.supernet.operations
    for kind in ("normal", "reduce"):
        weights = softmax(np.array(result.history[-1]["alphas"][kind])).mean(0)
        others = [w for name, w in zip(operations, weights, strict=True) if name not in ("noise", "zero")]
        assert weights[operations.index("noise")] < min(others) - 0.02, dict(zip(operations, weights, strict=True))
    assert all(term.operation != "noise" for node in result.genotype.normal.nodes for term in node)

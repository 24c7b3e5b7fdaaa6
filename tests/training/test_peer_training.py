"""50 steps from the same weights on the same images as timm's: the loss of each, and batch statistics after them.

tools/peer_training.py has recorded timm's, in float64.
"""

import gzip
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import kerascnn
from kerascnn import weights
from kerascnn.tasks import TASKS
from kerascnn.training import TrainConfig, optimizers

sys.path.insert(0, str(Path(__file__).parents[1] / "applications"))

import recorded  # noqa: E402

PEER = json.loads(gzip.decompress(recorded.TRAINING.read_bytes()))
SHAPE = (recorded.SIZE, recorded.SIZE, 3)
RMSPROP = {"optimizer": "rmsprop_tf", "learning_rate": 1e-6, "momentum": 0.9, "epsilon": 1e-3}
# name -> (options of the network, settings as in tools/peer_training.py)
RUNS = {
    "resnet18": ({}, {"learning_rate": 2e-5, "momentum": 0.9, "nesterov": True, "l2": 1e-4}),
    "mobilenetv2_100": ({"dropout_rate": 0.0}, {**RMSPROP, "l2": 4e-5}),
    "efficientnet_b0": ({"dropout_rate": 0.0, "drop_path_rate": 0.0}, {**RMSPROP, "l2": 1e-5}),
    "vit_tiny_patch16_224": ({}, {"optimizer": "adamw", "learning_rate": 1e-4, "weight_decay": 0.05}),
}
CHEAP = "vit_tiny_patch16_224"  # the others take minutes


def as_torch_keeps_it(layer, first):
    """PyTorch's running variance estimates that of the population: n / (n - 1) times Keras', for n places a batch."""
    places = recorded.BATCH * int(np.prod(layer.output.shape[1:-1]))
    left = layer.momentum**recorded.STEPS * first  # of what was there before
    value = layer.moving_variance.numpy()
    layer.moving_variance.assign(left + (value - left) * places / (places - 1))


def test_the_same_networks():
    assert set(RUNS) == set(PEER) - {"versions"} and all(len(PEER[name]["losses"]) == recorded.STEPS for name in RUNS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.after if name == CHEAP else pytest.mark.slow) for name in RUNS]
)
def test_fifty_steps(name, tmp_path):
    (options, fields), peer = RUNS[name], PEER[name]
    save_file(recorded.values(peer["shapes"]), tmp_path / "state.safetensors")
    model = kerascnn.create_model(
        name, weights=str(tmp_path / "state.safetensors"), classes=recorded.CLASSES, input_shape=SHAPE,
        classifier_activation=None, **options,
    )  # fmt: skip
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.9  # timm's 0.1, in all of these
    first = [layer.moving_variance.numpy() for layer in norms]
    config = TrainConfig(**{"nesterov": False, **fields})
    loss = TASKS["classification"].loss(0.0, True)
    model.compile(optimizers.build(config, config.learning_rate, model), loss, jit_compile=False)
    losses = []
    for step in range(recorded.STEPS):
        model.reset_metrics()  # else it is the mean of the steps so far
        losses.append(float(model.train_on_batch(*recorded.batch(step), return_dict=True)["loss"]))
    np.testing.assert_allclose(losses, peer["losses"], rtol=1e-3)
    for layer, variance in zip(norms, first, strict=True):
        as_torch_keeps_it(layer, variance)
    model.reset_metrics()
    evaluated = float(model.test_on_batch(*recorded.batch(recorded.STEPS - 1), return_dict=True)["loss"])
    assert evaluated == pytest.approx(peer["evaluated"], rel=1e-3)
    # Each weight has moved as far, which tells the optimizer; and so have the batch statistics.
    weights.save_torch(model, tmp_path / "after.safetensors", "timm")
    after, before = load_file(tmp_path / "after.safetensors"), recorded.values(peer["shapes"])
    for entry, distance in peer["moved"].items():
        moved = np.linalg.norm(after[entry].astype("float64") - before[entry])
        rounding = recorded.STEPS * 2**-24 * float(np.linalg.norm(before[entry]))  # of float32, half a unit a step
        assert moved == pytest.approx(distance, rel=2e-2, abs=rounding + 1e-6), entry
    for entry, mean in peer["statistics"].items():
        assert after[entry].astype("float64").mean() == pytest.approx(mean, rel=1e-3, abs=1e-3), entry

"""Helpers of the parity tests: random weights, copying them between implementations, and running a peer."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest

TOOL = Path(__file__).parents[2] / "tools" / "peer_forward.py"


def check(name: str, peer_name: str, ours, theirs, limit: float = 1e-4) -> None:
    """The largest absolute difference, relative to the largest value, is within the limit.

    Where KERASCNN_PARITY_OUT names a file, a row of results/parity.md is appended to it.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all() and theirs.std() > 0
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if out := os.environ.get("KERASCNN_PARITY_OUT"):
        with open(out, "a", encoding="utf-8") as file:
            file.write(f"| `{name}` | {peer_name} | {difference:.1e} |\n")
    assert difference <= limit


def randomize(model: keras.Model, seed: int = 0) -> None:
    """Random weights, and batch statistics as a trained network might have: no mean 0, no variance 1."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            shape = variable.shape
            if variable.name == "kernel":
                value = rng.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape)
            elif variable.name == "gamma":
                value = rng.uniform(0.5, 1.0, shape)
            elif variable.name == "moving_variance":
                value = rng.uniform(0.5, 2.0, shape)
            else:
                value = rng.normal(0, 0.2, shape)
            variable.assign(value)


def copy_layers(source: keras.Model, target: keras.Model, rename) -> None:
    """Copies every layer with weights; a convolution's bias that the target lacks goes into the batch norm after it.

    Args:
        source, target: the models.
        rename: name in the source -> name in the target.
    """
    spare = {}  # target's batch norm -> bias that it must take
    copied = set()
    for layer in source.layers:
        values = layer.get_weights()
        if not values:
            continue
        name = rename(layer.name)
        twin = target.get_layer(name)
        if isinstance(layer, keras.layers.Conv2D) and layer.use_bias and not twin.use_bias:
            spare[name.replace("conv", "bn")] = values.pop()
        if isinstance(layer, keras.layers.BatchNormalization):
            values[2] = values[2] - spare.pop(name, 0)
            values[3] = values[3] + layer.epsilon - twin.epsilon
        twin.set_weights(values)
        copied.add(name)
    assert not spare
    assert copied == {layer.name for layer in target.layers if layer.weights}


def peer(library: str, name: str, folder: Path, **options: int) -> dict[str, np.ndarray]:
    """Runs a Torch network in this process or in KERASCNN_PEERS_PYTHON's; skips the test where neither has torch."""
    python = os.environ.get("KERASCNN_PEERS_PYTHON")
    if not python:
        pytest.importorskip("torch", reason="needs the peers extra, or KERASCNN_PEERS_PYTHON with it")
        pytest.importorskip(library)
        spec = importlib.util.spec_from_file_location("peer_forward", TOOL)
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        return tool.forward(library, name, **options)
    path = folder / f"{name}.npz"
    flags = [f"--{key}={value}" for key, value in options.items()]
    environment = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("KERASCNN_PEERS_LD_LIBRARY_PATH", "")}
    for key in ("PYTHONPATH", "LD_PRELOAD"):
        environment.pop(key, None)
    subprocess.run([python, str(TOOL), library, name, str(path), *flags], env=environment, check=True, timeout=300)
    with np.load(path) as arrays:
        return dict(arrays)


_VARIABLES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def copy_state(arrays: dict[str, np.ndarray], target: keras.Model, rename) -> None:
    """Copies a Torch state dict into a model; every entry must find its variable and every variable its entry.

    Args:
        arrays: what `peer` returned.
        target: the model.
        rename: name of a Torch module -> name of the layer.
    """
    wanted = {(layer.name, variable.name): variable for layer in target.layers for variable in layer.weights}
    for key, value in arrays.items():
        if not key.startswith("state/") or key.endswith("num_batches_tracked"):
            continue
        module, _, entry = key.removeprefix("state/").rpartition(".")
        layer = target.get_layer(rename(module))
        if isinstance(layer, keras.layers.BatchNormalization):
            variable = _VARIABLES[entry]
        elif entry == "weight":
            variable = "kernel"
            value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
        else:
            variable = entry
        variable = wanted.pop((layer.name, variable))
        variable.assign(value.reshape(variable.shape))  # timm has dense layers that are 1x1 convolutions
    assert not wanted, sorted(wanted)


def images(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The peer's input as [n, h, w, 3]."""
    return arrays["input"].transpose(0, 2, 3, 1)


def torch_resnet_name(module: str) -> str:
    """Module of torchvision's and timm's version 1 networks -> our layer."""
    if module in ("conv1", "bn1"):
        return f"stem_{module[:-1]}"
    if module == "fc":
        return "head"
    stage, block, rest = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", module).groups()
    rest = {"downsample.0": "shortcut_conv", "downsample.1": "shortcut_bn"}.get(rest, rest)
    return f"stage{stage}_block{int(block) + 1}_{rest}"

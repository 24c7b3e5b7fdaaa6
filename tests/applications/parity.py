"""Helpers of the parity tests: random weights, running a peer, and comparing."""

import importlib.util
import os
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from kerascnn.surgery.cut import input_in

TOOL = Path(__file__).parents[2] / "tools" / "peer_forward.py"


def check(name: str, peer_name: str, ours, theirs, limit: float = 1e-4, *, features: tuple = ()) -> None:
    """The largest absolute difference, relative to the largest value, is within the limit.

    Args:
        name: of our network.
        peer_name: the peer in the table.
        ours: our outputs.
        theirs: the peer's.
        limit: of the difference.
        features: our features and the peer's, of which the images are flattened.

    Where KERASCNN_PARITY_OUT names a file, a row of results/parity.md is appended to it.
    """
    flat = [np.reshape(values, (len(values), -1)) for values in features]
    found = [difference(*flat)] if features else []
    found.append(difference(ours, theirs))
    if out := os.environ.get("KERASCNN_PARITY_OUT"):
        with open(out, "a", encoding="utf-8") as file:
            file.write(f"| `{name}` | {peer_name} | {' | '.join(f'{value:.1e}' for value in found)} |\n")
    assert max(found) <= limit


def with_features(model: keras.Model) -> keras.Model:
    """images -> (what the classifier is given, outputs)."""
    return keras.Model(model.inputs[0], [input_in(model, model.get_layer("head")), model.output])


def channels_last(array: np.ndarray) -> np.ndarray:
    """Maps [n, channels, h, w] of a Torch network as [n, h, w, channels]; vectors as they are."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def difference(ours, theirs) -> float:
    """The largest absolute difference over the largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all() and theirs.std() > 0
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def randomize(model: keras.Model, seed: int = 0) -> None:
    """Random weights, and batch statistics as a trained network might have: no mean 0, no variance 1."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):  # of pixels; see `preprocessed`
            continue
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


def preprocessed(model: keras.Model, images: np.ndarray):
    """What a model of Keras that preprocesses its images itself feeds its first convolution, else the images."""
    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    own = [layer for layer in model.layers if isinstance(layer, kinds)]
    return keras.Model(model.input, own[-1].output)(images) if own else images


def peer(library: str, name: str, folder: Path, **options: int | str) -> dict[str, np.ndarray]:
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
    subprocess.run([python, str(TOOL), library, name, str(path), *flags], env=environment, check=True, timeout=900)
    with np.load(path) as arrays:
        return dict(arrays)


def save_state(arrays: dict[str, np.ndarray], path: Path) -> Path:
    """Writes the state dict of what `peer` returned as a `.safetensors` file."""
    save_file(
        {k.removeprefix("state/"): np.ascontiguousarray(v) for k, v in arrays.items() if k.startswith("state/")}, path
    )
    return path


def images(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The peer's input as [n, h, w, 3]."""
    return channels_last(arrays["input"])

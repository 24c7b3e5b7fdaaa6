"""Our explanations beside those of captum and pytorch-grad-cam, on the same weights in timm's networks.

    python tools/explain_parity.py --peers-python /path/to/python

Writes results/explain_parity.md, the largest differences, and tests/golden/explain_peers.npz, some of the peers'
values, which tests/explain/test_peers.py compares with ours where there is no PyTorch. The peers run in
tools/explain_peers.py.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import keras
import numpy as np

import kerascnn
from kerascnn import explain
from kerascnn._files import atomic_write, replace_with

ROOT = Path(__file__).parents[1]
FIXTURE, TABLE = ROOT / "tests/golden/explain_peers.npz", ROOT / "results/explain_parity.md"
STEPS, KEPT = 6, 48

# Ours, which is timm's name too: the side, our layer (None: the one that is found), timm's, and what that gives.
NETWORKS = {
    "resnet18": (64, None, "layer4", ""),
    "resnext50_32x4d": (64, None, "layer4", ""),
    "densenet121": (64, None, "features.norm5", ""),
    "vgg11": (64, "stage5_pool", "features", ""),
    "mobilenetv2_035": (64, None, "bn2", ""),
    "vit_tiny_patch16_224": (64, None, "blocks.11.norm1", "tokens"),
    "swin_tiny_patch4_window7_224": (224, None, "norm", "last"),
}
TARGETS = {"mobilenetv2_035": 5, "swin_tiny_patch4_window7_224": 1}  # not 3, whose Grad-CAM is 0 everywhere
METHODS = (
    "gradients", "integrated_gradients", "guided_backprop", "deconvnet", "occlusion", "grad_cam", "grad_cam_plus_plus",
    "guided_grad_cam",
)  # fmt: skip


def scale(name: str) -> float:
    """The score's factor for Grad-CAM++; more for tokens, whose sums may be negative and the denominator near 0."""
    return 1e6 if NETWORKS[name][3] else 1e3


def target_of(name: str) -> int:
    """The class that is explained."""
    return TARGETS.get(name, 3)


def settings(name: str) -> dict:
    """What both sides are asked."""
    side, _, _, kind = NETWORKS[name]
    window = side * 3 // 8
    return {
        "target": target_of(name),
        "window": window,
        "stride": window * 3 // 4,  # the last windows are cut at the border
        "steps": STEPS,
        "scale": scale(name),
        "kind": kind,
        "grid": [side // 16] * 2,
        "options": {"img_size": side} if kind else {},
    }


def network(name: str) -> tuple[keras.Model, np.ndarray]:
    """Ours with random weights, the same on every machine, and an image [1, side, side, 3]."""
    side = NETWORKS[name][0]
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        model = kerascnn.create_model(name, input_shape=(side, side, 3), classifier_activation=None)
    finally:
        keras.config.set_dtype_policy(policy)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        shape = variable.shape
        if variable.name == "kernel":
            inputs = np.prod(shape[:2]) if len(shape) == 4 and shape[3] == 1 else np.prod(shape[:-1])  # depthwise: 1
            value = rng.normal(0, (2 / inputs) ** 0.5, shape)
        elif variable.name == "gamma":
            value = rng.uniform(0.5, 1.0, shape)
        elif variable.name == "moving_variance":
            value = rng.uniform(0.5, 2.0, shape)
        else:
            value = rng.normal(0, 0.2, shape)
        variable.assign(value.astype("float32"))  # as the file that the peers read has them
    return model, rng.normal(size=(1, side, side, 3)).astype("float32")


def scaled(name: str):
    """The score of the class times `scale`, as a target."""
    return lambda logits: scale(name) * logits[:, target_of(name)]


def ours(name: str, model: keras.Model, image: np.ndarray) -> dict[str, np.ndarray]:
    """Each method's values; where there is no ReLU, without those whose rule is one of ReLUs."""
    asked, layer = settings(name), NETWORKS[name][1]
    options = {"window": asked["window"], "stride": asked["stride"], "steps": asked["steps"]}
    found = {}
    for method in METHODS:
        function = explain.METHODS[method]
        given = {key: value for key, value in options.items() if key in function.__kwdefaults__}
        cam = method.startswith("grad_cam")
        given |= {"layer": layer} if "grad_cam" in method else {}
        try:
            one = function(model, image, scaled(name) if cam else target_of(name), **given)
        except kerascnn.InputError as error:
            if "must have one" not in str(error):
                raise
            continue
        found[method] = one.maps if method == "occlusion" else one.raw
    return found


def theirs(name: str, model: keras.Model, image: np.ndarray, python: str) -> dict[str, np.ndarray]:
    """The peers' values for the same weights and image."""
    environment = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("KERASCNN_PEERS_LD_LIBRARY_PATH", "")}
    for key in ("PYTHONPATH", "LD_PRELOAD"):
        environment.pop(key, None)
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / file) for file in ("state.safetensors", "images.npy", "out.npz", "settings.json")]
        kerascnn.weights.save_torch(model, paths[0], "timm")
        np.save(paths[1], image)
        Path(paths[3]).write_text(json.dumps(settings(name)))
        command = [python, str(ROOT / "tools/explain_peers.py"), name, *paths[:3], "--layer", NETWORKS[name][2]]
        subprocess.run([*command, "--settings", paths[3]], env=environment, check=True, timeout=900)
        with np.load(paths[2]) as arrays:
            return dict(arrays)


def differences(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> dict[str, float]:
    """For each method that both have, the largest difference over the largest value."""
    found = {}
    for method in METHODS:
        if method in left and method in right:
            largest = float(np.abs(right[method]).max())
            if not largest > 0:
                raise SystemExit(f"{method} is 0 everywhere, which compares nothing: other weights or another class")
            found[method] = float(np.abs(left[method] - right[method]).max()) / largest
    return found


def kept(values: np.ndarray) -> np.ndarray:
    """Some of the values, spread over all places, and the largest absolute one at the end: float32 [KEPT + 1]."""
    places = np.random.default_rng(values.size).permutation(values.size)[:KEPT]
    return np.append(values.ravel()[places], np.abs(values).max()).astype("float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="the interpreter that has torch, timm, captum, grad-cam")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS, help="the others stay")
    args = parser.parse_args()
    python = args.peers_python
    rows, fixture = {}, {}
    if TABLE.exists() and set(args.networks) != set(NETWORKS):
        rows = {line.split("`")[1]: line for line in TABLE.read_text().splitlines() if line.startswith("| `")}
        with np.load(FIXTURE) as arrays:
            fixture = dict(arrays)
    for name in args.networks:
        model, image = network(name)
        peers = theirs(name, model, image, python)
        found = differences(ours(name, model, image), peers)
        print(name, {method: f"{value:.1e}" for method, value in found.items()}, flush=True)
        cells = [f"`{name}`", *(f"{found[x]:.1e}" if x in found else "no ReLU" for x in METHODS)]
        rows[name] = f"| {' | '.join(cells)} |"
        fixture |= {f"{name}/{method}": kept(peers[method]) for method in found}
        write(rows, fixture, str(peers["versions"]))


def write(rows: dict[str, str], fixture: dict[str, np.ndarray], versions: str) -> None:
    """The table and the fixture, of what there is."""
    head = ["network", *(f"`{method}`" for method in METHODS)]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head))]
    table = "\n".join([*lines, *(rows[name] for name in NETWORKS if name in rows)])
    text = (
        "# Explanations beside captum's and pytorch-grad-cam's\n\n"
        "The largest absolute difference over the largest value, on the same random weights in timm's network, one\n"
        "image, double precision at both sides, the score of one class. Grad-CAM and Grad-CAM++ are compared at the\n"
        "layer's size, before pytorch-grad-cam scales them. `no ReLU`: ours refuse, captum's give the gradient.\n"
        f"{versions}; `python tools/explain_parity.py --peers-python ...`.\n\n{table}\n"
    )
    with replace_with(TABLE) as temporary:
        Path(temporary).write_text(text)
    with atomic_write(FIXTURE, "wb") as file:
        np.savez_compressed(file, **fixture)


if __name__ == "__main__":
    main()

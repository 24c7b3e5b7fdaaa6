"""How exact gradients in float32 are: ours and PyTorch's, beside those in float64 of the same weights and images.

    python tools/gradient_error.py --peers-python /path/to/python [NETWORK ...]

The error of a batch is the length of the difference of all gradients, over the length of the true ones; of the batches
the smallest is compared. Every ReLU is a softplus here, on all sides: else a sum that is almost 0 falls on the other
side of a ReLU in most batches, which changes gradients by a part in a hundred or a thousand, whoever computes them, and
hides what is to be seen. (It is never negative, as pools that pad with zeros need it.)

PyTorch computes twice: contiguous, which is its default, and channels_last, whose convolutions are those that
TensorFlow calls. All compute on one thread, as threads decide how sums are divided. The rows of the networks named, or
of all, are written into results/gradient_error.txt. timm runs in tools/gradient_peers.py.
"""

import argparse
import datetime
import json
import os
import subprocess
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file

import kerascnn
from kerascnn import weights
from kerascnn._files import atomic_write
from kerascnn.benchmark import machine

ROOT = Path(__file__).parents[1]
TABLE, LIMIT = ROOT / "results/gradient_error.txt", 1.5
BATCHES, BATCH, CLASSES = 3, 4, 10
# Ours, which is timm's name too, but for these -> the side of the images.
NETWORKS = {
    "resnet18": 64, "mobilenetv2_100": 64, "resnet50": 64, "efficientnet_b0": 64, "vit_tiny_patch16_224": 64,
    "densenet121": 64, "vgg11": 64, "mobilenetv2_035": 96, "mobilenetv1_100": 64, "efficientnet_lite0": 64,
    "resnet34": 64, "vgg11_bn": 64, "mixer_s32_224": 64, "seresnet50_timm": 64, "resnext50_32x4d": 64,
    "dpn68": 64, "inception_v3": 96, "legacy_xception": 96, "resnetv2_50x1_bit": 64, "inception_v4": 96,
}  # fmt: skip
PEERS = {"seresnet50_timm": "seresnet50"}
SIZED = ("vit_", "mixer_")  # timm is told the size of the images


def ours(name: str, size: int, folder: Path, images: np.ndarray, labels: np.ndarray):
    """Yields our gradients of each batch in training mode, by timm's names."""
    options = {"input_shape": (size, size, 3), "classes": CLASSES, "classifier_activation": None}
    model = kerascnn.create_model(name, weights=str(folder / "state.safetensors"), **options)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif isinstance(layer, keras.layers.ReLU):
            layer.call = keras.activations.softplus
        elif getattr(layer, "activation", None) is keras.activations.relu:
            layer.activation = keras.activations.softplus
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True))
        return tape.gradient(value, [variable.value for variable in model.trainable_variables])

    start, path = model.get_weights(), folder / "ours.safetensors"
    for batch, truth in zip(images, labels, strict=True):
        model.set_weights(start)
        found = step(tf.constant(batch.transpose(0, 2, 3, 1)), tf.constant(truth))
        for variable, gradient in zip(model.trainable_variables, found, strict=True):
            variable.assign(gradient)  # and then by timm's names, as weights are
        weights.save_torch(model, path, "timm")
        yield load_file(path)


def error(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> float:
    """The length of the difference over the length."""
    square = sum(float(np.square(found[key].astype("float64") - value).sum()) for key, value in truth.items())
    return (square / sum(float(np.square(value).sum()) for value in truth.values())) ** 0.5


def measure(name: str, folder: Path, peers: subprocess.Popen) -> tuple[np.ndarray, str]:
    """The errors of each batch, [batches, 3]: ours, PyTorch's contiguous and channels_last; and the peer's versions."""
    size, peer = NETWORKS[name], PEERS.get(name, name)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((BATCHES, BATCH, 3, size, size)).astype("float32")
    labels = rng.integers(0, CLASSES, (BATCHES, BATCH))
    options = {"num_classes": CLASSES, **({"img_size": size} if peer.startswith(SIZED) else {})}
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
    peers.stdin.write(peer + "\n")
    peers.stdin.flush()
    if not (versions := peers.stdout.readline().strip()):
        raise RuntimeError(f"tools/gradient_peers.py has ended at {peer}")
    found = [
        error(gradients, load_file(folder / f"truth{i}.safetensors"))
        for i, gradients in enumerate(ours(name, size, folder, images, labels))
    ]
    theirs = json.loads((folder / "errors.json").read_text(encoding="utf-8"))
    return np.array([found, theirs["contiguous"], theirs["channels_last"]]).T, versions


def row(name: str, errors: np.ndarray) -> str:
    mine, default, last = errors.min(0)
    cells = f"{name:22} {mine:9.1e} {default:10.1e} {last:13.1e} {mine / default:12.2f} {mine / last:13.2f}"
    return f"{cells}{'' if mine <= LIMIT * default else f'  above {LIMIT}'}"


def write(rows: dict[str, str], versions: str) -> None:
    """Puts rows into the table; those of other networks stay as they were measured."""
    lines = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []
    kept = {line.split()[0]: line for line in lines if line.split() and line.split()[0] in NETWORKS} | rows
    head = [
        f"{datetime.date.today()}, {machine.processor()}, TensorFlow {tf.__version__}, Keras {keras.__version__}, "
        + versions,
        f"Relative errors of gradients in float32, beside float64's: the smallest of {BATCHES} batches of {BATCH} "
        "images of noise,",
        "64 or 96 pixels; timm's weights of seed 0, gains from 0.5 to 1, softplus for every ReLU, one thread.",
        "",
        f"{'':22} {'':9} {'PyTorch':>10} {'PyTorch':>13} {'ours /':>12} {'ours /':>13}",
        f"{'network':22} {'ours':>9} {'contiguous':>10} {'channels_last':>13} {'contiguous':>12} {'channels_last':>13}",
    ]
    ordered = [kept[name] for name in NETWORKS if name in kept]
    with atomic_write(TABLE) as file:
        file.write("\n".join([line.rstrip() for line in [*head, *ordered]]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NETWORKS, []], metavar="NETWORK", help="none: all")
    parser.add_argument("--peers-python", required=True, help="an interpreter with torch and timm")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LD_PRELOAD")}
    environment["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        words = [args.peers_python, str(Path(__file__).with_name("gradient_peers.py")), folder]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(words, env=environment, **pipes) as peers:
            for name in args.names or NETWORKS:
                errors, versions = measure(name, Path(folder), peers)
                write({name: row(name, errors)}, versions)
                print(row(name, errors), flush=True)
                keras.backend.clear_session()
            peers.stdin.close()


if __name__ == "__main__":
    main()

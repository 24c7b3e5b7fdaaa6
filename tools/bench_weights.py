"""How long loading a file of weights takes beside reading its bytes and building the network: time and memory, as text.

    python tools/bench_weights.py --peers-python /path/to/python --out results/bench_weights.txt

About four minutes on two cores. Files of ResNet-50 (100 MB) are made in a temporary folder: of this package, of Keras
in its old form, and a state dict in `.safetensors` and, by the interpreter of --peers-python, in PyTorch's own form. In
turns, so that a slow minute of the machine hits all alike: the network is built; a file is read into memory; the
network is built with `weights=`. Figures are medians after warm-up; the aim is a ratio of at most 1.3. Memory is the
peak of a process that loads less that of one that only builds, over the size of the file; the aim is at most 1.
"""

import argparse
import datetime
import gc
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 1.3
TO_PYTORCH = "import sys, torch, safetensors.torch as s; torch.save(s.load_file(sys.argv[1]), sys.argv[2])"
PEAK = """
import sys, kerascnn
model = kerascnn.create_model(sys.argv[1], weights=sys.argv[2] if len(sys.argv) > 2 else None)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def torch_name(layer: str, variable: str) -> str:
    """The name of a parameter of torchvision's ResNet."""
    name = re.sub(r"stage(\d)_block(\d+)_", lambda found: f"layer{found[1]}.{int(found[2]) - 1}.", layer)
    name = name.replace("shortcut_conv", "downsample.0").replace("shortcut_bn", "downsample.1")
    name = name.replace("stem_conv", "conv1").replace("stem_bn", "bn1").replace("head", "fc")
    entries = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
    return f"{name}.{({**entries, 'moving_variance': 'running_var'}).get(variable, variable)}"


def make_files(folder: Path, peers_python: str | None) -> dict[str, tuple[str, Path]]:
    """What is measured: format -> (network, file)."""
    import keras
    import numpy as np
    from safetensors.numpy import save_file

    import kerascnn

    model = kerascnn.create_model("resnet50")
    model.save_weights(folder / "own.weights.h5")
    model.save(folder / "own.keras")
    state = {}
    for layer in model.layers:
        for variable in layer.weights:
            value = np.asarray(variable)
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            state[torch_name(layer.name, variable.name)] = np.ascontiguousarray(value)
    save_file(state, folder / "resnet50.safetensors")
    keras.applications.ResNet50(weights=None).save(folder / "resnet50.h5")
    files = {
        ".weights.h5": ("resnet50", folder / "own.weights.h5"),
        ".keras": ("resnet50", folder / "own.keras"),
        ".h5 (Keras 1 and 2)": ("resnet50_v1", folder / "resnet50.h5"),
        ".safetensors": ("resnet50", folder / "resnet50.safetensors"),
    }
    if peers_python:
        path = folder / "resnet50.pth"
        library = os.environ.get("KERASCNN_PEERS_LD_LIBRARY_PATH", "")
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LD_PRELOAD")}
        subprocess.run(
            [peers_python, "-c", TO_PYTORCH, str(folder / "resnet50.safetensors"), str(path)],
            env={**environment, "LD_LIBRARY_PATH": library}, check=True,
        )  # fmt: skip
        files[".pth"] = ("resnet50", path)
    return files


def timed(work) -> float:
    """Seconds of a call; what it made is gone before the next."""
    import keras

    start = time.perf_counter()
    made = work()
    seconds = time.perf_counter() - start
    del made
    keras.backend.clear_session()
    gc.collect()
    return seconds


def measure(files, warm_up: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """format -> "build", "read", "load" -> seconds."""
    import kerascnn

    found = {kind: {"build": [], "read": [], "load": []} for kind in files}
    for number in range(warm_up + rounds):
        for kind, (network, path) in files.items():
            seconds = {
                "build": timed(lambda network=network: kerascnn.create_model(network)),
                "read": timed(path.read_bytes),
                "load": timed(lambda network=network, path=path: kerascnn.create_model(network, weights=path)),
            }
            for key, value in seconds.items():
                found[kind][key] += [value] * (number >= warm_up)
        print(f"round {number + 1} of {warm_up + rounds}", file=sys.stderr, flush=True)
    return found


def peak(*arguments: str) -> int:
    """Peak memory of a fresh process in bytes."""
    done = subprocess.run([sys.executable, "-c", PEAK, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1]) * 1024


def processor() -> str:
    """The processor's name and core count."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def report(files, found, rounds: int, warm_up: int) -> str:
    """The table as text."""
    import keras
    import tensorflow as tf

    import kerascnn

    lines = [
        "ResNet-50 from a file of weights",
        f"{datetime.date.today()}; {processor()}; Python {platform.python_version()}",
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, kerascnn {kerascnn.__version__}",
        f"medians over {rounds} rounds after {warm_up}; ratio: load / (read + build), at most {LIMIT}",
        "memory: peak of a process that loads less that of one that builds, over the size of the file",
        f"{'':20} {'MB':>5} {'build ms':>9} {'read ms':>8} {'load ms':>8} {'ratio':>6} {'memory':>7}",
    ]
    for kind, (network, path) in files.items():
        build, read, load = (1e3 * statistics.median(found[kind][key]) for key in ("build", "read", "load"))
        size = path.stat().st_size
        memory = (peak(network, str(path)) - peak(network)) / size
        ratio = load / (read + build)
        lines.append(f"{kind:20} {size / 1e6:5.0f} {build:9.0f} {read:8.0f} {load:8.0f} {ratio:6.2f} {memory:7.2f}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", help="an interpreter with torch and safetensors (else .pth is left out)")
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", help="also append the table to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder), args.peers_python)
        text = report(files, measure(files, args.warm_up, args.rounds), args.rounds, args.warm_up)
    print(text)
    if args.out:
        with open(args.out, "a") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()

"""What explanations of a network cost, against captum and pytorch-grad-cam on PyTorch in turns in one run, as text.

    python tools/bench_explain.py --peers-python /path/to/python --out results/bench_explain.txt

Both sides explain the same images for a given class with random weights of the same network, after a warm-up of three
calls; each is given batches of the same size, and captum's occlusion as many windows at a time as ours. Ratios are
medians of ours to theirs of the same round. tools/bench_explain_peers.py is the other side, in a process of its own.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import kerascnn
from kerascnn import explain
from kerascnn._files import replace_with

SETTINGS = {
    "images": 4, "size": 224, "target": 7, "batch_size": 25, "steps": 50, "window": 56, "stride": 28,
}  # fmt: skip
METHODS = ("grad_cam", "integrated_gradients", "occlusion")
WARM_UP = 3


def ours(model: keras.Model, images: np.ndarray, settings: dict) -> dict:
    """A function without arguments for each method."""
    common = {"target": settings["target"], "batch_size": settings["batch_size"]}
    more = {
        "grad_cam": {},
        "integrated_gradients": {"steps": settings["steps"]},
        "occlusion": {"window": settings["window"], "stride": settings["stride"]},
    }
    count = {"grad_cam": len(images)}  # the others work on many changed copies of one image

    def call(name):
        return lambda: getattr(explain, name)(model, images[: count.get(name, 1)], **common, **more[name])

    return {name: call(name) for name in METHODS}


class Peer:
    """The other side: is told a method, works, and says the seconds."""

    def __init__(self, python: str, network: str, settings: dict):
        program = Path(__file__).with_name("bench_explain_peers.py")
        self._process = subprocess.Popen(
            [python, program, network, json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions = self._process.stdout.readline().strip()

    def seconds(self, method: str) -> float:
        self._process.stdin.write(f"{method}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"The peer's process ended at {method}.")
        return float(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="a Python with torch, timm, captum and grad-cam")
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=SETTINGS["size"], help="of the images, in pixels")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    settings = {**SETTINGS, "size": args.size, "window": args.size // 4, "stride": args.size // 8}

    peer = Peer(args.peers_python, args.network, settings)
    model = kerascnn.create_model(args.network, input_shape=(args.size, args.size, 3))
    shape = (settings["images"], args.size, args.size, 3)
    images = np.random.default_rng(0).normal(size=shape).astype("float32")
    calls = ours(model, images, settings)
    seconds: dict[str, list[tuple[float, float]]] = {}
    for name in args.methods:
        for number in range(WARM_UP + args.rounds):
            start = time.perf_counter()
            calls[name]()
            own = time.perf_counter() - start
            pair = own, peer.seconds(name)
            print(f"{name} {number}: {pair[0]:.2f} s, {pair[1]:.2f} s", file=sys.stderr, flush=True)
            if number >= WARM_UP:
                seconds.setdefault(name, []).append(pair)
            elif not number:
                first = own
        seconds[name].append((first, float("nan")))
    report(args, settings, seconds, peer.versions)


def report(args, settings: dict, seconds: dict, versions: str) -> None:
    """Prints the table, and writes it where there is a file."""
    lines = [
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}; {versions}; load {os.getloadavg()[0]:.1f} at the end",
        f"{args.network}, {args.size} pixels, {args.rounds} rounds in turns after {WARM_UP}; "
        + ", ".join(f"{name} {value}" for name, value in settings.items() if name != "size"),
        "",
        f"{'':24}{'first, s':>10}{'ours, s':>10}{'theirs, s':>11}{'ours / theirs':>15}",
    ]
    for name, (*pairs, (first, _)) in seconds.items():
        own, other = (statistics.median(values) for values in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        lines.append(f"{name:24}{first:10.2f}{own:10.2f}{other:11.2f}{ratio:15.2f}")
    text = "\n".join(lines) + "\n"
    print(text)
    if args.out:
        with replace_with(args.out) as temporary:
            Path(temporary).write_text(text)


if __name__ == "__main__":
    main()

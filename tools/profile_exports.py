"""Where an export's time goes: by op and kind for the stock one, by instruction for the native one.

    python tools/profile_exports.py mobilenetv2_100 vit_small_patch16_224 --batch 1,8 > results/profile_exports.txt

TensorFlow's profiler records `--repeat` calls after three that are not counted. A row is what all events of its kind
took of a call; GFLOP/s counts a multiply-add as two. What is left is TensorFlow's own: the call, its executor, copies,
and threads that wait for each other. Instructions that each thread does for images of its own count by their part of
the threads. Recording costs a few microseconds an event, of which the stock export of a small network has hundreds.
"""

import argparse
import collections
import datetime
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

import kerascnn
from kerascnn import serving
from kerascnn.benchmark import machine


class Event(NamedTuple):
    """An op or an instruction that ran."""

    text: str
    number: int  # of an instruction; -1 of an op
    kind: str
    milliseconds: float
    multiply_adds: int  # for one image


def main() -> None:
    """Prints a table for each network, batch and kind of export."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--longest", type=int, default=8, help="rows of single instructions")
    settings = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    measured = machine.measure(threads, "float32")
    print(f"{datetime.date.today()}; {measured.processor}, {threads} threads; Python {platform.python_version()};")
    print(f"kerascnn {kerascnn.__version__}; TensorFlow {tf.__version__}; a large matrix product by oneDNN:")
    print(f"{measured.gemm / 1e9:.0f} GFLOP/s")
    for name in settings.networks:
        model = kerascnn.create_model(name)
        for native in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                names = [str(number) for number in range(model.output_shape[-1])]
                serving.export(model, folder, native=native, class_names=names, check=False)
                version = max(Path(folder).iterdir())
                run = tf.saved_model.load(str(version)).signatures["tensors"]
                for batch in map(int, settings.batch.split(",")):
                    images = np.random.default_rng(0).normal(size=(batch, *model.input_shape[1:])).astype("float32")
                    report(name, native, batch, threads, run, tf.constant(images), settings)


def report(name: str, native: bool, batch: int, threads: int, run: Callable, images: tf.Tensor, settings: Any) -> None:
    """Prints one table."""
    (keyword,) = run.structured_input_signature[1]
    for _ in range(3):
        run(**{keyword: images})
    seconds = []
    for _ in range(settings.repeat):
        start = time.perf_counter()
        run(**{keyword: images})
        seconds.append(time.perf_counter() - start)
    events = list(recorded(lambda: run(**{keyword: images}), settings.repeat))
    counts = collections.Counter(event.number for event in events)
    rows = collections.defaultdict(lambda: [0, 0.0, 0])
    kinds = collections.defaultdict(lambda: [0, 0.0, 0])
    for event in events:
        alone = event.number >= 0 and counts[event.number] > settings.repeat  # once for each image
        for table, key in ((rows, event.text), (kinds, event.kind)):
            row = table[key]
            row[0] += 1
            row[1] += event.milliseconds / settings.repeat / (min(threads, batch) if alone else 1)
            row[2] += event.multiply_adds * (1 if alone else batch) / settings.repeat
    wall = 1000 * statistics.median(seconds)
    print(f"\n{name}, batch {batch}, {'native' if native else 'stock'} export: {wall:.2f} ms a call, not recorded")
    print(f"{'of a call':<54}  number       ms      %  GFLOP/s")
    write(kinds, settings.repeat, 12)
    print(f"{'together':<54}          {sum(row[1] for row in kinds.values()):9.2f}")
    if native:
        print("the longest")
        write(rows, settings.repeat, settings.longest)


def write(table: dict[str, list], repeat: int, most: int) -> None:
    """The rows that took the longest."""
    total = sum(row[1] for row in table.values())
    for text, (count, spent, products) in sorted(table.items(), key=lambda item: -item[1][1])[:most]:
        rate = f"{2 * products / spent / 1e6:9.0f}" if products else ""
        print(f"{text:<54}  {count / repeat:6.0f} {spent:9.2f} {100 * spent / total:6.1f}{rate}")


def recorded(run: Callable[[], Any], repeat: int) -> Iterator[Event]:
    """Events of several calls: instructions where there are any, else ops."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(repeat):
                run()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    ops, instructions = [], []
    for plane in space.planes:
        names = {number: metadata.name for number, metadata in plane.stat_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            text = plane.event_metadata[event.metadata_id].name
            stats = {names[stat.metadata_id]: stat.int64_value or stat.uint64_value for stat in event.stats}
            milliseconds = event.duration_ps / 1e9
            if "multiply_adds" in stats:
                kind = " ".join(text.split(" ")[: 2 if text.startswith(("conv", "depthwise", "grouped")) else 1])
                instructions.append(Event(text, stats["instruction"], kind, milliseconds, stats["multiply_adds"]))
            elif ":" in text and "::" not in text and "__inference_" not in text:
                ops.append(Event(text, -1, text.rsplit(":", 1)[1], milliseconds, 0))
    yield from instructions or ops


if __name__ == "__main__":
    main()

"""Images per second of the input pipeline beside plain tf.data, Keras' layers and torchvision's DataLoader, as text.

    python tools/bench_input.py --peers-python /path/to/python --out results/bench_input.txt

About two minutes on two cores. JPEG files of 500 x 375 pixels are made in a temporary folder, read, cut to a random
resized crop of 224 x 224 with antialiasing, mirrored at random, normalized and batched, in turns, so that a slow minute
of the machine hits all alike. Ratios are medians over the rounds of figures of the same round. Keras has no random
resized crop: its layers resize the image and take a random crop. torchvision runs in the interpreter that
--peers-python names, with two workers; without it that column is left out.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import bench_report
import keras
import numpy as np
import tensorflow as tf

from kerascnn import data
from kerascnn._preprocessing import IMAGENET
from kerascnn.data import pipeline
from kerascnn.data.parts import PARTS
from kerascnn.data.source import Source
from kerascnn.data.splits import Files

SIZE, BATCH = 224, 64
MEAN, STD = 255 * np.array(IMAGENET.mean, np.float32), 255 * np.array(IMAGENET.std, np.float32)
# Prints images per second for each line that it reads, so that rounds can be taken in turns.
PEER = """
import sys, time, torch, torchvision
from torchvision import transforms as t
normal = t.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
change = t.Compose([t.RandomResizedCrop(224), t.RandomHorizontalFlip(), t.ToTensor(), normal])
loader = torch.utils.data.DataLoader(torchvision.datasets.ImageFolder(sys.argv[1], change), int(sys.argv[2]),
                                     shuffle=True, num_workers=2, drop_last=True)
for line in sys.stdin:
    batches, count, start = iter(loader), 0, None
    for images, labels in batches:
        if start is None:
            start = time.perf_counter()
        else:
            count += len(images)
    print(count / (time.perf_counter() - start), flush=True)
"""


def make(folder: Path, count: int) -> list[str]:
    """JPEG files that cost about as much to decode as photographs."""
    random, paths = np.random.RandomState(0), []
    y, x = np.mgrid[:375, :500] / 60
    for number in range(count):
        waves = [np.sin(a * x + b * y + c) for a, b, c in random.normal(0, 3, (3, 3))]
        pixels = 128 + 60 * np.stack(waves, -1) + random.normal(0, 12, (375, 500, 3))
        path = folder / "abcd"[number % 4] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        encoded = tf.io.encode_jpeg(np.clip(pixels, 0, 255).astype(np.uint8), quality=90)
        tf.io.write_file(str(path), encoded)
        paths.append(str(path))
    return paths


def ours(paths: list[str], augment: str) -> tf.data.Dataset:
    """`kerascnn.data.train_pipeline`."""
    split = Files(paths, np.arange(len(paths)) % 4)
    source = Source("made", tuple("abcd"), (None, None, 3), dict.fromkeys(PARTS, split))
    shape = (SIZE, SIZE, 3)
    dataset, _ = data.train_pipeline(
        source, image_shape=shape, preprocessing=IMAGENET, batch_size=BATCH, augment=augment, epochs=10_000
    )
    return dataset


def plain(paths: list[str], antialias: bool) -> tf.data.Dataset:
    """The same in tf.data as its guide writes it."""

    def load(path):
        contents = tf.io.read_file(path)
        shape, box = tf.image.extract_jpeg_shape(contents), tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            shape, box, min_object_covered=0.0, aspect_ratio_range=(3 / 4, 4 / 3), area_range=(0.08, 1.0),
            max_attempts=10,
        )  # fmt: skip
        window = tf.stack([begin[0], begin[1], size[0], size[1]])
        image = tf.image.decode_and_crop_jpeg(contents, window, channels=3)
        image = tf.image.resize(image, [SIZE, SIZE], antialias=antialias)
        return (tf.image.random_flip_left_right(image) - MEAN) / STD

    files = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).repeat()
    return files.map(load, tf.data.AUTOTUNE).batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def with_layers(paths: list[str]) -> tf.data.Dataset:
    """Keras' layers: resize, random crop, flip, normalize."""
    resize = keras.layers.Resizing(256, 256, crop_to_aspect_ratio=True)
    crop, flip = keras.layers.RandomCrop(SIZE, SIZE), keras.layers.RandomFlip("horizontal")
    normalize = keras.layers.Normalization(mean=MEAN, variance=STD**2)
    files = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).repeat()
    images = files.map(lambda path: resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3)), tf.data.AUTOTUNE)
    batches = images.batch(BATCH, drop_remainder=True)
    change = tf.data.AUTOTUNE
    return batches.map(lambda batch: normalize(flip(crop(batch, training=True), training=True)), change).prefetch(
        change
    )


def rate(iterator, batches: int) -> float:
    """Images per second."""
    next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return batches * BATCH / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers-python")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=8)
    args = parser.parse_args()
    pipeline.CACHE_BYTES = 0  # as of a set that is too large to be kept
    with tempfile.TemporaryDirectory() as folder:
        paths = make(Path(folder), BATCH * (args.batches + 1))
        makers = {
            "plain tf.data": lambda: plain(paths, True),
            "plain tf.data, no antialiasing": lambda: plain(paths, False),
            "ours": lambda: ours(paths, "random_resized_crop"),
            "ours with randaugment": lambda: ours(paths, "random_resized_crop + randaugment"),
            "Keras' layers": lambda: with_layers(paths),
        }
        rates = {name: [] for name in makers}
        peer = None
        if args.peers_python:
            command = [args.peers_python, "-c", PEER, folder, str(BATCH)]
            peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            rates["torchvision DataLoader"] = []
        for number in range(args.rounds + 1):  # the first warms up
            for name, maker in makers.items():
                found = rate(iter(maker()), args.batches)
                rates[name] += [found] if number else []
            if peer is not None:
                peer.stdin.write("\n")
                peer.stdin.flush()
                found = float(peer.stdout.readline())
                rates["torchvision DataLoader"] += [found] if number else []
        if peer is not None:
            peer.stdin.close()
            peer.wait()
    what = f"batches of {BATCH} at {SIZE} pixels; {args.rounds} rounds of {args.batches} batches in turns"
    bench_report.report(rates, "images/s", "of plain tf.data", what, args.out)


if __name__ == "__main__":
    main()

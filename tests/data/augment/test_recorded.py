"""What the named augmentations gave before they were compositions: runs written then must be resumable."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._preprocessing import CIFAR, Preprocessing
from kerascnn.data import pipeline
from kerascnn.data.masks import PairArrays
from kerascnn.data.parts import PARTS
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays, Files

PLAIN = Preprocessing(mean=(0.0,), std=(1 / 255,), crop_fraction=1.0, fit="pad")  # leaves pixel values as they are
PIXELS = np.random.RandomState(7).randint(0, 256, (6, 16, 16, 3)).astype(np.uint8)

# Each image's number, then the sum of the batch's labels; four batches of three.
# fmt: off
RECORDED = {
    ("arrays", "none"): [
        775.92, 511.91, 365.78, 3.0, 529.65, 793.9, -226.16, 7.0, 511.91, -226.16, 365.78, 5.0, 775.92, 793.9,
        529.65, 5.0,
    ],
    ("arrays", "pad_crop_flip"): [
        444.71, -405.61, 490.15, 3.0, -213.84, -310.51, -52.3, 7.0, 457.68, -102.97, -331.76, 5.0, -242.4,
        -27.53, 68.54, 5.0,
    ],
    ("arrays", "random_resized_crop"): [
        217.27, 354.71, -126.13, 3.0, -51.72, -314.08, 319.39, 7.0, 7.52, -0.65, 26.7, 5.0, -45.76, 85.3,
        -696.95, 5.0,
    ],
    ("arrays", "alexnet"): [
        271.62, -991.54, 1108.03, 3.0, -616.43, 293.12, 601.26, 7.0, 966.36, -386.27, 1911.19, 5.0, 962.71,
        964.93, 226.26, 5.0,
    ],
    ("files", "none"): [
        10.86, 7.08, 4.61, 3.0, 7.25, 11.28, -4.7, 7.0, 7.08, -4.7, 4.61, 5.0, 10.86, 11.28, 7.25, 5.0,
    ],
    ("files", "pad_crop_flip"): [
        -13.32, 5.54, -6.38, 3.0, 0.39, -2.19, 8.42, 7.0, 5.54, -2.39, -12.03, 5.0, -2.75, -12.49, 2.6, 5.0,
    ],
    ("files", "random_resized_crop"): [
        2.4, 4.6, -2.94, 3.0, -1.85, -5.93, 3.98, 7.0, -1.32, -1.14, -0.68, 5.0, -1.73, 0.5, -12.29, 5.0,
    ],
    ("files", "alexnet"): [
        -1.08, -20.22, -35.41, 3.0, -1.58, 5.84, 0.67, 7.0, 10.74, -14.14, -26.84, 5.0, 13.58, -11.9, 2.27,
        5.0,
    ],
    ("masks", "none"): [
        775.92, 511.91, 365.78, 1183.0, 529.65, 793.9, -226.16, 1204.0, 511.91, -226.16, 365.78, 1219.0,
        775.92, 793.9, 529.65, 1168.0,
    ],
    ("masks", "scale_crop_flip"): [
        -35.06, 129.7, 166.91, 72045.0, -90.98, 793.9, -59.45, 49805.0, -408.12, -576.13, 1798.58, 20216.0,
        189.74, -218.31, -284.35, 67490.0,
    ],
}
# fmt: on


def marks(dataset):
    """One number an image, in which each value counts by its place, and the labels' sum."""
    found = []
    for images, labels in dataset.as_numpy_iterator():
        flat = images.reshape(len(images), -1).astype(np.float64)
        places = np.cos(np.arange(flat.shape[1]))
        found += [round(float(mark), 2) for mark in flat @ places]
        found.append(float(labels.sum()))
    return found


def source_of(kind, folder):
    if kind == "masks":
        split = PairArrays(PIXELS, PIXELS[..., 0] % 5, 5)
        return Source("some", tuple("abcde"), (16, 16, 3), dict.fromkeys(PARTS, split), task="segmentation")
    labels = np.arange(6) % 5
    if kind == "files":
        paths = [str(folder / f"{number}.png") for number in range(6)]
        for path, pixels in zip(paths, PIXELS, strict=True):
            tf.io.write_file(path, tf.io.encode_png(pixels))
        split = Files(paths, labels)
    else:
        split = Arrays(PIXELS, labels)
    return Source("some", tuple("abcde"), (16, 16, 3), dict.fromkeys(PARTS, split))


@pytest.mark.parametrize(
    ("kind", "augment"),
    [
        *[(kind, augment) for kind in ("arrays", "files") for augment in data.AUGMENTATIONS],
        ("masks", "none"),
        ("masks", "scale_crop_flip"),
    ],
)
def test_the_numbers_are_the_recorded_ones(tmp_path, monkeypatch, kind, augment):
    if kind == "files":
        monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)  # else they would be kept as arrays
    dataset, _ = data.train_pipeline(
        source_of(kind, tmp_path), image_shape=(14, 14, 3), preprocessing=PLAIN if kind != "files" else CIFAR,
        batch_size=3, augment=augment, seed=3, first_epoch=1, epochs=3,
    )  # fmt: skip
    np.testing.assert_allclose(marks(dataset), RECORDED[kind, augment], rtol=1e-4, atol=0.02)

"""The files of a packed set: TFRecords of `tf.train.Example`; beside them an index, names and labels."""

import os
from pathlib import Path

import tensorflow as tf

INDEX = "kerascnn.json"  # in the folder of the set
FORMAT, VERSION = "packed images", 1
_IMAGE, _LABEL, _NAME = "image/encoded", "image/class/label", "image/filename"
_FEATURES = {_IMAGE: tf.io.FixedLenFeature([], tf.string), _LABEL: tf.io.FixedLenFeature([], tf.int64)}
_AROUND = 16  # bytes of a TFRecord beside its contents: length and two checksums
BUFFER = 8 * 2**20  # bytes read at a time


def names_file(part: str) -> str:
    """Name of the file with the names of a part's examples, NUL between them."""
    return f"{part}.names"


def labels_file(part: str) -> str:
    """Name of the file with the labels of a part's examples, a NumPy array, so that classes can be counted."""
    return f"{part}.labels.npy"


class Shard:
    """One file that is being written.

    Args:
        path: where.
    """

    def __init__(self, path: Path):
        self.path = path
        self.examples = 0
        self.bytes = 0
        self._writer = tf.io.TFRecordWriter(os.fspath(path))

    def write(self, contents: bytes, label: int, name: str):
        """Adds an example: the encoded image, its class, its name.

        Raises:
            OSError: it cannot be written.
        """
        feature = {
            _IMAGE: tf.train.Feature(bytes_list=tf.train.BytesList(value=[contents])),
            _LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            _NAME: tf.train.Feature(bytes_list=tf.train.BytesList(value=[os.fsencode(name)])),
        }
        record = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
        self._do(lambda: self._writer.write(record))
        self.examples += 1
        self.bytes += len(record) + _AROUND

    def close(self):
        """Writes what is left; can be called again.

        Raises:
            OSError: it cannot be written.
        """
        self._do(self._writer.close)

    def _do(self, action):
        try:
            action()
        except tf.errors.OpError as error:
            raise OSError(f"{self.path}: {error.message}") from error


def read(files: list[str] | tf.Tensor) -> tf.data.Dataset:
    """(encoded image, int64 label) of each example, file after file.

    Args:
        files: paths.
    """
    return tf.data.TFRecordDataset(files, buffer_size=BUFFER).map(_parse, tf.data.AUTOTUNE, deterministic=True)


def _parse(record):
    example = tf.io.parse_single_example(record, _FEATURES)
    return example[_IMAGE], example[_LABEL]

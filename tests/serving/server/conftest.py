"""A tiny SavedModel with several signatures and types, exported once; servers on it."""

import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


class Tiny(tf.Module):
    """What TensorFlow Serving's own examples compute: half plus two, and more types."""

    def __init__(self, offset):
        super().__init__()
        self.offset = tf.Variable(offset, dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def half_plus(self, x):
        return {"y": x / 2 + self.offset}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def scalar(self, x):
        return {"y": 1 / x}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def pairs(self, x):
        return {"sum": tf.reduce_sum(x, 1), "pair": x}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], kind, name)
            for name, kind in (("d", tf.float64), ("i", tf.int32), ("l", tf.int64), ("u", tf.uint8), ("b", tf.bool))
        ]
        + [tf.TensorSpec([None], tf.string, "s")]
    )
    def types(self, d, i, l, u, b, s):  # noqa: E741
        return {"d": d, "i": i, "l": l, "u": u, "b": b, "s": s, "s_bytes": s}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def pixels(self, image_bytes):
        def size(contents):
            return tf.size(tf.io.decode_image(contents))

        return {"size": tf.map_fn(size, image_bytes, fn_output_signature=tf.int32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        return {"classes": tf.tile([["low", "high"]], [tf.size(x), 1]), "scores": tf.concat([1 - x, x], 1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        return {"outputs": x / 2 + self.offset}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "until")])
    def waits(self, until):
        """Answers once the file named `until` exists."""
        absent = lambda _: tf.size(tf.io.matching_files(until)) == 0  # noqa: E731
        rounds = tf.while_loop(absent, lambda i: [i + 1], [tf.constant(0)], parallel_iterations=1)[0]
        return {"y": tf.cast(rounds >= 0, tf.float32)}


def write_tiny(folder, offset=2.0):
    """Exports it into `folder`, with the methods that classify and regress need."""
    tiny = Tiny(offset)
    names = ("scalar", "pairs", "types", "pixels", "classify", "regress", "waits")
    signatures = {"serving_default": tiny.half_plus, **{name: getattr(tiny, name) for name in names}}
    tf.saved_model.save(tiny, str(folder), signatures)
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for verb in ("classify", "regress"):
        model.meta_graphs[0].signature_def[verb].method_name = f"tensorflow/serving/{verb}"
    path.write_bytes(model.SerializeToString())
    return folder


@pytest.fixture(scope="session")
def tiny_versions(tmp_path_factory):
    """Folders of two versions, which add 2 and 3."""
    parent = tmp_path_factory.mktemp("tiny")
    return [write_tiny(parent / str(offset), float(offset)) for offset in (2, 3)]


@pytest.fixture
def tiny_folder(tiny_versions, tmp_path):
    """A model's folder with version 1, and a function that adds version N, which adds `offset`."""

    def add(number, offset=3):
        shutil.copytree(tiny_versions[offset - 2], tmp_path / "models" / f".{number}")
        (tmp_path / "models" / f".{number}").rename(tmp_path / "models" / str(number))
        return tmp_path / "models"

    add(1, 2)
    return tmp_path / "models", add

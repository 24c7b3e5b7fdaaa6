"""Runs an op library and C API programs that Bazel built: python tools/bazel_check.py _ops.so PROGRAM...

The library is loaded into this process, which has no other library of kerascnn's ops, and its convolution and local
response normalization are compared with TensorFlow's. Models that hold them are then run by the programs, which must
have the ops linked in, as a server has: they are given no library. All programs but the first need normalization only.
Exit status 0 if all numbers agree. Called by tools/bazel_check.sh.
"""

import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

TENSOR_FILE = Path(__file__).resolve().parents[1] / "kerascnn" / "serving" / "_tensor_file.py"
GROUPS, BIAS, ALPHA, BETA = 4, 2.0, 0.25, 0.75


def convolve(library, x, filters):
    """A grouped convolution by kerascnn's op."""
    return library.kerascnn_conv2d(x=x, filters=filters, strides=[2, 1], padding="SAME", dilations=[1, 1])


def normalize(library, x):
    """Normalization across channels by kerascnn's op."""
    constants = [BIAS, 0.0, ALPHA, 0.0, BETA, 0.0]
    return library.kerascnn_local_response_normalization(x=x, depth_radius=2, constants=constants)


def stock_convolution(x, filters):
    """The same convolution by TensorFlow's op, group by group."""
    parts = zip(tf.split(x, GROUPS, axis=-1), tf.split(filters, GROUPS, axis=-1), strict=True)
    return tf.concat([tf.nn.conv2d(part, weights, [2, 1], "SAME") for part, weights in parts], axis=-1)


def stock_normalization(x):
    """The same normalization by TensorFlow's op."""
    return tf.nn.lrn(x, depth_radius=2, bias=BIAS, alpha=ALPHA, beta=BETA)


def answer_of(program, function, x):
    """What a program answers for a SavedModel of the function."""
    tensor_file = runpy.run_path(str(TENSOR_FILE))

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 16])])
    def serve(images):
        return {"y": function(images)}

    options = tf.saved_model.SaveOptions(namespace_whitelist=["Kerascnn"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tf.saved_model.save(tf.Module(), str(folder / "model"), signatures={"serve": serve}, options=options)
        tensor_file["write_tensors"](folder / "in", {"images": x.numpy()})
        command = [program, folder / "model", "serve", folder / "in", folder / "out"]
        subprocess.run(list(map(str, command)), check=True, timeout=120)
        return tensor_file["read_tensors"](folder / "out")["y"]


def main(ops, program, *normalizing):
    library = tf.load_op_library(ops)
    with open("/proc/self/maps") as maps:
        loaded = {line.split()[-1] for line in maps if line.rstrip().endswith("_ops.so")}
    ours = {path for path in loaded if "tensorflow/" not in path}
    assert ours == {os.path.realpath(ops)}, f"another op library is in this process: {ours}"

    def same(got, want, what):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5, err_msg=what)
        print(f"bazel_check: {what} agrees with TensorFlow's")

    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(2, 9, 10, 16)), tf.float32)
    filters = tf.constant(random.normal(size=(3, 3, 16 // GROUPS, 24)), tf.float32)
    y = stock_convolution(x, filters)
    same(convolve(library, x, filters), y, "conv2d in Python")
    same(normalize(library, x), stock_normalization(x), "local response normalization in Python")
    both = answer_of(program, lambda images: normalize(library, convolve(library, images, filters)), x)
    same(both, stock_normalization(y), f"a model with both in {Path(program).name}")
    for path in normalizing:
        answer = answer_of(path, lambda images: normalize(library, images), x)
        same(answer, stock_normalization(x), f"a model with the latter in {Path(path).name}")


if __name__ == "__main__":
    main(*sys.argv[1:])

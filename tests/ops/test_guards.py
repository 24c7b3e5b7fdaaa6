"""Calls that TensorFlow's own kernels do not survive; and what graphs for export hold."""

import subprocess
import sys

import pytest
import tensorflow as tf

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.ops import _native

CALLS = """
import tensorflow as tf
from kerascnn import layers, ops

def gradient(function, x, spec):
    @tf.function(input_signature=[tf.TensorSpec(spec)], autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y, tape.gradient(y, x)
    try:
        y, dx = run(tf.zeros(x))
        print(list(y.shape), list(dx.shape))
    except tf.errors.InvalidArgumentError as error:
        print("refused:", "must fit" in error.message)

unknown = [None] * 4
gradient(lambda x: ops.saf_pool2d(x, 2, strides=1), (2, 6, 1, 1), unknown)
gradient(lambda x: ops.saf_pool2d(x, 16, padding="same"), (2, 8, 8, 0), [2, 8, 8, 0])
gradient(lambda x: ops.conv2d(x, tf.ones((3, 3, 3, 2)), padding="valid"), (6, 2, 2, 3), unknown)
gradient(lambda x: ops.conv2d(x, tf.ones((3, 3, 3, 2)), bias=tf.ones(2)), (0, 8, 8, 3), [None, 8, 8, 3])
gradient(lambda x: layers.AveragePooling2D(3, 1, 1)(x), (0, 8, 8, 3), [None, 8, 8, 3])
gradient(lambda x: layers.MaxPooling2D(3, 1)(x), (1, 2, 8, 3), [None, None, None, 3])
"""
EXPECTED = """refused: True
[2, 1, 1, 0] [2, 8, 8, 0]
refused: True
[0, 8, 8, 2] [0, 8, 8, 3]
[0, 8, 8, 3] [0, 8, 8, 3]
refused: True
"""


def test_nothing_ends_the_process():
    done = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr[-2000:]


@pytest.mark.parametrize("name", ["strides", "dilations", "padding", "groups"])
def test_numbers_beyond_what_kernels_count_are_refused(name):
    with pytest.raises(InputError, match=f"`{name}` must be .* below 2\\^31"):
        ops.conv2d(tf.zeros((1, 4, 4, 4)), tf.zeros((3, 3, 4, 4)), **{name: 2**31})


@pytest.mark.skipif(not _native.register(), reason="the native library is not built here")
def test_graphs_for_export_hold_stock_ops_unless_native_ones_are_required():
    def types():
        function = tf.function(lambda x: ops.conv2d(x, tf.zeros((3, 3, 4, 8), tf.float64), groups=2), autograph=False)
        graph = function.get_concrete_function(tf.TensorSpec((None, 8, 8, 8), tf.float64)).graph
        return {operation.type for operation in graph.get_operations()}

    with ops.native("auto"):
        assert "Kerascnn>Conv2D" not in types()
    with ops.native("require"):
        assert "Kerascnn>Conv2D" in types()


def test_a_wrong_mode_is_refused_whichever_implementation_runs(monkeypatch):
    monkeypatch.setenv("KERASCNN_NATIVE", "bogus")
    with pytest.raises(InputError, match="KERASCNN_NATIVE must be one of auto, require, off. Received: bogus"):
        ops.conv2d(tf.zeros((1, 4, 4, 4)), tf.zeros((3, 3, 4, 4)))

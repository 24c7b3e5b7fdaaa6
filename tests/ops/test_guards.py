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


def test_a_number_of_groups_beyond_what_kernels_count_is_refused():
    with pytest.raises(InputError, match="`groups` must be .* below 2\\^31"):
        ops.conv2d(tf.zeros((1, 4, 4, 4)), tf.zeros((3, 3, 4, 4)), groups=2**31)


@pytest.mark.parametrize("name", ["strides", "dilations", "padding"])
def test_numbers_for_which_kernels_would_take_all_memory_are_refused(name):
    x, filters = tf.zeros((1, 4, 4, 4)), tf.zeros((1, 1, 4, 4))
    with pytest.raises(InputError, match=f"`{name}` must be .*a whole number from [01] to 65536"):
        ops.conv2d(x, filters, **{name: 2**16 + 1})
    if name != "padding":  # which would make an image of 2^34 pixels
        assert ops.conv2d(x, filters, **{name: 2**16}).shape[0] == 1


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("wrong", ["offset", "mask"])
def test_offsets_for_another_size_end_a_graph_of_unknown_sizes(mode, wrong):
    tensors = {"offset": tf.zeros((2, 6, 5, 18)), "mask": tf.ones((2, 6, 5, 9))}
    function = tf.function(
        lambda x, offset, mask: ops.deform_conv2d(x, tf.ones((3, 3, 1, 1)), offset, mask),
        input_signature=[tf.TensorSpec((None,) * 4)] * 3,
        autograph=False,
    )
    x = tf.ones((2, 6, 5, 1))
    with ops.native(mode):
        assert function(x, **tensors).shape == (2, 6, 5, 1)
        for axis in range(3):
            paddings = [[0, int(i == axis)] for i in range(4)]
            changed = {**tensors, wrong: tf.pad(tensors[wrong], paddings)}
            with pytest.raises(tf.errors.InvalidArgumentError, match=wrong):
                function(x, **changed)


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

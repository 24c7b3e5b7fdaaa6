"""Gradients of filters in bfloat16 by tiles of a matrix unit: emulated, in processes of their own."""

import os
import subprocess
import sys
import textwrap

import pytest

from kerascnn.ops import _native

TILES = """
    import numpy as np
    import tensorflow as tf
    import keras
    import kerascnn
    from kerascnn.ops import _native, conv2d, native
    from kerascnn.ops.convolution import reference

    assert _native.tile_unit() == kerascnn.ops.build_info()["tiles"] == "emulated"
    random = np.random.default_rng(0)
    for strides, padding, kernel in ((1, "same", 3), (2, "same", 3), (1, "valid", 1), (2, ((1, 0), (2, 1)), 3)):
        x, w = (tf.cast(random.normal(size=size), "bfloat16") for size in ((2, 9, 8, 32), (kernel, kernel, 32, 40)))

        def gradients(x, w):
            with tf.GradientTape(persistent=True) as outer:
                outer.watch((x, w))
                with tf.GradientTape() as tape:
                    tape.watch((x, w))
                    y = tf.reduce_sum(tf.sin(tf.cast(conv2d(x, w, strides, padding), "float32")))
                first = tape.gradient(y, (x, w))
                total = tf.add_n([tf.reduce_sum(tf.cast(g, "float32") ** 2) for g in first])
            return (*first, *outer.gradient(total, (x, w)))

        called, exported = tf.function(gradients), tf.function(gradients)
        ours = called(x, w)
        for function, tiles in ((called, True), (exported, False)):  # a new get_concrete_function is for an export
            ops = {op.type for op in function.get_concrete_function(x, w).graph.get_operations()}
            assert ("Kerascnn>Conv2DFilterGradient" in ops) == tiles
        with native("off"):
            plain = tf.function(gradients)(x, w)
        for a, b in zip(ours, plain, strict=True):
            a, b = a.numpy().astype("float32"), b.numpy().astype("float32")
            assert np.abs(a - b).max() <= 0.03 * np.abs(b).max(), (strides, padding, np.abs(a - b).max())

    # A network: the op is in the step that trains, and in nothing else.
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = kerascnn.layers.PlainConv2D(32, 3, padding="same", use_bias=False)
    x = tf.cast(random.normal(size=(2, 6, 6, 32)), "bfloat16")
    layer(x)

    def step(training):
        with tf.GradientTape() as tape:
            y = layer(x, training=training)
        return y, tape.gradient(y, layer.kernel)

    found = {}
    for training in (True, False, None):
        called = tf.function(step)
        called(training)
        ops = {op.type for op in called.get_concrete_function(training).graph.get_operations()}
        found[training] = "Kerascnn>Conv2DFilterGradient" in ops
    assert found == {True: True, False: False, None: False}, found
    y, gradient = step(True)
    z, stock = step(False)
    np.testing.assert_array_equal(y.numpy().astype("float32"), z.numpy().astype("float32"))
    np.testing.assert_allclose(gradient, stock, atol=0.02 * np.abs(stock).max())
    assert layer.kernel.dtype == gradient.dtype == "float32"
    print("passed")
"""


def test_filter_gradients_of_bfloat16_by_tiles():
    if not _native.register():
        pytest.skip("the native library is not built here")
    environment = {**os.environ, "KERASCNN_TILES": "emulated", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["TF_ENABLE_ONEDNN_OPTS"] = "1"
    program = [sys.executable, "-c", textwrap.dedent(TILES)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "passed" in done.stdout, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("word", "said"), [("off", "none"), ("Off", "KERASCNN_TILES must be one of auto, off, emulated. Received: Off")]
)
def test_tiles_can_be_switched_off(word, said):
    program = """
        from kerascnn._errors import InputError
        from kerascnn.ops import _native
        try:
            print(_native.tile_unit())
        except InputError as error:
            print(error)
    """
    environment = {**os.environ, "KERASCNN_TILES": word, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == said, done.stderr[-3000:]

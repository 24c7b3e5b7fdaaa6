"""The graph of a stock export: one guard around the network, and what TensorFlow joins to one kernel in it."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving_nets import export_options, randomize

from kerascnn import layers, serving
from kerascnn.ops import convolution

SHAPE = (11, 14, 3)
WINDOWS = [
    {"padding": "same"},
    {"padding": "same", "strides": 2, "depth_multiplier": 2},
    {"padding": "valid"},
    {"padding": 1, "strides": 2},
    {"padding": ((2, 0), (1, 3))},
    {"padding": "same", "strides": (1, 2)},
    {"padding": "same", "dilation_rate": 2},
]


def depthwise_net():
    """Depthwise convolutions of every kind beside each other, a grouped one, pools that look beyond the border."""
    x = inputs = keras.Input(SHAPE)
    x = layers.Conv2D(6, 3, padding=1, strides=2, activation="relu")(x)
    ends = []
    for number, window in enumerate(WINDOWS):
        y = layers.DepthwiseConv2D(3, activation="relu6", name=f"window{number}", **window)(x)
        ends.append(keras.layers.GlobalAveragePooling2D()(y))
    y = layers.Conv2D(6, 3, groups=2, padding="same", activation="relu")(x)
    y = layers.MaxPooling2D(3, strides=2, padding=1)(y)
    ends += [keras.layers.GlobalAveragePooling2D()(y), keras.layers.GlobalMaxPooling2D()(y)]
    x = keras.layers.Concatenate()(ends)
    return randomize(keras.Model(inputs, keras.layers.Dense(7, "softmax")(x), name="depthwise"))


@pytest.fixture(scope="module")
def net():
    return depthwise_net()


@pytest.fixture(scope="module")
def version(net, tmp_path_factory):
    return serving.export(net, tmp_path_factory.mktemp("stock"), **export_options(input_shape=SHAPE))


@pytest.fixture(scope="module")
def signature(version):
    loaded = tf.saved_model.load(str(version))
    signature = loaded.signatures["tensors"]
    signature.keep = loaded
    return signature


def images(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype("float32")


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_any_number_of_images_gives_the_answers_of_the_network(net, signature, count):
    x = images(count)
    found = signature(images=tf.constant(x))["probabilities"].numpy()
    assert found.shape == (count, 7)
    if count:
        np.testing.assert_allclose(found, net.predict(x, verbose=0), atol=1e-5)


def test_no_file_at_all_gives_no_answer(version):
    answers = tf.saved_model.load(str(version)).signatures["serving_default"](image_bytes=tf.constant([], tf.string))
    assert {name: tuple(x.shape) for name, x in answers.items()} == {
        "classes": (0, 5), "probabilities": (0, 5), "indices": (0, 5), "errors": (0,),
    }  # fmt: skip


def network_ops(signature):
    """The kinds of ops in the function that holds the network, layer by layer."""
    functions = signature.graph.as_graph_def().library.function
    whole = max(functions, key=lambda function: len(function.node_def))
    return [node.op for node in whole.node_def]


def test_nothing_is_cut_between_layers(signature):
    kinds = network_ops(signature)
    assert "Slice" not in kinds and kinds.count("EnsureShape") == 1
    assert kinds.count("StridedSlice") == 3  # the number of images; what the guard has added, of two outputs
    assert kinds.count("PadV2") == 1 + 1  # the guard of the whole, and the border of the max pooling
    assert kinds.count("DepthwiseConv2dNative") == 3  # those that TensorFlow's op can say without a copy of the images


@pytest.mark.skipif(not convolution.onednn(), reason="TensorFlow joins these with oneDNN alone")
def test_biases_and_activations_join_their_convolutions(version):
    v1 = tf.compat.v1  # a session tells what becomes of a graph
    metadata, options = v1.RunMetadata(), v1.RunOptions(output_partition_graphs=True)
    with tf.Graph().as_default(), v1.Session() as session:
        loaded = v1.saved_model.load(session, ["serve"], str(version)).signature_def["tensors"]
        feed = {loaded.inputs["images"].name: images(2)}
        session.run(loaded.outputs["probabilities"].name, feed, options, metadata)
    nodes = [node for graph in metadata.partition_graphs for node in graph.node]
    nodes += [node for graph in metadata.partition_graphs for f in graph.library.function for node in f.node_def]
    joint = [node for node in nodes if "FusedDepthwiseConv2dNative" in node.op]
    assert [[text.decode() for text in node.attr["fused_ops"].list.s] for node in joint] == [["BiasAdd", "Relu6"]] * 3


WITHOUT_ONEDNN = """
import sys
import numpy as np
import tensorflow as tf

path, source, target = sys.argv[1:]
network = tf.saved_model.load(path).signatures["tensors"]
np.save(target, network(images=tf.constant(np.load(source)))["probabilities"].numpy())
"""


def test_a_server_without_onednn_gives_the_same(net, version, tmp_path):
    source, target = tmp_path / "images.npy", tmp_path / "found.npy"
    np.save(source, images(3))
    words = [sys.executable, "-c", textwrap.dedent(WITHOUT_ONEDNN), str(version), str(source), str(target)]
    subprocess.run(words, env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"}, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(target), net.predict(images(3), verbose=0), atol=1e-5)

"""What is done to the graph before an export: what changes, what stays, and that the answers stay."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving_nets import NAMES, SHAPE, conv_bn, export_options, randomize
from tensorflow.core.protobuf import saved_model_pb2

import kerascnn
from kerascnn import layers, serving
from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.serving.formats import _steps

L = keras.layers


def pooled_net():
    """Dropout between a convolution and its batch norm, SAF-pooling twice, drop-paths, an auxiliary head."""
    x = inputs = keras.Input(SHAPE)
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = L.BatchNormalization()(L.SpatialDropout2D(0.5)(x))
    x = layers.SAFPooling2D(3, 2, "same", rate=0.3, name="saf")(L.ReLU()(x))
    y = layers.DropPath(0.5)(conv_bn(x, 8))
    y = layers.DropPath(0.5, scale_at="inference", name="halved")(y)
    progress = layers.Progress()(x)
    x = L.Add()([x, layers.ScheduledDropPath(0.4)([y, progress])])
    side = L.Dense(len(NAMES), "softmax")(L.GlobalAveragePooling2D()(x))
    x = L.Flatten()(layers.SAFPooling2D(None, rate=0.2, mode="channel", name="saf_of_all")(x))
    x = L.Dense(len(NAMES), "softmax", name="head")(L.Dropout(0.5)(x))
    return randomize(AuxiliaryModel(inputs, [x, side], "pooled", auxiliary_weights=[0.3]))


def images(count=4):
    return np.random.default_rng(1).normal(size=(count, *SHAPE)).astype("float32")


def told(steps):
    return [(step["step"], step["layers"]) for step in steps]


def kinds(model):
    return [type(layer) for layer in model.layers]


def test_each_step_is_exact_and_told():
    model = pooled_net()
    network, steps = _steps.simplified(model, SHAPE)
    assert told(steps) == [
        ("layers that do nothing at inference left out", 4),
        ("SAF-poolings become max-poolings", 2),
        ("layers that do not lead to the output left out", 3),  # the other head's two and what counts the training
        ("batch norms folded", 2),  # one of them was behind dropout
    ]
    assert all(step["largest_difference"] < 1e-5 for step in steps)
    assert kinds(network).count(layers.MaxPooling2D) == 2
    assert {L.Dropout, L.SpatialDropout2D, L.BatchNormalization, layers.SAFPooling2D, layers.Progress}.isdisjoint(
        kinds(network)
    )
    assert [layer.name for layer in network.layers if isinstance(layer, layers.DropPath)] == ["halved"]
    expected = np.asarray(model(images(), training=False))
    np.testing.assert_allclose(network(images(), training=False), expected, rtol=1e-4, atol=1e-6)
    assert layers.SAFPooling2D in kinds(model) and L.Dropout in kinds(model)  # as it was


def test_a_network_without_any_of_it_has_no_steps():
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(inputs)))
    network, steps = _steps.simplified(model, SHAPE)
    assert steps == [] and kinds(network) == kinds(model)


def test_a_mixed_network_is_compared_in_float32():
    x = inputs = keras.Input(SHAPE)
    x = L.Dropout(0.5, dtype="mixed_bfloat16")(conv_bn(x, 8, dtype="mixed_bfloat16"))
    x = L.Dense(3, "softmax", dtype="float32")(L.GlobalAveragePooling2D(dtype="float32")(x))
    _, steps = _steps.simplified(randomize(keras.Model(inputs, x)), SHAPE)
    assert told(steps) == [("layers that do nothing at inference left out", 1), ("batch norms folded", 1)]


class Counted(layers.SAFPooling2D):
    """A subclass may compute anything."""


def test_what_is_random_at_inference_and_what_is_not_known_stays():
    x = inputs = keras.Input(SHAPE)
    x = layers.SAFPooling2D(2, name="random", rate=0.0)(x, training=True)
    x = L.Dropout(0.0, name="kept")(x, training=True)
    x = Counted(2)(x)
    x = L.Dropout(0.5)(x)
    model = keras.Model(inputs, L.Flatten()(x))
    network, steps = _steps.simplified(model, SHAPE)
    assert told(steps) == [("layers that do nothing at inference left out", 1)]
    assert kinds(network)[1:4] == [layers.SAFPooling2D, L.Dropout, Counted]
    np.testing.assert_array_equal(network(images()), model(images()))


def test_a_layer_called_twice_and_models_inside_a_model():
    saf, inner_inputs = layers.SAFPooling2D(2), keras.Input((6, 6, 3))
    inner = keras.Model(inner_inputs, L.Dropout(0.5)(layers.SAFPooling2D(None)(inner_inputs)), name="inner")
    inputs = keras.Input(SHAPE)
    outputs = L.Flatten()(inner(saf(inputs)) + inner(saf(L.ReLU()(inputs))))
    model = keras.Model(inputs, outputs)
    network, steps = _steps.simplified(model, SHAPE)
    assert told(steps) == [
        ("layers that do nothing at inference left out", 1), ("SAF-poolings become max-poolings", 2)
    ]  # fmt: skip
    np.testing.assert_array_equal(network(images()), model(images(), training=False))


def test_a_pool_over_images_of_any_size_stays():
    inputs = keras.Input((None, None, 3))
    network, steps = _steps.simplified(keras.Model(inputs, L.Flatten()(layers.SAFPooling2D(None)(inputs))), (9, 8, 3))
    assert steps == [] and layers.SAFPooling2D in kinds(network)


def test_a_step_that_changes_the_answers_is_refused(monkeypatch):
    def average(operation):
        return L.AveragePooling2D(3, 2, "same") if operation.name == "saf" else None

    monkeypatch.setattr(_steps, "_max_pooling", average)
    with pytest.raises(InputError, match="must stay when SAF-poolings become max-poolings, but they differ by"):
        _steps.simplified(pooled_net(), SHAPE)


@pytest.mark.after
def test_an_export_reports_its_steps_and_holds_max_pools(tmp_path):
    model = pooled_net()
    folder = serving.export(model, tmp_path, **export_options(check=True))
    report = serving.read_report(folder)
    assert report.graph == _steps.read(folder) and told(report.graph)[1] == ("SAF-poolings become max-poolings", 2)
    assert "graph: 4 layers that do nothing at inference left out, 2 SAF-poolings become max-poolings, 3" in str(report)
    graph = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    types = {node.op for f in graph.library.function for node in f.node_def} | {node.op for node in graph.node}
    assert "MaxPool" in types and not [name for name in types if "Random" in name]
    loaded = tf.saved_model.load(str(folder)).signatures["tensors"]
    expected = np.asarray(model(images(), training=False))
    np.testing.assert_allclose(loaded(images=tf.constant(images()))["probabilities"], expected, rtol=1e-4, atol=1e-5)
    (folder / _steps.FILE).write_text("no")
    with pytest.raises(InputError, match="graph.json is damaged"):
        _steps.read(folder)


@pytest.mark.parametrize("name, count", [("simpnet_300k", 3), ("simplenet_cifar_310k", 5)])
def test_saf_pools_of_the_networks_that_have_them(name, count):
    model = kerascnn.create_model(name)
    saf = kinds(model).count(layers.SAFPooling2D)
    network, steps = _steps.simplified(model, model.input_shape[1:])
    assert saf == count == kinds(network).count(layers.MaxPooling2D)
    assert ("SAF-poolings become max-poolings", count) in told(steps)

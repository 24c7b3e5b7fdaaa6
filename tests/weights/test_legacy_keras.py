"""The HDF5 form of Keras 1 and 2: both kinds of files, old names, and reading by order."""

import json
from pathlib import Path

import h5py
import keras
import keras_by_hand
import numpy as np
import parity
import pytest
from absl import logging

import kerascnn
from kerascnn import weights
from kerascnn._errors import InputError
from kerascnn.applications import _registry
from kerascnn.weights.names import Ordered

PEERS = json.loads((Path(__file__).parents[1] / "golden/peers.json").read_text(encoding="utf-8"))
QUICK = ("tf_mobilenetv1_025_128",)


def networks():
    names = sorted(key.split()[0] for key in PEERS if key.endswith(" keras"))
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in names]


def theirs(name, **options):
    row = PEERS[f"{name} keras"]
    shape = (row["size"], row["size"], 3)
    model = getattr(keras.applications, row["peer"])(
        weights=None, input_shape=shape, **row.get("peer_options", {}), **options
    )
    parity.randomize(model)
    return model


def ours(name, path, **options):
    size = PEERS[f"{name} keras"]["size"]
    return kerascnn.create_model(name, weights=path, input_shape=(size, size, 3), **options)


def same(left, right):
    names = [layer.name for layer in left.layers if layer.weights]
    assert names
    for name in names:
        for a, b in zip(left.get_layer(name).get_weights(), right.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("name", networks())
def test_both_forms_load_what_the_new_form_loads(name, tmp_path):
    """Closed world: every network that has names of Keras, from files that Keras itself writes in the old form."""
    model = theirs(name)
    model.save_weights(tmp_path / "new.weights.h5")
    expected = ours(name, tmp_path / "new.weights.h5")
    model.save(tmp_path / "whole.h5")  # Keras can write whole models in the old form to this day
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "weights.hdf5", "w") as file:
        for key in whole["model_weights"]:
            whole.copy(whole["model_weights"][key], file, key)
        for key, value in whole["model_weights"].attrs.items():
            file.attrs[key] = value
    same(ours(name, tmp_path / "weights.hdf5"), expected)
    same(ours(name, tmp_path / "whole.h5", include_top=False), expected)
    if ordered(name):  # names that nobody knows
        strange = {}
        for i, (layer, arrays) in enumerate(zip(model.layers, keras_by_hand.of_model(model).values(), strict=True)):
            strange["normalization" if isinstance(layer, keras.layers.Normalization) else f"layer_{i}"] = arrays
        same(ours(name, keras_by_hand.write(tmp_path / "strange.h5", strange, group="model_weights")), expected)


def ordered(name):
    rules = _registry.builder(name).names["keras"]
    return hasattr(rules(kerascnn.model_info(name).spec) if callable(rules) else rules, "order")


# A network of a few numbers


def network(classes=5, head=True, input_shape=(8, 8, 3), name="tiny"):
    """Ours: a separable convolution is two layers, convolutions before a batch norm have no bias."""
    L = keras.layers
    x = image = keras.Input(input_shape)
    x = L.BatchNormalization(name="stem_bn")(L.Conv2D(4, 3, use_bias=False, name="stem_conv")(x))
    x = L.DepthwiseConv2D(3, use_bias=False, name="block_depthwise")(x)
    x = L.Conv2D(6, 1, use_bias=False, name="block_conv")(x)
    if head:
        x = L.Dense(7, name="fc6")(L.GlobalAveragePooling2D()(x))
        x = L.Dense(classes, name="head")(x)
    return keras.Model(image, x, name=name)


RULES = {
    "keras": Ordered(
        (("pixels", ""), ("conv2d", "stem_conv"), ("batch_normalization", "stem_bn"), ("fc1", "fc6"),
         ("block_sepconv", "block_depthwise+block_conv"), ("predictions", "head")),
        head=("fc6", "head"),
    )
}  # fmt: skip


def arrays(first="conv2d_1", second="batch_normalization_1", third="block_sepconv", head=True):
    """Theirs: a file of Keras 2 for `network`."""
    rng = np.random.default_rng(0)

    def layer(name, **shapes):
        return {name: {f"{name}/{key}:0": rng.normal(size=shape).astype("f4") for key, shape in shapes.items()}}

    bn = {key: (4,) for key in ("gamma", "beta", "moving_mean", "moving_variance")}
    found = {"input_1": {}, **layer("pixels", mean=(3,)), **layer(first, kernel=(3, 3, 3, 4), bias=(4,))}
    found |= layer(second, **bn)
    found |= layer(third, depthwise_kernel=(3, 3, 4, 1), pointwise_kernel=(1, 1, 4, 6))
    if head:
        found |= layer("fc1", kernel=(6, 7), bias=(7,)) | layer("predictions", kernel=(7, 5), bias=(5,))
    return found


def check(model, found, head=True):
    values = [list(own.values()) for own in found.values()]
    conv, bias = values[2]
    gamma, beta, mean, variance = values[3]
    np.testing.assert_array_equal(model.get_layer("stem_conv").kernel, conv)
    np.testing.assert_allclose(model.get_layer("stem_bn").moving_mean, mean - bias, rtol=1e-6)
    np.testing.assert_array_equal(model.get_layer("stem_bn").moving_variance, variance)
    np.testing.assert_array_equal(model.get_layer("block_depthwise").kernel, values[4][0])
    np.testing.assert_array_equal(model.get_layer("block_conv").kernel, values[4][1])
    if head:
        np.testing.assert_array_equal(model.get_layer("fc6").kernel, values[5][0])


@pytest.mark.parametrize("group", [None, "model_weights"])
@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("text", [bytes, str])
def test_lists_of_names_in_every_form(group, chunks, text, tmp_path):
    found, model = arrays(), network()
    path = keras_by_hand.write(tmp_path / "a.h5", found, group=group, chunks=chunks, text=text)
    weights.load_weights(model, path, RULES)
    check(model, found)


def test_keras_2_wrote_its_form_under_the_new_name_too(tmp_path):
    found, model = arrays(), network()
    weights.load_weights(model, keras_by_hand.write(tmp_path / "a.weights.h5", found), RULES)
    check(model, found)


def test_the_new_form_under_the_old_name(tmp_path):
    model = network()
    model.save_weights(tmp_path / "a.weights.h5")
    (tmp_path / "a.weights.h5").rename(tmp_path / "a.h5")
    again = network()
    weights.load_weights(again, tmp_path / "a.h5", RULES)
    same(again, model)


def test_our_own_models_in_the_old_form(tmp_path):
    model = kerascnn.create_model("lenet5", classes=3)
    model.save(tmp_path / "lenet.h5")
    same(kerascnn.create_model("lenet5", classes=3, weights=tmp_path / "lenet.h5"), model)


@pytest.fixture(autouse=True)
def every_line():
    """Lines of every level, whatever a command line that another test has run has asked for."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.INFO)
    yield
    logging.set_verbosity(before)


def said(caplog):
    return [record.getMessage() for record in caplog.records if "order" in record.getMessage()]


@pytest.mark.parametrize(
    "names, level",
    [
        ({}, "INFO"),
        ({"first": "convolution2d_7", "second": "batchnormalization_7"}, "INFO"),  # Keras 1
        ({"first": "mobl0_conv"}, "WARNING"),
        ({"first": "a/b", "second": "a/c", "third": "d"}, "WARNING"),
    ],
)
def test_names_of_other_versions_are_read_by_order_and_said_once(names, level, tmp_path, caplog):
    found, model = arrays(**names), network()
    with caplog.at_level("INFO"):
        weights.load_weights(model, keras_by_hand.write(tmp_path / "a.h5", found), RULES)
    check(model, found)
    assert len(said(caplog)) == 1
    assert [record.levelname for record in caplog.records if "order" in record.getMessage()] == [level]


def test_names_that_are_known_are_read_by_name_whatever_the_order(tmp_path, caplog):
    rules = {"keras": Ordered((*RULES["keras"], ("c", "stem_conv"), ("b", "stem_bn")), head=("fc6", "head"))}
    found, model = arrays(first="c", second="b"), network()
    weights.load_weights(model, keras_by_hand.write(tmp_path / "a.h5", dict(reversed(found.items()))), rules)
    check(model, found)
    assert not said(caplog)


def test_an_order_that_contradicts_known_names_is_not_taken(tmp_path):
    rules = {"keras": Ordered((*RULES["keras"], ("b", "stem_bn")), head=("fc6", "head"))}
    items = list(arrays(first="strange", second="b").items())
    items[2], items[3] = items[3], items[2]
    with pytest.raises(InputError, match="do not fit tiny: missing: stem_conv; unexpected: strange"):
        weights.load_weights(network(), keras_by_hand.write(tmp_path / "a.h5", dict(items)), rules)


def test_without_a_declared_order_unknown_names_are_refused(tmp_path):
    path = keras_by_hand.write(tmp_path / "a.h5", arrays(first="mobl0_conv"))
    with pytest.raises(InputError, match="missing: stem_conv; unexpected: mobl0_conv"):
        weights.load_weights(network(), path, {"keras": tuple(RULES["keras"])})


def test_more_or_fewer_layers_are_refused(tmp_path):
    found = arrays(first="mobl0_conv")
    more = {**found, "extra": {"extra/kernel:0": np.zeros((2, 2), "f4")}}
    fewer = {name: own for name, own in found.items() if name != "fc1"}
    for wrong in (more, fewer):
        with pytest.raises(InputError, match="do not fit tiny"):
            weights.load_weights(network(), keras_by_hand.write(tmp_path / "a.h5", wrong), RULES)


@pytest.mark.parametrize("first", ["conv2d", "mobl0_conv"])
def test_files_without_a_head(first, tmp_path):
    """A file without the head is whole for a model without one; else the head is said to be missing."""
    found = arrays(first=first, head=False)
    path = keras_by_hand.write(tmp_path / "tiny_notop.h5", found)
    model = network(head=False)
    weights.load_weights(model, path, RULES)
    check(model, found, head=False)
    with pytest.raises(InputError, match="do not fit tiny: missing: fc6, head. Received"):
        weights.load_weights(network(), path, RULES)


@pytest.mark.parametrize("first", ["conv2d", "mobl0_conv"])
def test_a_head_of_several_layers_is_ignored_without_one_and_dropped_for_other_classes(first, tmp_path):
    found = arrays(first=first)
    path = keras_by_hand.write(tmp_path / "a.h5", found)
    model = network(head=False)
    weights.load_weights(model, path, RULES)
    check(model, found, head=False)
    model = network(classes=2)
    weights.load_weights(model, path, RULES)
    check(model, found)


@pytest.mark.parametrize("name", ["vgg13_cifar10", "highway_a", "lenet5_1998", "fcn32s_vgg11_bn_small"])
def test_heads_of_several_layers_are_ignored_by_networks_without_one(name, tmp_path):
    model = kerascnn.create_model(name)
    model.save_weights(tmp_path / "whole.weights.h5")
    shape = model.input_shape[1:]
    same(
        kerascnn.create_model(name, include_top=False, input_shape=shape, weights=tmp_path / "whole.weights.h5"), model
    )


def test_models_inside_models(tmp_path):
    """Keras 2 put all that is trained before all that is not."""
    found, model = arrays(), network()
    flat = {key: array for own in found.values() for key, array in own.items()}
    moving = {key: array for key, array in flat.items() if "moving" in key}
    trained = {key: array for key, array in flat.items() if "moving" not in key}
    path = keras_by_hand.write(tmp_path / "a.h5", {"input_1": {}, "tiny": {**trained, **moving}, "flatten": {}})
    weights.load_weights(model, path, RULES)
    check(model, found)
    nested = {"tiny": {f"tiny/{key}": array for key, array in {**trained, **moving}.items()}}
    assert list(weights.read_keras_file(keras_by_hand.write(tmp_path / "b.h5", nested))) == list(found)[1:]


def test_old_names_of_residual_networks_and_slashes():
    from kerascnn.applications import densenet, mobilenet_v2, resnet, resnet_v2_keras

    names = ("bn_conv1", "res3b_branch2c", "bn5a_branch1", "probs")
    assert [weights.translate(resnet._keras, name) for name in names] == [
        "stem_bn", "stage2_block2_conv3", "stage4_block1_shortcut_bn", "head"
    ]  # fmt: skip
    assert [weights.translate(densenet._KERAS, name) for name in ("conv1/conv", "conv1/bn", "fc1000")] == [
        "stem_conv", "stem_bn", "head"
    ]  # fmt: skip
    assert (
        weights.translate(mobilenet_v2._KERAS, "Logits") == weights.translate(resnet_v2_keras._keras, "probs") == "head"
    )


def test_arrays_are_views_of_the_file(tmp_path):
    path = keras_by_hand.write(tmp_path / "a.h5", {"a": {"a/kernel:0": np.ones((64, 64), "f4")}})
    (array,) = weights.read_keras_file(path)["a"]
    assert not array.flags.owndata and not array.flags.writeable and array.sum() == 64 * 64

import errno
import json
import os
import stat

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving_nets import NAMES, SHAPE, export_options, small_net
from tensorflow.core.protobuf import saved_model_pb2

import kerascnn
from kerascnn import data, ops, serving, surgery
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, LENET, Preprocessing
from kerascnn.data.preprocessing import decode_image, preprocess_image
from kerascnn.inference import saved_model as saved_models
from kerascnn.serving import checking, exporting, formats, warmup


def nodes_and_functions(folder):
    graph = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    functions = list(graph.library.function)
    return [*graph.node, *(node for function in functions for node in function.node_def)], functions


def files(*sizes):
    random = np.random.default_rng(3)
    pictures = [random.integers(0, 256, size, dtype="uint8") for size in sizes]
    encode = [tf.io.encode_jpeg, tf.io.encode_png]
    return [encode[index % 2](picture).numpy() for index, picture in enumerate(pictures)]


def test_the_folder_is_what_a_server_expects(exported):
    model, folder = exported
    assert folder.name == "1" and sorted(os.listdir(folder.parent)) == ["1"]
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found - {"fingerprint.pb"} == {
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "assets/class_names.txt",
        "assets/preprocessing.json",
        "assets.extra/tf_serving_warmup_requests",
        "assets.extra/check.json",
        "assets.extra/graph.json",
    }
    assert (folder / "assets/class_names.txt").read_text().splitlines() == list(NAMES)
    assert Preprocessing.from_dict(json.loads((folder / "assets/preprocessing.json").read_text())) == CIFAR


def test_the_signatures_have_the_documented_names_and_types(exported):
    signatures = saved_models.meta_graph(exported[1]).signature_def
    described = {
        name: {
            (key, tf.dtypes.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim))
            for entries in (signatures[name].inputs, signatures[name].outputs)
            for key, info in entries.items()
        }
        for name in signatures
        if not name.startswith("__")  # TensorFlow's own, which initializes tables
    }
    encoded, errors = ("image_bytes", "string", (-1,)), ("errors", "string", (-1,))
    best = {("classes", "string", (-1, 5)), ("probabilities", "float32", (-1, 5)), ("indices", "int32", (-1, 5))}
    assert described == {
        "serving_default": {encoded, *best, errors},
        "strict": {encoded, *best},
        "pixels": {("pixels", "uint8", (-1, -1, -1, 3)), *best},
        "tensors": {("images", "float32", (-1, *SHAPE)), ("probabilities", "float32", (-1, len(NAMES)))},
        "features": {encoded, ("features", "float32", (-1, 9)), errors},
        "classify": {("inputs", "string", (-1,)), ("classes", "string", (-1, 5)), ("scores", "float32", (-1, 5))},
    }
    methods = {name: signatures[name].method_name for name in described}
    assert methods == {name: "tensorflow/serving/predict" for name in described} | {
        "classify": "tensorflow/serving/classify"
    }


def test_the_graph_is_stock_folded_and_holds_each_variable_once(exported):
    model, folder = exported
    nodes, functions = nodes_and_functions(folder)
    types = [node.op for node in nodes]
    assert not [name for name in types if ">" in name or "Random" in name or "Xla" in name]
    assert not [f.signature.name for f in functions if f.attr["_XlaMustCompile"].b]
    assert types.count("Rsqrt") == 1  # of the batch norm before an activation, in one network for both signatures
    saved = [
        shape for name, shape in tf.train.list_variables(str(folder / "variables" / "variables")) if "VALUE" in name
    ]
    expected = [list(weight.shape) for weight in surgery.fold_batch_norm(model)[0].weights]
    assert sorted(saved) == sorted(expected)


def test_both_signatures_give_the_numbers_of_the_model(exported, loaded):
    model, _ = exported
    contents = files((20, 31, 3), (12, 12, 1), (7, 9, 3))
    images = tf.stack([preprocess_image(decode_image(tf.constant(c), 3), SHAPE, CIFAR) for c in contents])
    expected = np.asarray(model(images, training=False))
    np.testing.assert_allclose(loaded.predict(images), expected, rtol=1e-4, atol=1e-5)
    classes, probabilities = loaded.classify(contents)
    order = np.argsort(-expected, axis=-1)[:, :5]
    assert [[name.decode() for name in row] for row in classes] == [[NAMES[i] for i in row] for row in order]
    np.testing.assert_allclose(probabilities, np.take_along_axis(expected, order, -1), rtol=1e-4, atol=1e-5)


def test_versions_count_up_and_others_stay(tmp_path):
    for name in ("1", "7", "latest", "12.bak"):
        (tmp_path / name).mkdir()
    folder = serving.export(small_net(), tmp_path, **export_options())
    assert folder == tmp_path / "8"
    assert sorted(os.listdir(tmp_path)) == ["1", "12.bak", "7", "8", "latest"]
    assert stat.S_IMODE(folder.stat().st_mode) & 0o055 == 0o055  # a server runs under another user


@pytest.mark.parametrize("activation, logits", [(None, None), (None, True), ("softmax", None), ("softmax", False)])
def test_logits_become_probabilities_once(activation, logits, tmp_path):
    model = small_net(activation=activation)
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    expected = model(images, training=False)
    expected = tf.nn.softmax(expected) if activation is None else expected
    got = serving.load(serving.export(model, tmp_path, **export_options(logits=logits))).predict(images)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 3])
def test_sigmoids_are_probabilities(classes, tmp_path):
    model = small_net(activation="sigmoid", classes=classes)
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    folder = serving.export(model, tmp_path, **export_options(class_names=list("abc")[:classes]))
    np.testing.assert_allclose(serving.load(folder).predict(images), model(images), rtol=1e-4, atol=1e-5)


def test_a_linear_layer_after_softmax_is_seen_through(tmp_path):
    inner = small_net()
    model = keras.Model(inner.inputs, keras.layers.Activation("linear", dtype="float32")(inner.outputs[0]))
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    got = serving.load(serving.export(model, tmp_path, **export_options())).predict(images)
    np.testing.assert_allclose(got, inner(images, training=False), rtol=1e-4, atol=1e-5)


def test_mixed_precision_and_gray_images_and_few_classes(tmp_path):
    shape, names = (32, 32, 1), ("no", "yes", "ja/nein ü")
    model = small_net(dtype="mixed_float16", shape=shape, classes=3)
    folder = serving.export(model, tmp_path, class_names=names, preprocessing=LENET, input_shape=shape, check=False)
    loaded = serving.load(folder)
    contents = files((28, 28, 1), (40, 30, 3))
    classes, probabilities = loaded.classify(contents)
    assert classes.shape == probabilities.shape == (2, 3) and probabilities.dtype == np.float32
    assert {name.decode() for name in classes[0]} == set(names)
    images = tf.stack([preprocess_image(decode_image(tf.constant(c), 1), shape, LENET) for c in contents])
    whole = small_net(shape=shape, classes=3)  # the same weights, by the same seed, in float32
    np.testing.assert_allclose(loaded.predict(images), whole(images, training=False), rtol=1e-4, atol=1e-5)
    types = {node.op for node in nodes_and_functions(folder)[0]}
    halves = [
        node.name for node in nodes_and_functions(folder)[0] if node.attr["T"].type == tf.float16.as_datatype_enum
    ]
    assert "Conv2D" in types and not halves


def test_a_graph_that_needs_xla_is_refused_by_the_layers_name(tmp_path):
    with pytest.raises(InputError, match="kerascnn.layers.Conv2D.*Received: the layer 'grouped'"):
        serving.export(small_net(grouped=keras.layers.Conv2D), tmp_path / "a", **export_options())
    assert not (tmp_path / "a").exists()


def bounded():
    return small_net(activation="tanh")


def two_outputs():
    model = small_net()
    return keras.Model(model.inputs, [model.outputs[0], model.outputs[0]])


def feature_map():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, keras.layers.Conv2D(7, 1, 2)(inputs))


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    "make, changes, message",
    [
        (small_net, {"class_names": NAMES[:-1]}, "7 outputs. Received: 6"),
        (small_net, {"class_names": [*NAMES[:-1], "two\nlines"]}, "one line"),
        (small_net, {"input_shape": (None, None, 3)}, "image_shape"),
        (small_net, {"input_shape": (16, 16, 3)}, "input_shape must fit"),
        (small_net, {"input_shape": (12, 12)}, "image_shape"),
        (bounded, {}, "logits=True or logits=False. Received: tanh in small"),
        (small_net, {"logits": True}, "outputs of small are those of a softmax"),
        (two_outputs, {}, "one output"),
        (feature_map, {}, "each pixel of its input"),
        (Subclassed, {}, "functional"),
        (lambda: "model.keras", {}, "a keras.Model. Received: 'model.keras'"),
        (small_net, {"format": "onnx99"}, "format must be one of .*saved_model.*Received: format='onnx99'"),
        (small_net, {"native": 1}, "native must be True or False"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_one_line(make, changes, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        model = make()
        options = export_options(**changes)
        if isinstance(model, str):
            options = {}
        serving.export(model, tmp_path / "a", **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "a").exists()


def test_an_output_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be a folder"):
        serving.export(small_net(), tmp_path / "file", **export_options())
    (tmp_path / "closed").mkdir(mode=0o555)
    if not os.access(tmp_path / "closed", os.W_OK):  # root may write anywhere
        with pytest.raises(InputError, match="cannot be written"):
            serving.export(small_net(), tmp_path / "closed", **export_options())


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_disk_in_tensorflow(*_, **__):
    raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")


def wrong_numbers(*_, **__):
    raise InputError("The exported model must give the numbers of the original.")


@pytest.mark.parametrize(
    "home, name, failure, message",
    [
        (formats.get("saved_model")._Served, "save", full_disk_in_tensorflow, "could not be written .*No space left"),
        (warmup, "write_requests", full_disk, "could not be written .*No space left"),
        (exporting.os, "rename", full_disk, "could not be written .*No space left"),
        (formats.get("saved_model"), "check", wrong_numbers, "numbers of the original"),
    ],
)
def test_a_failure_leaves_nothing_behind(home, name, failure, message, tmp_path, monkeypatch):
    (tmp_path / "old" / "1").mkdir(parents=True)
    model = small_net()
    monkeypatch.setattr(home, name, failure)
    for out in (tmp_path / "new", tmp_path / "old"):
        with pytest.raises(InputError, match=message):
            serving.export(model, out, **export_options(check=name == "check"))
    assert sorted(os.listdir(tmp_path)) == ["old"] and os.listdir(tmp_path / "old") == ["1"]


def test_two_exports_at_once_get_two_numbers(tmp_path, monkeypatch):
    rename = os.rename

    def other_was_first(source, target):
        if not os.path.exists(target):
            os.makedirs(os.path.join(target, "variables"))
        monkeypatch.setattr(exporting.os, "rename", rename)
        rename(source, target)

    monkeypatch.setattr(exporting.os, "rename", other_was_first)
    assert serving.export(small_net(), tmp_path, **export_options()).name == "2"


def test_native_needs_the_library(tmp_path, monkeypatch):
    monkeypatch.setattr("kerascnn.ops._native._State.loaded", (None, "there is no compiler"))
    monkeypatch.setattr("kerascnn.ops._native._State.warned", True)
    with pytest.raises(InputError, match="no usable library: there is no compiler"):
        serving.export(small_net(), tmp_path / "a", **export_options(native=True))


@pytest.fixture
def library():
    info = ops.build_info()
    if not info["available"]:
        pytest.skip(f"there are no native ops here: {info['reason']}")


def test_native_keeps_our_ops_and_the_numbers(tmp_path, library):
    model = small_net()
    folder = serving.export(model, tmp_path, **export_options(native=True))
    found = saved_models.custom_ops(saved_models.meta_graph(folder).graph_def)
    assert found == {"Kerascnn>InferenceProgram", "Kerascnn>Resize2D"}
    loaded = serving.load(folder)
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    np.testing.assert_allclose(loaded.predict(images), model(images, training=False), rtol=1e-4, atol=1e-5)
    assert loaded.native


def test_native_in_8_bits(tmp_path, library):
    x = inputs = keras.Input(SHAPE)
    for _ in range(3):
        x = keras.layers.Conv2D(64, 3, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(7, "softmax")(keras.layers.GlobalMaxPooling2D()(x)))
    folder = serving.export(model, tmp_path, **export_options(native=True, quantize="int8"))
    loaded = serving.load(folder)
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    expected = model(images, training=False).numpy()
    found = loaded.predict(images)
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert np.abs(found - expected).max() > 1e-6  # something was rounded
    assert loaded.native and loaded.precision == "int8"
    odd = keras.Model(inputs, keras.layers.Dense(7, "softmax")(keras.layers.LeakyReLU()(keras.layers.Flatten()(x))))
    with pytest.raises(InputError, match="instruction of an inference program"):
        serving.export(odd, tmp_path, **export_options(native=True, quantize="int8"))
    with pytest.raises(InputError, match="must have a convolution of one group.* Received: small"):
        serving.export(small_net(), tmp_path, **export_options(native=True, quantize="int8"))


@pytest.mark.parametrize(
    "options",
    [{"native": False}, {"native": True, "explain": True}, {"native": True, "precision": "bfloat16"}],
    ids=str,
)
def test_8_bits_that_a_saved_model_has_not(options, tmp_path):
    with pytest.raises(InputError, match="for native ops, without explain and another precision. Received: native="):
        serving.export(small_net(), tmp_path / "a", **export_options(quantize="int8", **options))
    assert not (tmp_path / "a").exists()


def test_a_saved_model_needs_no_calibration(tmp_path):
    options = export_options(native=True, quantize="int8", calibration=data.load("digits"))
    with pytest.raises(InputError, match="saved_model takes its scales from the numbers as they come"):
        serving.export(small_net(), tmp_path / "a", **options)


@pytest.mark.slow
def test_native_passes_the_whole_check(tmp_path, library):
    report = checking.read_report(serving.export(small_net(), tmp_path, **export_options(native=True, check=True)))
    assert max(report.fresh_process.values()) < 1e-5
    assert report.c_api is not None or "not built" in report.c_api_absent


@pytest.mark.slow
@pytest.mark.parametrize("name, shape", [("resnet20", (32, 32, 1)), ("resnext50_32x4d", (64, 64, 3))])
def test_a_registered_network_passes_the_whole_check(name, shape, tmp_path):
    model = kerascnn.create_model(name, classes=10, input_shape=shape)
    options = {"class_names": list("abcdefghij"), "preprocessing": CIFAR, "input_shape": shape}
    folder = serving.export(model, tmp_path, **options)
    assert max(checking.read_report(folder).fresh_process.values()) < 1e-5
    assert "Rsqrt" not in {node.op for node in nodes_and_functions(folder)[0]}  # every batch norm is folded


def test_stock_ops_are_traced_whatever_the_mode_outside(tmp_path):
    with ops.native("auto"):
        folder = serving.export(small_net(), tmp_path, **export_options())
    assert not saved_models.custom_ops(saved_models.meta_graph(folder).graph_def)


@pytest.mark.after
def test_models_from_files_with_adapters_and_quantized(tmp_path):
    model = small_net()
    model.save(tmp_path / "small.keras")
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    head = model.get_layer("head")
    head.enable_lora(2)
    head.lora_kernel_b.assign(np.ones(head.lora_kernel_b.shape))
    for name, network in (("fresh", keras.models.load_model(tmp_path / "small.keras")), ("adapted", model)):
        folder = serving.export(network, tmp_path / name, **export_options())
        np.testing.assert_allclose(serving.load(folder).predict(images), network(images), rtol=1e-4, atol=1e-5)
    quantized = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(7, "softmax")])
    quantized.layers[-1].quantize("int8")
    with pytest.raises(InputError, match="before a model is quantized. Received: .*int8"):
        serving.export(quantized, tmp_path / "int8", **export_options())
    assert not (tmp_path / "int8").exists()

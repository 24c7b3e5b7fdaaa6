"""ONNX, LiteRT and OpenVINO: what is written answers as the network, in its own runtime; what is refused, and how."""

import importlib.util
import json
import os
import shutil
import sys

import keras
import numpy as np
import pytest
from serving_nets import NAMES, SHAPE, export_options, randomize, small_net

import kerascnn
from kerascnn import data, inference, serving
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.serving import formats
from kerascnn.serving.formats import _graph, _package, _runtimes, quantize

MODULES = {
    "onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",), "openvino": ("openvino",)
}  # fmt: skip


def needs(name):
    absent = [module for module in MODULES[name] if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(absent), reason=f"needs the extra {name}: no {', '.join(absent)}")


def each(*names):
    return [pytest.param(name, marks=needs(name)) for name in names]


ALL = each(*MODULES)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """written(format) -> (model, folder), exported once with the check."""
    done = {}

    def get(name):
        if name not in done:
            model = small_net()
            folder = serving.export(model, tmp_path_factory.mktemp(name), format=name, **export_options(check=True))
            done[name] = model, folder
        return done[name]

    return get


def images(count=3):
    return np.random.default_rng(0).normal(size=(count, *SHAPE)).astype("float32")


@pytest.mark.parametrize("name", ALL)
def test_the_file_answers_as_the_network(name, written):
    model, folder = written(name)
    loaded = formats.load(folder.parent)
    assert loaded.class_names == NAMES and loaded.preprocessing == CIFAR and loaded.input_shape == SHAPE
    assert loaded.model is None and loaded.path == folder and loaded.task == "classification"
    for count in (1, 3):
        expected = np.asarray(model(images(count), training=False))
        np.testing.assert_allclose(loaded.predict(images(count)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_the_runtime_alone_was_asked(name, written):
    _, folder = written(name)
    report = serving.read_report(folder)
    assert report.requests == 2 and report.fresh_process["tensors"] < 1e-5 and report.agreement == 1
    assert report.runtime == _runtimes.version_of(name) and report.precision == "float32"
    assert f"{report.runtime} alone" in str(report)
    assert serving.check(folder.parent).fresh_process == report.fresh_process
    with pytest.raises(InputError, match=f"Only a SavedModel is checked with images.*Received: {name}"):
        serving.check(folder, ["a.png"])


@pytest.mark.parametrize("name", ALL)
def test_what_lies_beside_the_file(name, written):
    _, folder = written(name)
    record = json.loads((folder / "predictor.json").read_text())
    assert record["class_names"] == list(NAMES) and record["model"] == "small" and record["precision"] == "float32"
    assert record["versions"]["kerascnn"] == kerascnn.__version__ and len(record["versions"]) >= 3
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    kept = {"predictor.json", "assets.extra/answers.npz", "assets.extra/check.json", "assets.extra/graph.json"}
    assert {formats.get(name).FILE, *kept} <= found
    assert found <= {"model.onnx", "model.tflite", "model.xml", "model.bin", *kept}


@needs("onnx")
def test_an_onnx_file_says_what_it_is(written):
    import onnx

    _, folder = written("onnx")
    model = onnx.load(str(folder / "model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["class_names"]) == list(NAMES) and json.loads(facts["preprocessing"]) == CIFAR.to_dict()
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"images": ["batch", *SHAPE], "probabilities": ["batch", 7]}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


@needs("onnx")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_an_exact_gelu_in_onnx(precision, tmp_path):
    """The converter has no erfc."""
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, activation=keras.activations.gelu)(inputs)
    x = keras.layers.Dense(7, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = randomize(keras.Model(inputs, x, name="gelu"))
    options = export_options(check=True)
    loaded = formats.load(serving.export(model, tmp_path, format="onnx", precision=precision, **options))
    atol = 1e-5 if precision == "float32" else 0.01
    np.testing.assert_allclose(loaded.predict(images()), model(images(), training=False), rtol=1e-4, atol=atol)


@pytest.mark.parametrize("name", ALL)
def test_image_files_are_predicted_and_evaluated(name, written, tmp_path):
    model, folder = written(name)
    import tensorflow as tf

    pixels = np.random.default_rng(1).integers(0, 256, (20, 31, 3), dtype="uint8")
    (tmp_path / "a.png").write_bytes(tf.io.encode_png(pixels).numpy())
    described = export_options()
    del described["check"]
    (expected,) = inference.predict(tmp_path / "a.png", model, **described)
    (found,) = inference.predict(tmp_path / "a.png", formats.load(folder))
    assert found.classes == expected.classes
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=1e-4, atol=1e-5)


def halves():
    precisions = {"onnx": ["float16"], "litert": ["float16"], "openvino": ["float16", "bfloat16"]}
    return [pytest.param(name, kind, marks=needs(name)) for name, kinds in precisions.items() for kind in kinds]


@pytest.mark.parametrize("name, precision", halves())
def test_half_of_the_bits(name, precision, tmp_path):
    model = wide_net()
    described = export_options(check=True)
    folder = serving.export(model, tmp_path / "half", format=name, precision=precision, **described)
    whole = serving.export(model, tmp_path / "whole", format=name, **export_options())
    report = serving.read_report(folder)
    assert report.precision == precision and 0 < report.fresh_process["tensors"] < 0.05
    assert f"{precision}: " in str(report)
    file = formats.get(name).FILE.replace(".xml", ".bin")
    assert (folder / file).stat().st_size < 0.6 * (whole / file).stat().st_size
    got, expected = formats.load(folder).predict(images()), np.asarray(model(images(), training=False))
    np.testing.assert_allclose(got, expected, atol=0.05)


def wide_net():
    """Weights enough that a file is little but them."""
    x = inputs = keras.Input(SHAPE)
    x = keras.layers.ReLU()(keras.layers.Conv2D(32, 3)(x))
    x = keras.layers.ReLU()(keras.layers.Conv2D(96, 3, strides=2)(x))
    x = keras.layers.Dense(7, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = randomize(keras.Model(inputs, x, name="wide"))
    model.set_weights([0.2 * weight for weight in model.get_weights()])
    return model


INT8 = [
    *each("onnx", "litert"),
    pytest.param("openvino", marks=[needs("openvino"), needs("onnx")]),
]  # its int8 is ONNX's


@pytest.mark.parametrize("name", INT8)
def test_int8_keeps_nearly_all_classes(name, tmp_path):
    model, source = wide_net(), data.load("synthetic")
    options = {"format": name, "quantize": "int8", "calibration": source, "calibration_images": 40}
    folder = serving.export(model, tmp_path / "int8", **options, **export_options(check=True))
    whole = serving.export(model, tmp_path / "whole", format=name, **export_options())
    report, file = serving.read_report(folder), formats.get(name).FILE.replace(".xml", ".bin")
    assert (folder / file).stat().st_size < 0.45 * (whole / file).stat().st_size
    assert report.precision == "int8" and report.quantization["images"] == report.quantization["compared"] == 40
    assert report.quantization["part"] == "train" and report.quantization["data"] == "synthetic"
    assert report.agreement >= 0.85 and report.quantization["mean_difference"] < 0.03
    assert "int8: the same class for" in str(report)
    loaded = formats.load(folder)
    np.testing.assert_allclose(loaded.predict(images(8)).sum(axis=-1), 1, atol=1e-5)  # softmax stays in float32
    if name == "openvino":
        import openvino

        nodes = openvino.Core().read_model(str(folder / "model.xml")).get_ops()
        constants = [node for node in nodes if node.get_type_name() == "Constant" and len(node.get_output_shape(0)) > 1]
        kept = [node.get_element_type().get_type_name() for node in constants]
        assert kept.count("i8") == 3  # two convolutions and the dense layer
    compared = quantize.calibration(source, inference.Predictor.from_model(model, NAMES, preprocessing=CIFAR), 40)
    agreement = quantize.agreement(np.asarray(model(compared.compared)), loaded.predict(compared.compared))
    np.testing.assert_allclose(agreement["agreement"], report.agreement)


REFUSED = [
    ("onnx", {"precision": "bfloat16"}, "computes float32 and float16 on CPUs. Received: precision=bfloat16"),
    ("litert", {"precision": "bfloat16"}, "weights in float32, float16 or int8. Received: precision=bfloat16"),
    ("openvino", {"precision": "half"}, "precision must be one of float32, .*Received: precision='half'"),
    ("onnx", {"native": True}, "onnx holds no compiled ops. Received: native=True"),
    ("openvino", {"native": True}, "openvino holds no compiled ops. Received: native=True"),
]


@pytest.mark.parametrize("name, options, message", [pytest.param(*row, marks=needs(row[0])) for row in REFUSED])
def test_what_a_format_cannot_hold_is_refused(name, options, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        serving.export(small_net(), tmp_path / "a", format=name, **options, **export_options())
    assert "\n" not in str(caught.value) and not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ALL)
def test_a_network_that_needs_xla_is_refused_by_the_layers_name(name, tmp_path):
    with pytest.raises(InputError, match="kerascnn.layers.Conv2D.*Received: the layer 'grouped"):
        serving.export(small_net(grouped=keras.layers.Conv2D), tmp_path / "a", format=name, **export_options())


@pytest.mark.parametrize("name", list(MODULES))
def test_a_missing_package_is_named_with_its_extra(name, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    gone = MODULES[name][-1]
    monkeypatch.setattr(importlib.util, "find_spec", lambda what, *more: None if what == gone else find(what, *more))
    described = export_options()
    for call in (
        lambda: serving.export(small_net(), tmp_path / "a", format=name, **described),
        lambda: formats.get(name).load(tmp_path),
        lambda: formats.get(name).check(tmp_path),
    ):
        with pytest.raises(InputError, match=rf'needs pip install "kerascnn\[{name}\]". Received: no .*{gone}'):
            call()
    assert not (tmp_path / "a").exists()


def test_a_folder_holds_one_format(exported, tmp_path):
    shutil.copytree(exported[1], tmp_path / "1")
    with pytest.raises(InputError, match="must be of one format. Received: onnx beside saved_model in"):
        serving.export(small_net(), tmp_path, format="onnx", **export_options())
    assert sorted(os.listdir(tmp_path)) == ["1"]


def test_a_folder_is_recognized_by_its_file(exported, tmp_path):
    assert formats.recognize(exported[1]) == formats.recognize(exported[1].parent) == ("saved_model", exported[1])
    assert formats.recognize(tmp_path) is None and formats.recognize(tmp_path / "missing") is None
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "model.onnx").write_bytes(b"")
    assert formats.recognize(tmp_path) == ("onnx", tmp_path / "2")
    assert formats.load(exported[1].parent).class_names == NAMES
    with pytest.raises(InputError, match="no such folder"):
        formats.load(tmp_path / "missing")
    assert "quantize" not in formats.names()


def broken_record(**changes):
    def damage(folder):
        path = folder / "predictor.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return damage


@needs("onnx")
@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: (folder / "predictor.json").unlink(), "predictor.json must be a file"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"nothing"), "must be able to open the file"),
        (broken_record(format="litert"), "must be in the format onnx. Received: litert"),
        (broken_record(class_names=["one"]), "predictor.json is damaged"),
        (broken_record(file="../../elsewhere.onnx"), "predictor.json is damaged"),
        (broken_record(file="other.onnx"), "must be whole; it has no other.onnx"),
        (broken_record(input_shape=[1]), "predictor.json is damaged"),
        (broken_record(precision=None), "predictor.json is damaged"),
    ],
)
def test_a_damaged_export_is_refused_in_one_line(written, damage, message, tmp_path):
    folder = shutil.copytree(written("onnx")[1], tmp_path / "1")
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        formats.get("onnx").load(folder)
    assert "\n" not in str(caught.value)


@needs("onnx")
def test_other_numbers_fail_the_check(written, tmp_path):
    folder = shutil.copytree(written("onnx")[1], tmp_path / "1")
    with np.load(folder / _runtimes.ANSWERS) as kept:
        arrays = dict(kept)
    np.savez(folder / _runtimes.ANSWERS, **{**arrays, "probabilities": arrays["probabilities"][:, ::-1]})
    with pytest.raises(InputError, match="must give the numbers of the original, but in onnxruntime .* differ by"):
        serving.check(folder)
    (folder / _runtimes.ANSWERS).write_bytes(b"")
    with pytest.raises(InputError, match="recorded answers must be whole"):
        serving.check(folder)


def test_the_process_of_the_check_refuses_what_it_must_not_need(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("")
    record = {"format": "probe", "file": "f", "precision": "float32"}
    (tmp_path / "predictor.json").write_text(json.dumps(record))
    (tmp_path / "assets.extra").mkdir()
    np.savez(tmp_path / _runtimes.ANSWERS, images=images(2), probabilities=images(2), written=images(2))

    def run(path, record):
        with pytest.raises(ImportError):
            import tensorflow  # noqa: F401
        sys.modules["keras"] = keras
        return lambda x: x

    monkeypatch.setitem(_runtimes.RUNTIMES, "probe", (run, "numpy"))
    for name in _runtimes._FORBIDDEN:
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name))
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert _runtimes.main([str(tmp_path), str(tmp_path / "out.npz")]) == 4
    with np.load(tmp_path / "out.npz") as answers:
        np.testing.assert_array_equal(answers["together"], images(2))
        assert answers["alone"].shape == (1, *SHAPE)


def test_narrowed_layers_keep_normalizations_and_the_end_in_float32():
    predictor = inference.Predictor.from_model(small_net(), NAMES, preprocessing=CIFAR)
    network, _ = _graph.folded(predictor, "bfloat16")
    policies = {layer.name: layer.dtype_policy.name for layer in network.layers if layer.weights}
    assert policies["preactivation"] == "mixed_bfloat16" and policies["head"] == "float32"
    assert {"bfloat16"} == {policies[name] for name in policies if "conv2d" in name or name == "grouped"}
    assert _package.pictures(predictor).shape == (2, *SHAPE)

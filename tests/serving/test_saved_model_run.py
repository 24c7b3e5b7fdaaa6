"""csrc/bin/saved_model_run.cc: exit statuses and messages; its numbers are compared in test_checking.py."""

import os
import subprocess

import keras
import numpy as np
import pytest
from serving_nets import SHAPE, export_options

from kerascnn import ops, serving
from kerascnn.applications.resnext import Spec, features
from kerascnn.inference import saved_model as saved_models
from kerascnn.serving import checking
from kerascnn.serving._tensor_file import read_tensors, write_tensors

pytestmark = pytest.mark.skipif(not checking._BINARY.is_file(), reason="kerascnn/_bin/saved_model_run was not built")


def run(*arguments):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [checking._BINARY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image"
    write_tensors(path, {"images": np.zeros((2, *SHAPE), np.float32)})
    return path


def test_several_requests_in_one_process(exported, loaded, image, tmp_path):
    done = run(exported[1], "tensors", image, tmp_path / "1", "tensors", image, tmp_path / "2")
    assert done.returncode == 0, done.stderr
    for name in ("1", "2"):
        outputs = read_tensors(tmp_path / name)
        assert list(outputs) == ["probabilities"]
        np.testing.assert_allclose(outputs["probabilities"], loaded.predict(np.zeros((2, *SHAPE))), atol=1e-6)


def test_a_wrong_command_line_says_the_right_one():
    done = run("only", "three", "words")
    assert done.returncode == 2 and "usage: saved_model_run" in done.stderr


def test_a_missing_library_and_a_missing_model(tmp_path, image):
    done = run("--library", tmp_path / "none.so", tmp_path, "tensors", image, tmp_path / "out")
    assert done.returncode == 3 and "op library does not load" in done.stderr
    done = run(tmp_path, "tensors", image, tmp_path / "out")
    assert done.returncode == 3 and "the model does not load" in done.stderr


def test_an_image_of_a_wrong_shape_is_an_error_and_not_the_end_of_the_server(exported, tmp_path):
    for shape in ((1,), (1, 12, 12, 4)):
        write_tensors(tmp_path / "bad", {"images": np.zeros(shape, np.float32)})
        done = run(exported[1], "tensors", tmp_path / "bad", tmp_path / "out")
        assert done.returncode == 5 and "is not compatible with expected shape [?,12,12,3]" in done.stderr, done.stderr


def header(*numbers):
    return b"KCNTENS1" + np.uint32([1, 6]).tobytes() + b"images" + np.uint32(numbers).tobytes()


@pytest.mark.parametrize(
    "contents, status, message",
    [
        (b"", 4, "is truncated"),
        (b"something else", 4, "is not a tensor file"),
        (b"KCNTENS1" + np.uint32(0).tobytes(), 4, "lacks the input images"),
        (header(1, 4) + np.int64([1, *SHAPE]).tobytes() + bytes(7), 4, "is truncated"),
        (header(1, 2) + np.int64([1 << 40, 1 << 40]).tobytes(), 4, "shape is not sensible"),
        (header(7, 1) + np.int64([1 << 39]).tobytes(), 4, "is truncated"),
        (header(20, 0), 4, "type that cannot be fed"),
    ],
)
@pytest.mark.slow
def test_bad_input_never_crashes(contents, status, message, exported, tmp_path):
    (tmp_path / "bad").write_bytes(contents)
    done = run(exported[1], "tensors", tmp_path / "bad", tmp_path / "out")
    assert done.returncode == status and message in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_unknown_signature_and_an_output_that_cannot_be_written(exported, image, tmp_path):
    done = run(exported[1], "classify", image, tmp_path / "out")
    assert done.returncode == 2 and "no signature classify" in done.stderr
    done = run(exported[1], "tensors", image, tmp_path / "missing" / "out")
    assert done.returncode == 6 and "cannot write" in done.stderr


@pytest.fixture(scope="module")
def resnext(tmp_path_factory):
    """(model, folder) of a ResNeXt of four blocks, exported with kerascnn's own ops."""
    if not ops.build_info()["available"]:
        pytest.skip(f"there are no native ops here: {ops.build_info()['reason']}")
    keras.utils.set_random_seed(0)
    shape = (32, 32, 3)
    inputs = keras.Input(shape)
    stages = features(inputs, Spec(depths=(1, 1, 1, 1), cardinality=4, base_width=4))
    pooled = keras.layers.GlobalAveragePooling2D()(stages[-1])
    model = keras.Model(inputs, keras.layers.Dense(7, "softmax")(pooled))
    options = export_options(input_shape=shape, native=True)
    return model, serving.export(model, tmp_path_factory.mktemp("native"), **options)


def test_a_native_export_runs_with_its_library_and_not_without(resnext, tmp_path):
    model, folder = resnext
    images = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    write_tensors(tmp_path / "in", {"images": images})
    done = run("--library", ops.build_info()["library"], folder, "tensors", tmp_path / "in", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    answer = read_tensors(tmp_path / "out")["probabilities"]
    np.testing.assert_allclose(answer, model(images, training=False), rtol=1e-4, atol=1e-5)
    found = saved_models.custom_ops(saved_models.meta_graph(folder).graph_def)
    assert found == {"Kerascnn>InferenceProgram", "Kerascnn>Resize2D"}

    done = run(folder, "tensors", tmp_path / "in", tmp_path / "none")
    assert done.returncode == 3 and "Op type not registered 'Kerascnn>" in done.stderr

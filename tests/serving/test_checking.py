import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import inference, ops, serving
from kerascnn._errors import InputError
from kerascnn.inference import saved_model as saved_models
from kerascnn.serving import checking
from kerascnn.serving._tensor_file import read_tensors, write_tensors
from kerascnn.serving.warmup import FILE, Request


def test_the_export_was_checked_both_ways(exported):
    report = checking.read_report(exported[1])
    assert report.requests == 8 and report.reference == "the model in memory"
    signatures = {"serving_default", "strict", "pixels", "tensors", "features", "classify"}
    assert set(report.fresh_process) == signatures and max(report.fresh_process.values()) < 1e-5
    if checking._BINARY.is_file():
        assert set(report.c_api) == signatures and max(report.c_api.values()) < 1e-5
        assert report.c_api_absent == "" and "not run" not in str(report)
    else:
        assert report.c_api is None and "not built" in report.c_api_absent and "not run" in str(report)


def test_other_images_and_no_program(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "_BINARY", tmp_path / "saved_model_run")
    path = tmp_path / "a.png"
    path.write_bytes(tf.io.encode_png(np.zeros((5, 4, 3), "uint8")).numpy())
    report = serving.check(exported[1].parent, [path])
    assert report.requests == 2 and report.reference == "this process" and max(report.fresh_process.values()) < 1e-5
    assert report.c_api is None and "was not built" in report.c_api_absent
    assert "C API without Python and oneDNN (not run: the program saved_model_run was not built" in str(report)


@pytest.mark.parametrize(
    "script, outcome",
    [
        ("exit 127", "does not start (status 127: libtensorflow_cc.so.2: cannot open)"),
        ("kill -9 $$", "does not start (status -9"),
        ("exit 5", InputError),
    ],
)
def test_a_program_that_does_not_start_is_not_a_wrong_model(script, outcome, tmp_path, monkeypatch):
    program = tmp_path / "saved_model_run"
    program.write_text(f"#!/bin/sh\necho 'libtensorflow_cc.so.2: cannot open' >&2\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(checking, "_BINARY", program)
    if outcome is InputError:
        with pytest.raises(InputError, match="through the C API, without oneDNN: libtensorflow_cc.so.2: cannot open"):
            checking._run_c_api(tmp_path, None, [])
    else:
        assert outcome in checking._run_c_api(tmp_path, None, [])


def answers(tmp_path, **outputs):
    path = tmp_path / "answer"
    write_tensors(path, outputs)
    return [path]


def best(names, probabilities):
    return {"classes": np.array([[n.encode() for n in names]], object), "probabilities": np.float32([probabilities])}


@pytest.mark.parametrize(
    "names, probabilities, accepted",
    [
        ("abc", [0.5, 0.2, 0.2], True),
        ("acb", [0.5, 0.200001, 0.2], True),  # equal ones may change places
        ("abd", [0.5, 0.2, 0.2], True),  # so may one that was just below the best three
        ("dbc", [0.5, 0.2, 0.2], False),
        ("bac", [0.5, 0.2, 0.2], False),
        ("abc", [0.5, 0.2, 0.1998], False),
        ("abc", [0.5, 0.2, np.nan], False),
        ("ab", [0.5, 0.2], False),
    ],
)
def test_numbers_and_names_are_compared(names, probabilities, accepted, tmp_path):
    request = Request("serving_default", {}, best("abc", [0.5, 0.2, 0.2]))
    targets = answers(tmp_path, **best(names, probabilities))
    if accepted:
        assert checking._compare([request], targets, Path("x"), "y")["serving_default"] < 2e-6
    else:
        with pytest.raises(InputError, match="must give the numbers of the original, but in y .* differs by"):
            checking._compare([request], targets, Path("x"), "y")


def damaged(exported, tmp_path, damage):
    folder = Path(shutil.copytree(exported[1], tmp_path / "damaged"))
    damage(folder)
    return folder


def cut(name, keep=0.5):
    def damage(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])

    return damage


def other_op(folder):
    path = folder / "saved_model.pb"
    text = path.read_bytes()
    assert b"GatherV2" in text
    path.write_bytes(text.replace(b"\x08GatherV2", b"\x08Kerasc>A").replace(b"Kerasc>A", b"GatherV9"))


@pytest.mark.parametrize(
    "damage, message",
    [
        (cut("saved_model.pb"), "must be whole"),
        (cut("saved_model.pb", 0), "must be one of kerascnn"),
        (cut("variables/variables.data-00000-of-00001"), "is damaged"),
        (cut("variables/variables.index"), "is damaged"),
        (cut("assets/preprocessing.json"), "is damaged"),
        (lambda folder: (folder / "assets/class_names.txt").unlink(), "is damaged"),
        (lambda folder: shutil.rmtree(folder / "variables"), "is damaged"),
        (other_op, "is damaged"),
        (lambda folder: (folder / "saved_model.pb").unlink(), "must be a SavedModel or hold"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(exported, damage, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        serving.load(damaged(exported, tmp_path, damage))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [cut(FILE), lambda folder: (folder / FILE).unlink()])
def test_a_check_needs_whole_requests(exported, damage, tmp_path):
    with pytest.raises(InputError, match="whole warm-up requests"):
        serving.check(damaged(exported, tmp_path, damage))


def test_a_check_refuses_a_corrupt_image_by_name(exported, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    with pytest.raises(InputError, match="bad.jpg"):
        serving.check(exported[1], [tmp_path / "bad.jpg"])


def test_a_model_with_native_ops_needs_the_library(exported, tmp_path, monkeypatch):
    def make_native(folder):
        path = folder / "saved_model.pb"
        model = saved_models.saved_model_pb2.SavedModel.FromString(path.read_bytes())
        for function in model.meta_graphs[0].graph_def.library.function:
            for node in function.node_def:
                node.op = node.op.replace("Relu", "Kerascnn>Relu")
        path.write_bytes(model.SerializeToString())

    folder = damaged(exported, tmp_path, make_native)
    monkeypatch.setattr(ops, "build_info", lambda: {"available": False, "reason": "it was never built"})
    for function in (serving.load, serving.check):
        with pytest.raises(InputError, match=r"native ops, .* \(it was never built\)"):
            function(folder)


def test_a_tensor_file_round_trip_and_damage(tmp_path):
    tensors = {
        "images": np.random.default_rng(0).normal(size=(2, 3, 1)).astype("float32"),
        "ü": np.array([[b"", b"\0a\0"]], object),
        "none": np.zeros((0, 4), np.int64),
        "scalar": np.array(True),
    }
    path = tmp_path / "t"
    write_tensors(path, tensors)
    back = read_tensors(path)
    assert list(back) == list(tensors)
    for name, array in tensors.items():
        assert back[name].shape == array.shape and back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
    whole = path.read_bytes()
    for size in (4, 12, 30, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="not a"):
            read_tensors(path)


@pytest.mark.after
def test_turned_photos_and_palettes_mean_the_same_everywhere(exported, loaded, tmp_path):
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "phone.jpg", quality=95, exif=exif)
    upright.quantize(16).save(tmp_path / "palette.bmp")
    paths = [tmp_path / "phone.jpg", tmp_path / "palette.bmp"]
    serving.check(exported[1], paths)  # the graph reads files alike in this process, in a fresh one and without Python
    for path, found in zip(paths, inference.predict(paths, loaded), strict=True):
        _, probabilities = loaded.classify([path.read_bytes()])
        np.testing.assert_allclose(probabilities[0], found.probabilities, rtol=1e-4, atol=1e-6)

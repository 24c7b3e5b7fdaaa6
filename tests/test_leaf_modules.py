"""The modules that everybody may import: files, preprocessing constants, the package's front door."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn._files import atomic_write, ensure_folder, replace_with
from kerascnn._preprocessing import CIFAR, IMAGENET, LENET, Preprocessing


def test_importing_the_package_imports_neither_tensorflow_nor_keras():
    code = "import sys, kerascnn; assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_saved_model_loads_where_nothing_was_built_before(tmp_path):
    import keras

    inputs = keras.Input((8, 8, 4))
    outputs = kerascnn.layers.Conv2D(8, 3, groups=2)(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    code = "import keras, kerascnn; keras.models.load_model('model.keras')"
    environment = {**os.environ, "PYTHONPATH": str(Path(kerascnn.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


ORDERS = (
    "import kerascnn, keras",
    pytest.param("import keras, kerascnn", marks=pytest.mark.after),
    pytest.param("import kerascnn, tensorflow as tf; keras = tf.keras", marks=pytest.mark.after),
)


@pytest.mark.parametrize("order", ORDERS)
def test_keras_knows_our_classes_whatever_was_imported_first(order):
    names = ("Conv2D", "AuxiliaryModel", "SmoothedCrossentropy", "MeanIoU", "WarmUp")
    code = f"{order}; print([n for n in {names} if keras.utils.get_registered_object('kerascnn>' + n) is None])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_tensorflow_starts_without_chatter():
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_CPP")}
    code = "import kerascnn, tensorflow as tf; tf.constant(1); import os; os.write(2, b'still heard')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "still heard")


def test_the_last_words_of_an_abort_are_heard(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os\nos.write(2, b'F0000 no AVX\\n')\nos.abort()\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(kerascnn.__file__).parents[1]}"}
    code = "import kerascnn, tensorflow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode < 0 and "F0000 no AVX" in done.stderr


def test_public_names_are_sorted_and_there():
    assert kerascnn.__all__ == sorted(kerascnn.__all__) == dir(kerascnn)
    assert all(getattr(kerascnn, name) is not None for name in kerascnn.__all__)


def test_without_tensorflow_the_message_says_what_to_install():
    code = "import sys; sys.modules['tensorflow'] = None\nimport kerascnn\nkerascnn.create_model"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode != 0 and "pip install 'kerascnn[cpu]'" in result.stderr.splitlines()[-1]


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'resnet'"):
        kerascnn.resnet  # noqa: B018
    assert {"create_model", "ops", "layers"} <= set(dir(kerascnn))


def test_a_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="No space"), atomic_write(path) as file:
        file.write("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]
    with atomic_write(path) as file:
        file.write("new")
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]
    with replace_with(tmp_path / "m.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")
        temporary.write_bytes(b"x")
    assert (tmp_path / "m.weights.h5").read_bytes() == b"x"


def test_atomic_write_refuses_other_modes(tmp_path):
    with pytest.raises(InputError, match="Received: 'a'"), atomic_write(tmp_path / "a", "a"):
        pass


def test_output_folder_must_be_a_writable_folder(tmp_path):
    assert ensure_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "below", "/proc/kerascnn"):
        with pytest.raises(InputError, match="Received: .*"):
            ensure_folder(bad)


@pytest.mark.parametrize("constants", [IMAGENET, CIFAR, LENET])
def test_preprocessing_survives_json(constants):
    assert Preprocessing.from_dict(constants.to_dict()) == constants


def test_lenet_pixels_are_those_of_the_paper():
    background, foreground = ((value - LENET.mean[0]) / LENET.std[0] for value in (0.0, 1.0))
    assert background == pytest.approx(-0.1) and foreground == pytest.approx(1.175)


def test_preprocessing_for_other_channels():
    gray = IMAGENET.for_channels(1)
    assert gray.mean == (pytest.approx((0.485 + 0.456 + 0.406) / 3),) and len(gray.std) == 1
    assert IMAGENET.for_channels(3) is IMAGENET and len(IMAGENET.for_channels(4).mean) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std": (0.0, 1.0, 1.0)}, "std must be positive"),
        ({"mean": (0.5,)}, "one value per channel"),
        ({"mean": (10**400, 0.5, 0.5)}, "each mean must be a finite number"),
        ({"std": (float("nan"), 1.0, 1.0)}, "each std must be a finite number"),
        ({"crop_fraction": float("nan")}, "crop_fraction must be a finite number"),
        ({"crop_fraction": 0.0}, "crop_fraction must be in"),
        ({"interpolation": "lanczos"}, "interpolation must be one of"),
        ({"fit": "stretch"}, "fit must be one of"),
    ],
)
def test_wrong_constants_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        Preprocessing(**{"mean": (0.5,) * 3, "std": (1.0,) * 3, **change})
    with pytest.raises(InputError, match="needs exactly"):
        Preprocessing.from_dict({"mean": [0.5]})

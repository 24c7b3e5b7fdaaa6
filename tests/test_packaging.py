"""The build: what the binaries hold, what they need, what is made again, and what a machine without compiler gets."""

import ctypes
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kerascnn

ROOT = Path(__file__).parents[1]
PACKAGE = Path(kerascnn.__file__).parent
MODULE = importlib.util.find_spec("kerascnn._kernels")
OPS = PACKAGE / "_ops.so"
needs_checkout = pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="needs the sources")
needs_tools = pytest.mark.skipif(not shutil.which("nm") or not shutil.which("readelf"), reason="needs binutils")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@needs_tools
@pytest.mark.skipif(MODULE is None, reason="kerascnn._kernels was not built")
def test_the_numpy_module_knows_no_tensorflow():
    assert "tensorflow" not in output("nm", "-D", "-C", MODULE.origin)
    assert "libtensorflow" not in output("readelf", "-d", MODULE.origin)


@needs_tools
@pytest.mark.skipif(not OPS.is_file(), reason="the op library was not built")
def test_the_op_library_needs_no_gpu_and_no_absolute_place():
    dynamic = output("readelf", "-d", str(OPS))
    assert "libtensorflow_framework.so.2" in dynamic
    assert "$ORIGIN/../tensorflow" in dynamic
    assert "libcuda" not in dynamic


@needs_tools
@pytest.mark.skipif(not (PACKAGE / "_bin").is_dir(), reason="the executables were not built")
def test_executables_find_tensorflow_beside_the_package():
    for program in (PACKAGE / "_bin").iterdir():
        assert "$ORIGIN/../../tensorflow" in output("readelf", "-d", str(program))


def registered(op):
    """The device of every kernel that TensorFlow knows for an op, by its C API."""
    import tensorflow as tf

    class Buffer(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p)]

    library = ctypes.CDLL(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
    library.TF_NewStatus.restype = ctypes.c_void_p
    library.TF_GetRegisteredKernelsForOp.restype = ctypes.POINTER(Buffer)
    library.TF_GetRegisteredKernelsForOp.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    found = library.TF_GetRegisteredKernelsForOp(op.encode(), library.TF_NewStatus()).contents
    text = ctypes.string_at(found.data, found.length).decode("latin-1")
    return re.findall(r"(CPU|GPU)", text)


@needs_checkout
@pytest.mark.skipif(not OPS.is_file(), reason="the op library was not built")
def test_gpu_kernels_are_registered_where_cuda_was_built():
    from kerascnn.ops import _native

    assert _native.register()
    record = json.loads((PACKAGE / "_build_info.json").read_text())
    wanted = 4 if record["cuda"]["architectures"] else 0
    ops = ("DeformConv2D", "LocalResponseNormalization", "SAFPool2D")
    convolutions = ["Conv2D", "Conv2DInputGradient", "Conv2DFilterGradient"]
    for op in [*convolutions, *(name + form for name in ops for form in ("", "Gradient"))]:
        devices = registered(f"Kerascnn>{op}")
        assert devices.count("CPU") == 4 and devices.count("GPU") == wanted, devices
    if not _native.has_gpu():
        assert _native.cuda_problem()  # in words: no driver, no device, or no CUDA in this build


@needs_checkout
@pytest.mark.skipif(MODULE is None, reason="kerascnn._kernels was not built")
def test_a_checkout_has_the_module_that_runs_cuda_kernels_on_the_cpu():
    record = json.loads((PACKAGE / "_build_info.json").read_text())
    assert "cuda_on_cpu" not in record["absent"], record["absent"]["cuda_on_cpu"]
    assert importlib.util.find_spec("kerascnn._cuda_on_cpu"), "its tests would be skipped; run make setup"


def load_setup():
    """setup.py as a module, without running it."""
    spec = importlib.util.spec_from_file_location("kerascnn_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_checkout
def test_tensorflow_is_found_without_importing_it():
    import tensorflow as tf

    found = load_setup().find_tensorflow()
    assert found["version"] == tf.__version__
    assert found["path"] == Path(tf.__file__).resolve().parent


@needs_checkout
def test_a_build_environment_without_tensorflow_asks_for_it(monkeypatch):
    setup = load_setup()
    monkeypatch.setattr(setup, "find_tensorflow", lambda: None)
    monkeypatch.delenv("KERASCNN_BUILD", raising=False)
    assert setup.tensorflow_requirement()[0].endswith(f"=={setup.TENSORFLOW_SERIES}.*")
    monkeypatch.setenv("KERASCNN_BUILD", "off")
    assert setup.tensorflow_requirement() == []
    # One number, two files: what the extras install is what the ops are built for.
    assert f"tensorflow-cpu=={setup.TENSORFLOW_SERIES}.*" in (ROOT / "pyproject.toml").read_text()


@needs_checkout
def test_objects_are_made_again_only_when_something_changed(tmp_path, monkeypatch):
    if not shutil.which("g++"):
        pytest.skip("needs g++")
    setup = load_setup()
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    source, header, made = tmp_path / "a.cc", tmp_path / "a.h", tmp_path / "out" / "a.o"
    header.write_text("int f();\n")
    source.write_text('#include "a.h"\n')
    command = ["g++", "-MMD", "-c", "a.cc", "-o", str(made)]
    for path in (source, header):
        os.utime(path, (1, 1))
    assert setup.make(made, command, [Path("a.cc")])
    assert not setup.make(made, command, [Path("a.cc")])
    os.utime(header, (2**31, 2**31))
    assert setup.make(made, command, [Path("a.cc")])
    os.utime(header, (1, 1))
    assert setup.make(made, [*command, "-O1"], [Path("a.cc")])
    header.unlink()
    with pytest.raises(setup.CompileError, match="a.h: No such file"):
        setup.make(made, command, [Path("a.cc")])


def install_without_compiler(folder, **environment):
    """Builds a copy of the sources in place with a compiler that does not exist."""
    # A made-up package: the code that compiles does not look at the Python part.
    for name in ("setup.py", "csrc"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    (folder / "kerascnn").mkdir()
    (folder / "kerascnn" / "__init__.py").touch()
    environment = {**os.environ, "CXX": "no-such-compiler", "KERASCNN_CUDA": "off", **environment}
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@needs_checkout
def test_without_compiler_the_installation_succeeds_and_says_why(tmp_path):
    done = install_without_compiler(tmp_path, KERASCNN_BUILD="auto")
    assert done.returncode == 0, done.stderr
    assert "WARNING: kerascnn was installed without its native code" in done.stderr
    record = json.loads((tmp_path / "kerascnn" / "_build_info.json").read_text())
    assert "no-such-compiler: No such file or directory" in record["absent"]["ops"]
    assert not (tmp_path / "kerascnn" / "_ops.so").exists()


@needs_checkout
def test_require_makes_it_an_error(tmp_path):
    done = install_without_compiler(tmp_path, KERASCNN_BUILD="require")
    assert done.returncode != 0
    assert "KERASCNN_BUILD=require, but not built: ops" in done.stderr


@needs_checkout
def test_a_wrong_setting_is_refused(tmp_path):
    done = install_without_compiler(tmp_path, KERASCNN_BUILD="maybe")
    assert done.returncode != 0
    assert "KERASCNN_BUILD must be one of auto, require, off. Received: maybe" in done.stderr


@pytest.mark.parametrize(
    ("machine", "system", "package"),
    [
        ("x86_64", "linux", "tensorflow-cpu"),
        ("AMD64", "win32", "tensorflow-cpu"),
        ("aarch64", "linux", "tensorflow"),
        ("arm64", "darwin", "tensorflow"),
        ("x86_64", "darwin", "tensorflow"),
    ],
)
def test_the_extra_cpu_asks_for_a_wheel_that_exists(machine, system, package):
    requirements = pytest.importorskip("packaging.requirements")
    tomllib = pytest.importorskip("tomllib")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = [requirements.Requirement(text) for text in extras["cpu"]]
    place = {"platform_machine": machine, "sys_platform": system}
    assert [wanted.name for wanted in found if wanted.marker.evaluate(place)] == [package]

"""The builds besides setup.py (Bazel, aarch64): their files and flags, read without running them.

`make bazel-check` and `make aarch64-check` run them.
"""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "BUILD").is_file(), reason="needs the sources")


def sources(pattern):
    return {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)}


@pytest.fixture(scope="module")
def targets():
    """Name -> attributes with "rule" of every target in BUILD, which is run as the Python that it also is."""
    found = {}

    def rule(kind):
        def declare(name, **attributes):
            assert name not in found, f"BUILD declares {name} twice"
            found[name] = {"rule": kind, **attributes}

        return declare

    def glob(patterns, exclude=(), allow_empty=False):
        files = set().union(*map(sources, patterns)) - set().union(*map(sources, exclude), set())
        assert files or allow_empty, f"BUILD: no file matches {patterns}"
        return sorted(files)

    names = {kind: rule(kind) for kind in ("cc_binary", "cc_library", "cc_test")}
    ignored = {name: lambda *args, **options: None for name in ("load", "package", "licenses")}
    exec(compile((ROOT / "BUILD").read_text(), "BUILD", "exec"), {**names, **ignored, "glob": glob})
    return found


def files(targets, *names):
    attributes = ("srcs", "hdrs", "textual_hdrs")
    return {file for name in names for attribute in attributes for file in targets[name].get(attribute, ())}


def test_bazel_builds_every_source(targets):
    kernels = files(targets, "common", "kernels")
    assert kernels >= sources("csrc/common/*.h") | sources("csrc/kernels/*.cc") | sources("csrc/kernels/*.h")
    assert kernels >= sources("csrc/kernels/*.inc") | sources("csrc/common/*.inc")
    assert not any(file.startswith("csrc/tf/") for file in kernels)
    assert files(targets, "kerascnn_ops") == sources("csrc/tf/*.cc") | sources("csrc/tf/*.h")
    assert files(targets, "kernels_test") == sources("csrc/tests/*")
    assert files(targets, "saved_model_run") == sources("csrc/bin/*.cc")
    assert not any(file.endswith(".cu") for file in files(targets, *targets)), "the targets are for the CPU"


def test_bazel_targets_for_servers_and_for_python(targets):
    server, library = targets["kerascnn_ops"], targets["_ops.so"]
    assert server["alwayslink"] and "@org_tensorflow//tensorflow/core:framework" in server["deps"]
    assert library["linkshared"] and library["deps"] == [":kerascnn_ops"] and "manual" in library["tags"]
    for name, target in targets.items():
        for dependency in target.get("deps", ()):
            here = dependency.startswith(":")
            assert dependency[1:] in targets if here else dependency.startswith("@org_tensorflow//"), (name, dependency)
    for name in ("kernels", "common", "kernels_test"):
        assert not any("tensorflow" in dependency for dependency in targets[name].get("deps", ())), name
    assert "//visibility:public" in (ROOT / "BUILD").read_text()


def test_the_installed_tensorflow_has_the_labels_that_are_used(targets):
    text = (ROOT / "tools" / "bazel" / "tensorflow.bzl").read_text()
    packages = ast.literal_eval(re.search(r"^_PACKAGES = (\{.*?^\})", text, re.MULTILINE | re.DOTALL)[1])
    known = {f"@org_tensorflow//{package}:{name}" for package, names in packages.items() for name in names}
    used = {label for target in targets.values() for label in target.get("deps", ()) if label.startswith("@")}
    assert used <= known
    assert 'installed_tensorflow(name = "org_tensorflow")' in (ROOT / "WORKSPACE").read_text()
    import tensorflow as tf

    defines = re.findall(r'"(\w+=\w+)"', text)
    assert defines and all(f"-D{define}" in tf.sysconfig.get_compile_flags() for define in defines)
    script = ast.literal_eval(re.search(r'^_FIND = (""".*?""")', text, re.MULTILINE | re.DOTALL)[1])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).resolve() == Path(tf.__file__).resolve().parent


def test_all_builds_use_the_flags_of_setup():
    spec = importlib.util.spec_from_file_location("kerascnn_setup", ROOT / "setup.py")
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    wanted = {flag for flag in setup.COMMON_FLAGS if flag.startswith(("-f", "-std", "-O", "-D"))} - {"-fPIC"}
    for name in ("BUILD", "tools/aarch64_check.sh"):
        missing = {flag for flag in wanted if flag not in (ROOT / name).read_text()}
        assert not missing, f"{name} lacks flags of setup.py: {missing}"


@pytest.mark.parametrize(
    "script, missing", [("bazel_check.sh", "Bazel"), ("aarch64_check.sh", "aarch64-linux-gnu-g++")]
)
def test_without_its_tool_a_check_says_so(script, missing, tmp_path):
    for program in ("dirname", "env"):
        (tmp_path / program).symlink_to(shutil.which(program))
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [shutil.which("bash"), str(ROOT / "tools" / script)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 3 and f"{missing} is not installed" in done.stderr, done.stderr


def test_without_a_compiler_the_sanitizers_say_so():
    environment = {**os.environ, "CXX": "no-compiler-of-this-name"}
    command = [sys.executable, str(ROOT / "tools" / "sanitize.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 3 and "no-compiler-of-this-name is not installed" in done.stderr, done.stderr

"""The house rules as tests: who may import whom, sizes, sources, names. Each failure says the rule and the cure."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kerascnn"

_MODEL = {"ops", "models", "layers", "surgery", "weights"}  # what everything that takes a `keras.Model` may use
# Which third-party packages and which sub-packages of kerascnn each sub-package may import, at any depth of the code.
# Modules with a leading underscore directly under kerascnn/ (_errors, _files, _preprocessing) are for everybody.
ALLOWED = {
    "ops": {"tensorflow", "numpy", "absl"},
    "models": {"keras"},
    "layers": {"keras", "tensorflow", "models", "ops"},
    "surgery": {"keras", "numpy", "models", "layers"},
    "blocks": {"keras", "layers"},
    "cells": {"keras", "numpy", "rich", "matplotlib", "models", "layers", "blocks"},
    "weights": {"numpy", "keras", "tensorflow", "h5py", "safetensors", "absl", "rich", "models", "layers", "surgery"},
    "applications": {"keras", "absl", "models", "blocks", "cells", "layers", "surgery", "weights"},
    "data": {"tensorflow", "tensorflow_datasets", "numpy", "absl", "PIL", "ops"},
    "tasks": {"keras", "tensorflow", "numpy", "data"},
    "inference": {"keras", "tensorflow", "numpy", "absl", "rich", "matplotlib", "google", *_MODEL, "data", "tasks"},
    "training": {
        "keras",
        "tensorflow",
        "numpy",
        "absl",
        "rich",
        "matplotlib",
        "mlflow",
        "wandb",
        *_MODEL,
        "data",
        "tasks",
        "inference",
        "explain",
    },
    "evaluation": {"keras", "tensorflow", "numpy", "absl", "rich", "matplotlib", *_MODEL, "data", "tasks", "inference"},
    "serving": {
        "keras",
        "tensorflow",
        "numpy",
        "absl",
        "google",
        "aiohttp",
        "grpc",
        "prometheus_client",
        "onnx",
        "onnxruntime",
        "tf2onnx",
        "ai_edge_litert",
        "openvino",
        *_MODEL,
        "data",
        "tasks",
        "inference",
        "explain",
    },
    "analysis": {"keras", "tensorflow", "numpy", "absl", "rich", "matplotlib", *_MODEL, "data", "tasks", "inference"},
    "explain": {
        "keras",
        "tensorflow",
        "numpy",
        "absl",
        "matplotlib",
        "scipy",
        "sklearn",
        *_MODEL,
        "data",
        "tasks",
        "inference",
    },
    "studies": {
        "keras",
        "tensorflow",
        "numpy",
        "matplotlib",
        *_MODEL,
        "analysis",
        "data",
        "tasks",
        "inference",
        "training",
        "explain",
    },
    "search": {
        "keras",
        "tensorflow",
        "numpy",
        "absl",
        "rich",
        "matplotlib",
        "models",
        "analysis",
        "applications",
        "cells",
        "data",
        "tasks",
        "training",
    },
    "benchmark": {
        "keras",
        "tensorflow",
        "numpy",
        "absl",
        "rich",
        "matplotlib",
        "PIL",
        "onnxruntime",
        "ai_edge_litert",
        "openvino",
        "layers",
        "ops",
        "data",
        "inference",
        "serving",
        "applications",
    },
}
STANDARD_LIBRARY = __import__("sys").stdlib_module_names
PYTHON_LINES, FAMILY_LINES, NATIVE_LINES, EXAMPLE_LINES = 400, 220, 500, 60
SOURCE = re.compile(r"arXiv:\s?\d{4}\.\d{4,5}|doi\.org/|DOI|Proc\.|NIPS|NeurIPS|CVPR")


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks and that exist (new ones count as soon as they are added)."""
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def imports(path: Path) -> set[str]:
    """Absolute names of every module that a Python file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports (from kerascnn.x import y)"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def python_files(package: str) -> list[Path]:
    return tracked(f"kerascnn/{package}/*.py", f"kerascnn/{package}/**/*.py")


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_import_directions(package):
    for path in python_files(package):
        for name in imports(path):
            top, *rest = name.split(".")
            if top in STANDARD_LIBRARY:
                continue
            if top == "kerascnn":
                top = rest[0] if rest else ""
                if top == package or (top.startswith("_") and not (PACKAGE / top).is_dir()):
                    continue
            assert top in ALLOWED[package], (
                f"{path.relative_to(ROOT)} imports {name}; kerascnn.{package} may import only "
                f"{sorted(ALLOWED[package])}. Move the code to the package that may, or pass the value in."
            )


def test_every_package_has_its_rule():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    missing = packages - set(ALLOWED) - {"cli"}  # the command line may import everything
    assert not missing, f"Add a row to ALLOWED (and CONTRIBUTING): {missing}"


def test_leaves_import_the_standard_library_alone():
    """What everything may import must not lead anywhere: not to a third-party package, not up the house."""
    leaves = tracked("kerascnn/_*.py")
    names = {path.stem for path in leaves}
    for path in leaves:
        if path.name in ("__init__.py", "__main__.py"):
            continue
        for name in imports(path):
            top, *rest = name.split(".")
            leaf = top == "kerascnn" and bool(rest) and (rest[0] in names or rest == ["__version__"])
            assert top in STANDARD_LIBRARY or leaf, f"{path.relative_to(ROOT)} imports {name}; a leaf may not"


def test_weights_are_read_only_by_the_builder():
    for path in python_files("applications"):
        used = {name for name in imports(path) if name.startswith("kerascnn.weights")}
        if path.name not in ("_build.py", "_published.py"):
            assert used <= {"kerascnn.weights.catalogue"} and (not used or path.name == "_registry.py"), path


def families() -> list[Path]:
    return [path for path in tracked("kerascnn/applications/*.py") if not path.name.startswith("_")]


def test_a_family_never_imports_a_family():
    names = {path.stem for path in families()}
    for path in families():
        used = {name.split(".")[2] for name in imports(path) if name.startswith("kerascnn.applications.")}
        assert not used & names, f"{path.name} imports {used & names}: share through blocks/ or keep an own copy"


def test_every_family_names_its_papers_and_departures():
    for path in families():
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert SOURCE.search(docstring), (
            f"{path.name}: the docstring cites the paper (authors, title, year, arXiv or DOI)"
        )
        assert "Departures" in docstring, (
            f"{path.name}: the docstring lists departures from the paper, or 'Departures: none'"
        )


def test_no_private_modules_of_keras_or_tensorflow():
    for path in tracked("*.py"):
        for name in imports(path):
            private = name.startswith(("keras.src", "tensorflow.python", "tensorflow.compiler"))
            assert not private, f"{path.relative_to(ROOT)} imports {name}: use the public API"


def test_native_code_is_layered():
    for path in tracked("csrc/kernels/*", "csrc/common/*", "csrc/tests/*"):
        for header in re.findall(r'#include\s+[<"]([^>"]+)', path.read_text()):
            banned = header.startswith(("tensorflow/", "xla/", "absl/", "pybind11/", "Python.h"))
            assert not banned, f"{path.relative_to(ROOT)} includes {header}: kernels know neither TensorFlow nor Python"
    for path in tracked("csrc/python/*"):
        assert "tensorflow/" not in path.read_text(), f"{path}: the pybind11 module has no TensorFlow in it"
    for path in tracked("csrc/*.cu", "csrc/**/*.cu"):
        assert not re.search(r'#include\s+[<"](tensorflow|absl|xla|Eigen)', path.read_text()), path


def test_files_stay_small():
    budgets = [(path, PYTHON_LINES) for path in tracked("*.py")]
    budgets += [(path, FAMILY_LINES) for path in families() if path.name != "__init__.py"]
    budgets += [(path, NATIVE_LINES) for path in tracked("csrc/**")]
    budgets += [(path, EXAMPLE_LINES) for path in tracked("examples/*.py")]
    long = [
        f"{path.relative_to(ROOT)}: {lines} > {budget}"
        for path, budget in budgets
        if (lines := len(path.read_text().splitlines())) > budget
    ]
    assert not long, "One idea a file; split these: " + "; ".join(long)


def test_public_names_have_docstrings():
    missing = []
    for path in tracked("kerascnn/*.py", "kerascnn/**/*.py"):
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree) and tree.body:
            missing.append(str(path.relative_to(ROOT)))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    missing.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert not missing, f"Public things say what they take, return, raise and where they come from: {missing}"


def test_no_two_files_differ_by_case():
    names = [str(path.relative_to(ROOT)) for path in tracked()]
    folded = {}
    for name in names:
        folded.setdefault(name.lower(), []).append(name)
    assert not [same for same in folded.values() if len(same) > 1]
    assert not (ROOT / "build").is_file(), "BUILD collides with setuptools' build/; build_base is _build"


def test_no_prints_or_asserts_in_the_library():
    """Users' mistakes end in InputError; `python -O` drops asserts; what is printed belongs to the command line."""
    for path in tracked("kerascnn/*.py", "kerascnn/**/*.py"):
        if path.is_relative_to(PACKAGE / "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            printed = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            assert not printed, f"{path.relative_to(ROOT)}:{node.lineno}: log with absl instead of print"
            assert not isinstance(node, ast.Assert), f"{path.relative_to(ROOT)}:{node.lineno}: raise InputError"


def test_every_command_is_one_file():
    for path in tracked("kerascnn/cli/commands/*.py"):
        if path.name.startswith("_"):
            continue
        assigned = {
            target.id: node.value
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign)
            for target in node.targets
        }
        row = assigned.get("COMMAND")
        name = row.args[0].value if isinstance(row, ast.Call) and row.args else None
        assert name == path.stem, f"{path.relative_to(ROOT)} exposes COMMAND = Command({path.stem!r}, ...)"


def test_checkpoints_are_never_unpickled():
    for path in tracked("kerascnn/*.py", "kerascnn/**/*.py"):
        text = path.read_text()
        assert "allow_pickle=True" not in text and "safe_mode=False" not in text, path
        assert not {"pickle", "torch", "timm", "torchvision"} & {name.split(".")[0] for name in imports(path)}, path


def test_the_tree_names_no_machine():
    for path in tracked():
        if path.suffix in {".png", ".npz", ".gz", ".keras", ".h5"} or path == Path(__file__):
            continue
        text = path.read_text(errors="replace")
        found = re.findall(r"(?<![\w.$}])/(?:root|home|work)/[\w./-]*", text)
        assert not found, f"{path.relative_to(ROOT)} holds a path of one machine: {found[:3]}"


def test_examples_say_how_to_run_them():
    for path in tracked("examples/*.py"):
        head = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert f"python examples/{path.name}" in head and "Result" in head, (
            f"{path.name}: the docstring begins with the command, the expected time and the result"
        )


def test_every_dependency_is_justified():
    tomllib = pytest.importorskip("tomllib")
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*table["build-system"]["requires"], *table["project"]["dependencies"]]
    wanted += [name for extra in table["project"]["optional-dependencies"].values() for name in extra]
    names = {re.match(r"[A-Za-z0-9_-]+", requirement)[0] for requirement in wanted} - {"kerascnn"}
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    missing = sorted(name for name in names if f"`{name}`" not in contributing)
    assert not missing, f"CONTRIBUTING justifies each dependency in one line; missing: {missing}"

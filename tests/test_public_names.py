"""Every public package lists its names; functions say the types of what they take and give, and have docstrings."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import kerascnn

PACKAGES = [name for name in kerascnn.__all__ if inspect.ismodule(getattr(kerascnn, name))]
ROOT = Path(kerascnn.__file__).parent
# Packages of which other packages use more than what is listed.
NETWORKS = [path for name in ("blocks", "cells", "layers", "models") for path in sorted((ROOT / name).glob("*.py"))]
NETWORKS += sorted((ROOT / "applications").glob("_*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_its_names(package):
    module = getattr(kerascnn, package)
    assert module.__all__ and len(set(module.__all__)) == len(module.__all__)
    assert all(getattr(module, name) is not None for name in module.__all__)


@pytest.mark.parametrize("first", ["kerascnn.create_model('lenet5')", "import kerascnn.layers, kerascnn.surgery"])
def test_what_is_used_first_may_be_ours_and_bring_keras(first):
    """Keras' import makes classes known that its files need, in the midst of whichever of our modules imports it."""
    program = f"import kerascnn, sys; {first}; assert 'kerascnn.training.steps' in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("package", PACKAGES)
def test_public_functions_are_annotated_and_described(package):
    module = getattr(kerascnn, package)
    functions = {name: getattr(module, name) for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    ours = {name: value for name, value in functions.items() if value.__module__.startswith("kerascnn.")}
    bare, silent = [], []
    for name, value in ours.items():
        signature = inspect.signature(value)
        annotations = [parameter.annotation for parameter in signature.parameters.values()]
        if inspect.Signature.empty in (*annotations, signature.return_annotation):
            bare.append(name)
        if "Returns:" not in inspect.getdoc(value) and signature.return_annotation not in (None, "None"):
            silent.append(name)
    assert not bare, f"kerascnn.{package}: annotate every argument and the return value of {bare}"
    assert not silent, f"kerascnn.{package}: the docstring says what is returned by {silent}"


def test_all_stands_in_packages_alone():
    with_all = {path.name for path in ROOT.rglob("*.py") if "\n__all__ = " in path.read_text(encoding="utf-8")}
    assert with_all == {"__init__.py"}


def test_functions_of_networks_are_annotated():
    missing = {}
    for path in NETWORKS:
        found = [text for function in functions(path) if (text := unannotated(function))]
        if found:
            missing[str(path.relative_to(ROOT))] = found
    assert not missing, f"annotate arguments and results: {missing}"


def functions(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (each for each in node.body if isinstance(each, ast.FunctionDef))


def unannotated(function) -> str:
    if function.name.startswith("_"):
        return ""
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    bare = [a.arg for a in arguments if a and a.annotation is None and a.arg not in ("self", "cls")]
    return f"{function.name}({', '.join(bare)})" if bare or function.returns is None else ""

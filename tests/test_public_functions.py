"""Public functions of the packages of networks are annotated, and `__all__` stands in packages alone."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kerascnn"
FILES = [
    path for package in ("blocks", "cells", "layers", "models") for path in sorted((PACKAGE / package).glob("*.py"))
]
FILES += sorted((PACKAGE / "applications").glob("_*.py"))


def functions(tree):
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (each for each in node.body if isinstance(each, ast.FunctionDef))


def unannotated(path: Path) -> list[str]:
    missing = []
    for function in functions(ast.parse(path.read_text(encoding="utf-8"))):
        if function.name.startswith("_"):
            continue
        given = function.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        open_ = [a.arg for a in arguments if a and a.annotation is None and a.arg not in ("self", "cls")]
        if open_ or function.returns is None:
            missing.append(f"{function.name}({', '.join(open_)})")
    return missing


@pytest.mark.parametrize("package", ["applications", "blocks", "cells", "layers", "models"])
def test_public_functions_are_annotated(package):
    missing = {path.name: found for path in FILES if path.parent.name == package and (found := unannotated(path))}
    assert not missing, f"annotate arguments and results: {missing}"


def test_all_stands_in_packages_alone():
    modules = [path for package in {path.parent for path in FILES} for path in package.glob("*.py")]
    with_all = {path for path in modules if "\n__all__ = " in path.read_text(encoding="utf-8")}
    assert {path.name for path in with_all} == {"__init__.py"}

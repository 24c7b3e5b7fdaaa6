"""Every public package lists its names; functions say the types of what they take and give, and have docstrings."""

import inspect

import pytest

import kerascnn

PACKAGES = [name for name in kerascnn.__all__ if inspect.ismodule(getattr(kerascnn, name))]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_its_names(package):
    module = getattr(kerascnn, package)
    assert module.__all__ and len(set(module.__all__)) == len(module.__all__)
    assert all(getattr(module, name) is not None for name in module.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_functions_are_annotated_and_described(package):
    module = getattr(kerascnn, package)
    bare, silent = [], []
    for name in module.__all__:
        value = getattr(module, name)
        if not (inspect.isfunction(value) and value.__module__.startswith("kerascnn.")):
            continue
        signature = inspect.signature(value)
        annotations = [parameter.annotation for parameter in signature.parameters.values()]
        if inspect.Signature.empty in (*annotations, signature.return_annotation):
            bare.append(name)
        if "Returns:" not in inspect.getdoc(value) and signature.return_annotation not in (None, "None"):
            silent.append(name)
    assert not bare, f"kerascnn.{package}: annotate every argument and the return value of {bare}"
    assert not silent, f"kerascnn.{package}: the docstring says what is returned by {silent}"

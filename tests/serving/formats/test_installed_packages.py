"""tf2onnx lays folders called tests, tools and examples beside itself: none of them is taken for ours."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
TAKEN = {"tests", "tools", "examples"}


def test_all_that_is_collected_is_of_this_checkout(request):
    plugins = request.config.pluginmanager.get_plugins()
    files = {Path(plugin.__file__) for plugin in plugins if Path(getattr(plugin, "__file__", "")).name == "conftest.py"}
    assert ROOT / "tests" / "conftest.py" in files
    assert all(file.is_relative_to(ROOT / "tests") for file in files)
    assert all(item.path.is_relative_to(ROOT / "tests") for item in request.session.items)


def test_no_module_here_is_imported_by_such_a_name():
    for folder in ("kerascnn", "tests", "tools", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                assert not TAKEN & {name.partition(".")[0] for name in names}, (path, names)

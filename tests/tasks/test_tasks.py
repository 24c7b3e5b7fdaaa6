"""The table of tasks, found by listing its folder."""

import ast
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import kerascnn
from kerascnn.data import loading
from kerascnn.tasks import TASKS

PACKAGE = Path(kerascnn.__file__).parent


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_is_whole(name):
    task = TASKS[name]
    assert task.name == name
    for classes in (2, 5, 6, 1000):
        measures = task.measures(classes)
        assert {task.best, *task.drawn} <= set(measures) <= set(task.titles)
        assert [metric.name for metric in task.metrics(classes)] == measures
        assert task.output_shape((8, 16, 3), classes)[-1] == classes
    assert isinstance(task.loss(0.1, from_logits=True), keras.Loss)
    task.check_augment("none")


def test_the_tasks_are_those_of_the_data():
    assert set(TASKS) == set(loading.TASKS)


def test_names_come_without_keras():
    code = "import sys; from kerascnn.tasks import TASKS; sys.exit('keras' in sys.modules or not TASKS)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_everything_that_a_file_may_name_is_registered_with_keras():
    """Of tasks and training: each module with a registered class is one that `import keras, kerascnn` imports."""
    for folder in ("tasks", "training"):
        for path in (PACKAGE / folder).rglob("*.py"):
            decorated = [
                node.name
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ClassDef) and any("register" in ast.unparse(d) for d in node.decorator_list)
            ]
            module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            assert not decorated or module in kerascnn._REGISTERED, module
            for name in decorated:
                assert keras.saving.get_registered_object(f"kerascnn>{name}") is not None, name

"""Rows that processes compute together."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.studies.rows import shared_rows

PROGRAM = """
    import sys, time
    import numpy as np
    from kerascnn.studies.rows import shared_rows
    def row(number):
        with open(sys.argv[1] + "/said", "a") as file:
            file.write(f"{number}\\n")
        time.sleep(0.05)
        return np.array([number, number**2])
    print(shared_rows(sys.argv[1] + "/rows", 12, row, {"of": 1}).tolist())
"""


@pytest.mark.after
def test_processes_share_the_rows_and_each_is_computed_once(tmp_path):
    words = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    expected = str([[float(n), float(n**2)] for n in range(12)])
    assert [process.communicate(timeout=120)[0].strip() for process in processes] == [expected] * 3
    assert sorted(map(int, (tmp_path / "said").read_text().split())) == list(range(12))


def test_a_row_of_a_process_that_died_is_computed_again(tmp_path):
    program = f"""
        import os
        from kerascnn.studies.rows import shared_rows
        shared_rows({str(tmp_path)!r}, 3, lambda number: os._exit(9) if number == 1 else [number], {{"of": 1}})
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)]).returncode == 9
    asked = []
    found = shared_rows(tmp_path, 3, lambda number: asked.append(number) or [10 + number], {"of": 1})
    np.testing.assert_array_equal(found, [[0], [11], [12]])
    assert asked == [1, 2]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(shared_rows(None, 2, lambda number: [number], {}), [[0], [1]])
    assert not list(tmp_path.iterdir())


def test_another_table_and_a_damaged_record(tmp_path):
    shared_rows(tmp_path, 1, lambda number: [1], {"points": 3, "at": (1, 2)})
    shared_rows(tmp_path, 1, lambda number: [2], {"points": 3, "at": (1, 2)})
    with pytest.raises(InputError, match="rows of another study: points differ"):
        shared_rows(tmp_path, 1, lambda number: [1], {"points": 5, "at": (1, 2)})
    (tmp_path / "rows.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        shared_rows(tmp_path, 1, lambda number: [1], {"points": 3})

"""The scripts for shells: from the table of commands, and bash takes its own."""

import shutil
import subprocess

import pytest

from kerascnn import cli
from kerascnn.cli import command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_flag_is_completed(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name, found in command.find().items():
        assert name in script and all(flag.name in script for flag in found.flags)
    assert "cosine" in script  # a choice


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    "words, completed",
    [("kerascnn tr", "train"), ("kerascnn train --batch", "--batch_size"), ("kerascnn train --schedule cos", "cosine")],
)
def test_bash_completes(words, completed, capsys):
    assert cli.main(["completion", "bash"]) == 0
    split = words.split()
    script = f"{capsys.readouterr().out}\nCOMP_WORDS=({words}); COMP_CWORD={len(split) - 1}; _kerascnn; echo $COMPREPLY"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (completed, "")


def test_another_shell_is_refused(capsys):
    assert cli.main(["completion", "tcsh"]) == 2
    assert "the shell must be one of bash, zsh, fish" in capsys.readouterr().err

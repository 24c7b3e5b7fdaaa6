"""How the command line is told of several processes, and what of it is refused, before any of them has to wait."""

import pytest

from kerascnn import cli

TRAIN = ["train", "--model", "lenet5", "--data", "digits"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--strategy", "parameter_server"], "parameter servers update weights without waiting for each other"),
        (["--strategy", "mirrored", "--local_workers", "2"], "local_workers must be for strategy=multiworker"),
        (["--strategy", "multiworker"], "needs to know the workers"),
        (["--workers", "127.0.0.1:2222"], "workers and worker_index are given together"),
        (["--worker_index", "0"], "workers and worker_index are given together"),
        (["--workers", "here", "--worker_index", "0"], "must be host:port. Received: 'here'"),
        (["--workers", "127.0.0.1:2222", "--worker_index", "1"], "worker_index must be a whole number from 0 to 0"),
        (["--local_workers", "0"], "local_workers must be a whole number"),
        (["--local_workers", "2", "--worker_index", "0"], "local_workers chooses the workers itself"),
        (["--batch_statistics", "none"], "batch_statistics must be one of average, sync"),
    ],
    ids=str,
)
def test_what_is_refused(tmp_path, capsys, monkeypatch, words, message):
    for name in ("TF_CONFIG", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert cli.main([*TRAIN, "--out", str(tmp_path / "run"), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kerascnn: ") and error.count("\n") == 1 and message in error
    assert not (tmp_path / "run").exists()


def test_a_dry_run_waits_for_nobody(tmp_path, capsys):
    assert cli.main([*TRAIN, "--out", str(tmp_path / "run"), "--local_workers", "3", "--dry_run"]) == 0
    shown = capsys.readouterr().out
    assert "multiworker" in shown and "batch_statistics" in shown

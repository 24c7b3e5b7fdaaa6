"""`kerascnn info` of a searched network: both cells as text, and as a PNG beside that of the stages."""

import pytest

from kerascnn import cli


def test_the_terminal_shows_both_cells(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["info", "nasnet_a_large"]) == 0
    shown = capsys.readouterr().out
    assert "normal cell" in shown and "reduction cell" in shown and "--out FILE.png draws them" in shown
    assert "sep 7×7 / 2 ← c2" in shown and "genotype NASNet-A" in " ".join(shown.split())
    assert cli.main(["info", "resnet50"]) == 0
    assert "cell" not in capsys.readouterr().out


@pytest.mark.slow  # builds five hundred layers twice, to draw the stages
def test_pictures_of_stages_and_cells(capsys, tmp_path):
    out = tmp_path / "pnasnet.png"
    assert cli.main(["info", "pnasnet_5_cifar", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    for path in (out, tmp_path / "pnasnet_cells.png"):
        assert path.read_bytes().startswith(b"\x89PNG") and f"written: {path}" in shown
    assert "draws them" not in shown

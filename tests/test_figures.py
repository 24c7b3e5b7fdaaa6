"""Pictures: titles are drawn literally and inside, sizes are bounded."""

import pytest
from matplotlib.figure import Figure

from kerascnn import _figures


@pytest.mark.parametrize("kind", ["axes", "figure"])
def test_long_titles_are_broken_and_taken_literally(tmp_path, kind):
    figure = Figure(figsize=(4, 3), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1])
    text = "fcn8s_vgg11_bn_small on " + "a/long/$path$/of \\frac a set/" * 4 + "\nmean IoU 43 %"
    title = axes.set_title(text) if kind == "axes" else figure.suptitle(text)
    _figures.save(figure, tmp_path / "picture.png")
    place = title.get_window_extent()
    assert place.x0 >= 0 and place.x1 <= figure.bbox.width and place.y1 <= figure.bbox.height
    assert title.get_text().count("\n") > 2 and title.get_text().endswith("\nmean IoU 43 %")
    assert title.get_text().replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_short_title_stays_in_one_line(tmp_path):
    figure = Figure(figsize=(4, 3))
    title = figure.subplots().set_title("lenet5 on digits")
    _figures.save(figure, tmp_path / "picture.png")
    assert title.get_text() == "lenet5 on digits"

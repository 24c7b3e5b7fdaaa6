"""Several searches in one picture: names apart, lines that can be told without colors."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from kerascnn._errors import InputError
from kerascnn.search.comparison import LOOKS, draw_lines, spread


def test_places_are_moved_apart_and_no_farther():
    assert spread([0.1, 0.5, 0.9], 0.1) == [0.1, 0.5, 0.9]
    assert spread([0.5, 0.5], 0.2) == pytest.approx([0.6, 0.4])
    assert spread([0.5, 0.52, 0.48, 0.9], 0.1) == pytest.approx([0.5, 0.6, 0.4, 0.9])
    rng = np.random.default_rng(0)
    for count in (1, 5, 12):
        places = rng.random(count) ** 3
        found = spread(places, 0.05)
        order = np.argsort(places)
        assert (np.diff(np.array(found)[order]) > 0.05 - 1e-9).all()
        assert np.mean(found) == pytest.approx(np.mean(places))
    assert spread([], 0.1) == []


def drawn(count):
    axes = Figure(figsize=(10, 5), layout="constrained").subplots()
    axes.set_ylim(0, 1)
    curves = {f"strategy {i}": np.linspace(1, 0.2 + 0.001 * i, 40) for i in range(count)}
    draw_lines(axes, curves, thick="strategy 0")
    axes.figure.draw_without_rendering()
    return axes


def test_every_line_has_its_name_and_its_own_look():
    axes = drawn(12)
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert len({(str(line._dash_pattern), line.get_marker()) for line in lines}) == len(lines) == 12
    assert lines[0].get_color() == "black" and lines[0].get_linewidth() > lines[1].get_linewidth()
    assert [text.get_text() for text in axes.texts] == [f" strategy {i} {0.2 + 0.001 * i:.2f}" for i in range(12)]
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the lines that lead to them
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.x1 <= axes.figure.bbox.width for box in boxes)


def test_what_lies_outside_is_named_at_the_border():
    axes = Figure(layout="constrained").subplots()
    axes.set_ylim(0.01, 1)
    axes.set_yscale("log")
    draw_lines(axes, {"a": [1.0, 0.1], "b": [1.0, 0.0]})
    heights = [text.xy[1] for text in axes.texts]
    assert heights == pytest.approx([0.5, 0.0])


def test_what_cannot_be_drawn_is_refused():
    axes = Figure().subplots()
    for curves in ({}, {"a": [1.0], "b": [1.0, 2.0]}, {str(i): [1.0] for i in range(LOOKS + 1)}):
        with pytest.raises(InputError, match="There must be 1 to 35 curves of one length"):
            draw_lines(axes, curves)
    with pytest.raises(InputError, match="gap must be"):
        spread([0.5], -1.0)

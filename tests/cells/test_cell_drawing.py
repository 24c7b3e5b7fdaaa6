"""Drawings of cells: files, no boxes over each other, arrows around them, and the text for terminals."""

import io
import itertools

import pytest
from rich.console import Console

from kerascnn import cells
from kerascnn.applications.amoebanet import AMOEBANET_A, AMOEBANET_B, AMOEBANET_C, AMOEBANET_D
from kerascnn.applications.nasnet import NASNET_A
from kerascnn.applications.pnasnet import PNASNET_5
from kerascnn.cells import Cell, Genotype, layout
from kerascnn.cells.drawing import label

GENOTYPES = {g.name: g for g in (NASNET_A, PNASNET_5, AMOEBANET_A, AMOEBANET_B, AMOEBANET_C, AMOEBANET_D)}
CHAIN = Cell([f"sep_3x3({'c1' if i == 1 else f'n{i - 1}'}) + zero(c2)" for i in range(1, 7)], "c1 c2 n6")
ALL = [CHAIN, *(cell for g in GENOTYPES.values() for cell in (g.normal, g.reduce))]


@pytest.mark.parametrize("cell", ALL, ids=str)
def test_nothing_overlaps(cell):
    """Boxes and the places of passing arrows of a layer are apart, and every arrow leads from layer to layer."""
    found = layout.arrange(cell)
    for layer in range(len(found.left)):
        boxes = sorted((box for box in found.boxes.values() if box.layer == layer), key=lambda box: -box.y)
        assert boxes, layer
        for above, below in itertools.pairwise(boxes):
            assert above.y - above.height / 2 >= below.y + below.height / 2 + 0.9 * layout.GAP
    for arrow in found.arrows:
        layers = [found.boxes[name].layer for name in (arrow.source, *arrow.through, arrow.target)]
        assert layers == list(range(layers[0], layers[-1] + 1))
    terms = sum(len(node) for node in cell.nodes) + len(cell.concat)
    assert len(found.arrows) == terms
    edges = [abs(box.y) + box.height / 2 for box in found.boxes.values()]
    assert max(edges) == pytest.approx(found.height / 2)


def test_pictures(tmp_path):
    cells.plot_genotype(NASNET_A, tmp_path / "both.png")
    cells.plot_cell(CHAIN, tmp_path / "one.png", title="a chain", stride=2)
    for name in ("both.png", "one.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 2  # no temporary file is left
    with pytest.raises(OSError):
        cells.plot_genotype(NASNET_A, tmp_path / "none" / "both.png")


def shown(genotype, width=100):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(cells.text_graph(genotype))
    return console.export_text()


def test_the_text_names_every_operation():
    for genotype in GENOTYPES.values():
        text = shown(genotype)
        for cell in (genotype.normal, genotype.reduce):
            for term in itertools.chain(*cell.nodes):
                assert f"{label(term.operation)}" in text and f"← {term.source}" in text
    lines = [line.rstrip() for line in shown(NASNET_A).splitlines()]
    assert lines[0] == "normal cell              reduction cell"
    assert lines[2] == "├── n1                   │   ├── max 3×3 / 2 ← c1"
    assert "│   └── avg 3×3 ← n1" in lines[9] and "sep 7×7 / 2 ← c2" in lines[12]  # n1 is not in the concat
    narrow = shown(NASNET_A, 30).splitlines()
    assert "normal cell" in narrow[0] and "reduction cell" not in narrow[0]


def test_a_node_is_drawn_once():
    text = shown(Genotype("twice", Cell(["max_3x3(c1)", "sep_3x3(n1) + avg_3x3(n1)"]), CHAIN), 60)
    assert text.count("max 3×3 ← c1") == 1


@pytest.mark.parametrize(
    "operation, text",
    [
        ("sep_5x5", "sep 5×5"),
        ("dil_sep_3x3", "dil sep 3×3"),
        ("conv_1x7_7x1", "conv 1×7, 7×1"),
        ("identity", "identity"),
        ("factorized_reduction", "factorized reduction"),
    ],
)
def test_labels(operation, text):
    assert label(operation) == text

"""What can be searched: rows, cells, chains with skips, motifs of motifs; none of them needs TensorFlow or Keras."""

from kerascnn.search.spaces.banks import BankLayer, Banks
from kerascnn.search.spaces.cell import Blocks, CellSpace, Edges
from kerascnn.search.spaces.chain import Chain, Layer
from kerascnn.search.spaces.choices import Choices, Row
from kerascnn.search.spaces.forms import graph_form
from kerascnn.search.spaces.growing import Growing
from kerascnn.search.spaces.hierarchical import Hierarchical, Hierarchy
from kerascnn.search.spaces.published import (
    darts,
    enas_macro,
    enas_micro,
    hierarchical,
    nas,
    nasnet,
    pnas,
    pnas_growing,
)
from kerascnn.search.spaces.tokens import TokenSpace

__all__ = [
    "BankLayer",
    "Banks",
    "Blocks",
    "CellSpace",
    "Chain",
    "Choices",
    "Edges",
    "Growing",
    "Hierarchical",
    "Hierarchy",
    "Layer",
    "Row",
    "TokenSpace",
    "darts",
    "enas_macro",
    "enas_micro",
    "graph_form",
    "hierarchical",
    "nas",
    "nasnet",
    "pnas",
    "pnas_growing",
]

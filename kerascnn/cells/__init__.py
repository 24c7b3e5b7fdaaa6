"""Cells of searched networks as data: written, checked, printed, drawn, saved, and built into networks.

`genotype` needs the standard library alone, so that a search can do without Keras; all else is imported at its first
use.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy
from kerascnn.cells.genotype import OPERATIONS, Cell, Genotype, Term

if TYPE_CHECKING:
    from kerascnn.cells.build import Stack, auxiliary_head, auxiliary_on, large_features, small_features, stem
    from kerascnn.cells.drawing import plot_cell, plot_genotype, text_graph
    from kerascnn.cells.networks import network
    from kerascnn.cells.operations import Value
    from kerascnn.cells.style import (
        AMOEBANET,
        AMOEBANET_CIFAR,
        DARTS,
        ENAS,
        NAO,
        NASNET,
        NASNET_CIFAR,
        NASNET_KERAS,
        NASNET_TIMM,
        Style,
    )

__all__ = [
    "AMOEBANET",
    "AMOEBANET_CIFAR",
    "DARTS",
    "ENAS",
    "NAO",
    "NASNET",
    "NASNET_CIFAR",
    "NASNET_KERAS",
    "NASNET_TIMM",
    "OPERATIONS",
    "Cell",
    "Genotype",
    "Stack",
    "Style",
    "Term",
    "Value",
    "auxiliary_head",
    "auxiliary_on",
    "large_features",
    "network",
    "plot_cell",
    "plot_genotype",
    "small_features",
    "stem",
    "text_graph",
]

__getattr__, __dir__ = _lazy.attach(
    __name__,
    {
        "build": ["Stack", "auxiliary_head", "auxiliary_on", "large_features", "small_features", "stem"],
        "drawing": ["plot_cell", "plot_genotype", "text_graph"],
        "networks": ["network"],
        "operations": ["Value"],
        "style": [
            "AMOEBANET", "AMOEBANET_CIFAR", "DARTS", "ENAS", "NAO", "NASNET", "NASNET_CIFAR", "NASNET_KERAS",
            "NASNET_TIMM", "Style",
        ],
    },
)  # fmt: skip

"""Cells of searched networks as data: written, checked, printed, drawn, saved, and built into networks."""

from kerascnn.cells.build import Stack, auxiliary_head, auxiliary_on, large_features, small_features, stem
from kerascnn.cells.drawing import plot_cell, plot_genotype, text_graph
from kerascnn.cells.genotype import OPERATIONS, Cell, Genotype, Term
from kerascnn.cells.network import network
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

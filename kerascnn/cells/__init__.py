"""Cells of searched networks as data: written, checked, printed, drawn, saved, and built into networks."""

from kerascnn.cells.build import Stack, auxiliary_head, large_features, small_features, stem
from kerascnn.cells.genotype import OPERATIONS, Cell, Genotype, Term
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
    "OPERATIONS",
    "Cell",
    "Genotype",
    "Stack",
    "Style",
    "Term",
    "Value",
    "auxiliary_head",
    "large_features",
    "small_features",
    "stem",
]

"""Ops beside their peers and beside the limits of the machine, in one run: what `kerascnn benchmark ops` does."""

from kerascnn.benchmark.cases import SHAPES, Case, choose

__all__ = [
    "SHAPES",
    "Case",
    "choose",
]

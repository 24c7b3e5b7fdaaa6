"""Ops beside their peers and beside the limits of the machine, in one run: what `kerascnn benchmark ops` does."""

from kerascnn.benchmark.cases import SHAPES as SHAPES
from kerascnn.benchmark.cases import Case as Case
from kerascnn.benchmark.cases import choose as choose

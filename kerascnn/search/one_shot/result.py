"""What a one-shot search gives, and its pictures."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn import _figures
from kerascnn.cells import Genotype, plot_genotype
from kerascnn.search.one_shot.choice import KINDS, edges, softmax
from kerascnn.search.one_shot.session import GENOTYPE, Row

if TYPE_CHECKING:  # for the hints alone
    from kerascnn.search.one_shot.shared import SharedWeights


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What a one-shot search found.

    Args:
        genotype: the architecture: a `Genotype`, or of a chain its layers.
        history: a row an epoch, plain JSON values.
        supernet: with the weights at the end; `supernet.cut(genotype)` is the network that they give.
        folder: where everything is kept.
    """

    genotype: Any
    history: list[Row]
    supernet: "SharedWeights" = dataclasses.field(repr=False)
    folder: Path | None = None

    def save(self) -> None:
        """Writes genotype.json and cells.png into the folder, where there is one and it is a genotype.

        Raises:
            OSError: they cannot be written.
        """
        if self.folder is not None and isinstance(self.genotype, Genotype):
            self.genotype.save(self.folder / GENOTYPE)
            plot_genotype(self.genotype, self.folder / "cells.png")


def plot_alphas(
    history: Sequence[Row], operations: Sequence[str], nodes: int, path: str | os.PathLike, *, shared: bool = False
) -> None:
    """Writes a PNG of the architecture weights over the epochs: a panel an edge, a line an operation.

    Args:
        history: rows with "alphas".
        operations: names of the columns of the alphas.
        nodes: of a cell.
        path: the PNG.
        shared: both cells are one.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure

    rows, kinds = edges(nodes), KINDS[:1] if shared else KINDS
    figure = Figure((2.2 * len(rows) + 1.5, 2.2 * len(kinds) + 0.6), layout="constrained")
    axes = figure.subplots(len(kinds), len(rows), sharex=True, sharey=True, squeeze=False)
    epochs = [row["epoch"] for row in history]
    for line, kind in enumerate(kinds):
        weights = softmax(np.array([row["alphas"][kind] for row in history]))
        for column, (node, source) in enumerate(rows):
            panel = axes[line, column]
            panel.set_title(f"{kind}: {source} to n{node}", fontsize=9)
            for place, operation in enumerate(operations):
                panel.plot(epochs, weights[:, column, place], label=operation, marker="." if len(epochs) < 3 else "")
        axes[line, 0].set_ylabel("weight after the softmax", fontsize=8)
    for panel in axes[-1]:
        panel.set_xlabel("epoch", fontsize=8)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    _figures.save(figure, path)

"""Cells of one block, of two, and so on, as one space: what progressive search goes through."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.spaces.cell import Blocks
from kerascnn.search.spaces.tokens import TokenSpace

if TYPE_CHECKING:
    from kerascnn.cells import Genotype


class Growing(TokenSpace):
    """Cells of at most so many blocks. The first token is how many blocks there are, less one; those of blocks that are
    not there are 0.

    Args:
        operations: names of `kerascnn.cells.OPERATIONS`.
        nodes: blocks of the largest cells.

    Raises:
        InputError: an argument is something else.

    Source:
        Liu et al.: Progressive Neural Architecture Search, 2017, arXiv:1712.00559, section 4.1.
    """

    def __init__(self, operations: Sequence[str], nodes: int = 5):
        _check.whole("nodes", nodes, 1, 16)
        self.levels = tuple(Blocks(operations, level, shared=True, name="pnas") for level in range(1, nodes + 1))
        super().__init__((nodes, *self.levels[-1].sizes))

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one space from another."""
        return {**super().settings(), "operations": list(self.levels[0].operations)}

    def blocks(self, tokens: Tokens) -> int:
        """How many blocks a candidate has.

        Args:
            tokens: a candidate.

        Returns:
            From 1.
        """
        return tokens[0] + 1

    def whole(self, cell: Tokens) -> Tokens:
        """The candidate of a cell.

        Args:
            cell: four tokens a block.

        Returns:
            The tokens.
        """
        return (len(cell) // 4 - 1, *cell, *(0,) * (len(self.sizes) - 1 - len(cell)))

    def cell(self, tokens: Tokens) -> Tokens:
        """The tokens of the blocks that are there.

        Args:
            tokens: a candidate.

        Returns:
            Four a block: source, operation, source, operation.
        """
        return tokens[1 : 1 + 4 * (tokens[0] + 1)]

    def decode(self, tokens: Tokens) -> "Genotype":
        """The genotype of a candidate."""
        return self.levels[self.check(tokens)[0]].decode(self.cell(tokens))

    def encode(self, description: "Genotype") -> Tokens:
        """The tokens of a genotype, of whatever number of blocks."""
        count = len(getattr(getattr(description, "normal", None), "nodes", ()))
        if not 1 <= count <= len(self.levels):
            raise _check.refuse("description", f"a genotype of 1 to {len(self.levels)} sums", description)
        return self.whole(self.levels[count - 1].encode(description))

    def size(self) -> int:
        """How many candidates there are, of all numbers of blocks."""
        return super().size() if self._rules else sum(level.size() for level in self.levels)

    def sample(self, rng: np.random.Generator) -> Tokens:
        """A candidate, all numbers of blocks equally likely, and all cells of one."""

        def draw() -> Tokens:
            return self.whole(self.levels[int(rng.integers(len(self.levels)))].sample(rng))

        return self._first(draw)

    def _mutate(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        return self.whole(self.levels[tokens[0]].mutate(self.cell(tokens), rng))

    def cross(self, first: Tokens, second: Tokens, rng: np.random.Generator) -> Tokens:
        """As many blocks as one or the other has; each token is that of either, or of the one that has the block."""
        short, long = sorted((self.check(first), self.check(second)), key=lambda tokens: tokens[0])

        def draw() -> Tokens:
            length = 4 * (1 + (short, long)[int(rng.integers(2))][0])
            mixed = [pair[int(rng.integers(2))] for pair in zip(self.cell(short), self.cell(long), strict=False)]
            return self.whole((tuple(mixed) + self.cell(long)[len(mixed) :])[:length])

        return self._first(draw)

    def _wrong(self, tokens: Tokens) -> str | None:
        used = 4 * (tokens[0] + 1)
        return f"tokens after the first {1 + used} must be 0" if any(tokens[1 + used :]) else None

    def _form(self, tokens: Tokens) -> Any:
        return self.levels[tokens[0]]._form(self.cell(tokens))
